// Package loadgen runs a plan as a drill over a fleet.
//
// One controller decides what is offered next and keeps the record; workers turn
// their slices of each step into load and report windows. They meet in the Fleet
// interface alone. A drill on one machine is a controller and one worker in one
// process, with slice 0 of 1: there is no second path.
//
//	plan, search --> controller --orders--> fleet --> worker(s) --> target
//	                     ^                    |
//	                     '------ windows -----'
//
// The controller is one goroutine. It reduces windows to points, lets the guards
// look at each second, asks the search for the next step, and writes all of it
// to the evidence before it acts on it, so that a report can be recomputed.
package loadgen
