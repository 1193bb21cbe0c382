// Package scoreboard holds the capacity model against systems whose limits are
// known. It draws systems from a seeded generator (families.go), serves simulated
// load with them (station.go, system.go), drills them with the product's own
// search in simulated time (drill.go), and says how far the model's predictions
// are from the truth, beside those of the Universal Scalability Law and of a
// straight line (baseline.go, score.go).
//
// The truth is never the model's: it is the crossing of the objective in a run of
// some hundred thousand hits, or a formula of queueing theory. Nothing here is
// part of the product; only tests import it.
package scoreboard
