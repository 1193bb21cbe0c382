// Package observation is the record of a drill that every later stage reads.
//
// Workers put windows in: what one worker saw of the hits that were planned in
// one second. The profiler puts samples and captures in. The controller puts a
// journal in: which step was offered when, and why. All of it lies in one
// folder, the evidence, and Reduce turns it into points, one for each step,
// which is all that the model sees.
//
// Every record is mergeable without loss: quantiles are computed once, from
// merged histograms, and never averaged. The package imports nothing of ours.
package observation
