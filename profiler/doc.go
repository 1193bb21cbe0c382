// Package profiler looks at the target while it is under load: what it uses of
// each resource, and where in its code that goes.
//
// A Session runs beside a drill. It takes samples of the target's resources all
// the time, and one set of profiles in the middle of each step; it is told when
// steps begin and end, and hands on what it got. It never fails a drill: what
// cannot be read or captured becomes a warning or a capture with an error.
//
// Afterwards, from the evidence alone: Summarise says what a profile holds,
// Flame makes a flame graph and the list of functions of it, LockWait says
// behind which locks the target waited.
//
// A profile comes from the target, or out of a bundle that anybody may have
// made, and is untrusted: its size is bounded before it is decoded, and the
// names in it are cut to something that can be shown.
package profiler
