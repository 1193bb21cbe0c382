// Package demo is a service to be load-tested whose limit is known exactly.
//
// Everything that a drill reports of a target is an estimate. This target is
// where estimates are held against the truth: it is built with one limit, a
// pool, a lock, a core, a downstream, a memory budget, and it says at GET /truth
// at which load that limit is reached and how many requests it received.
//
// "Exactly" takes some care, since a sleep in Go ends about a millisecond late
// and a core does not always run at one speed:
//
//   - What a limit serves follows a schedule (schedule.go). The next holder of
//     a busy slot begins at the instant at which the one before it was planned
//     to end, not at the instant at which that one happened to wake up. Lateness
//     shows in single responses and never adds up.
//   - What a request costs in CPU is measured while requests are served, all
//     overhead of HTTP included, and the work is corrected until it is what was
//     asked for (cpu.go).
//
// Limit "shop" is a small shop with two limits, one behind the other: a pool of
// database connections, then CPU in renderRecommendations. ShopScenario is the
// scenario that drills it.
//
// A target serves its limit under every path but /truth, /metrics and
// /debug/pprof. The package imports nothing of ours: it is on the other side of
// the wire.
package demo
