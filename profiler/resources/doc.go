// Package resources reads what a target uses of the things it can run out of:
// CPU, memory, file descriptors, connection pools, each with its limit.
//
// A Reader looks once and says what is there: a gauge as it stands, a counter
// as it has grown to. It keeps nothing between two looks, so that a look that
// fails costs one look. A Meter turns successive looks of one source into
// samples: a counter becomes its mean growth per second over the interval,
// which is exact however the use moved within it, where a gauge that is looked
// at once a second misses what happened in between. That is why a pool's
// busy-seconds counter is preferred to its in-use gauge, and CPU seconds to
// any percentage.
//
// A Prom, finally, asks a Prometheus server that scrapes the target: its figures
// come late and per step, so it hands on samples by itself.
//
// Three sources are read, and a drill may use any of them together:
//
//   - process: /proc/<pid> on Linux, the system's own interface elsewhere
//   - cgroup:  the control group's files, version 1 and 2
//   - metrics: the target's own Prometheus page
//
// They overlap. A Merger decides: the source nearest to the process reports
// the use, and the smallest limit that any source knows is the limit. See its
// comment for the rule in full.
//
// Names of resources are cpu (cores), cpu.throttled (cores), memory (bytes), go.memory
// (bytes, what the Go runtime uses of GOMEMLIMIT),
// fds, threads, goroutines (count), pool.<name> (slots),
// pool.<name>.waiting (count), alloc.bytes (bytes/s), alloc.objects and gc
// (count/s).
package resources
