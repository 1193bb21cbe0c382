// Package pyroscope speaks with the world of continuous profiling.
//
// A Router is a small server that takes what pyroscope-go and other agents push, so
// that an instrumented target pointed at it is captured with no port for profiles
// of its own. It hands each profile to the Receiver of the run that wants its
// sender, where it lands in the step that it was taken in.
// A Puller asks a Pyroscope server for a target's profiles of each step. A
// Pusher sends every capture of a drill to a Pyroscope server, labelled with
// the run, the step and the offered load. A SelfProfile profiles this process.
//
// Two clocks meet here. Profiles carry wall-clock times, of the machine that
// took them; steps are in drill time, which is monotonic. A Clock maps the one to
// the other at the instant that a profile is looked at, so that a wall clock
// that is set during a drill moves nothing that was attributed before.
//
// What is received is untrusted: it is bounded before it is decoded, and kept
// byte for byte as it came. What is sent never holds up a drill: queues are
// bounded, and what does not fit is said to be missing.
package pyroscope
