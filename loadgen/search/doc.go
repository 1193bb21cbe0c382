// Package search decides which load a drill offers next when it looks for the
// capacity of a target. It is policy only: no clock, no goroutine, no traffic.
// Points and the elapsed time come in, one Decision goes out, and the same
// arguments give the same decision, so that a search can be replayed from a
// bundle and tested against simulated targets in no time.
//
// A search has three phases.
//
// Growth doubles the load in short steps until an objective breaks, the generator
// cannot keep up, or the greatest allowed load is reached. The load at which a resource
// may come above the utilisation that must not be exceeded is approached in smaller ones. A step that offers too much
// is cut as soon as it is certain to break (see Search.Cut): a second of
// overload measures the saturation throughput as well as ten do, and does less
// harm.
//
// Refinement first offers a load inside a wide bracket, for the curves and the
// resource laws, and then the load at which the estimator sees the crossing. There
// a step is about as likely to break as to hold, which is when it says most. Where
// a load holds clearly twice, the next one is higher, whatever the estimate says. A
// search that may not go up to the crossing offers the loads from which it is best
// predicted.
//
// Confirmation offers the found load again, for longer. If it breaks, the
// estimate takes that in, and one lower load is confirmed if the budget allows.
//
// What a step says is judged with its number of hits in mind: of 150 hits two
// slow ones are 1.3%, and still no evidence that p99 is broken. Such a step is
// repeated for longer before it counts.
package search
