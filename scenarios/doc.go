// Package scenarios is the first stage: from a file that says what to test and
// what counts as failing to an exact schedule of requests.
//
// Load reads a scenario strictly. A typo must not silently become a default in
// a test that decides about production, so every key, type and value is
// checked, and all problems are reported at once with file, line and column.
// Load also fills in the defaults, so that what is run is what is written into
// the evidence (YAML, secrets redacted).
//
// Compile turns a scenario into a Plan: steps, each an offered load for a time.
// A Slice is one worker's part of a plan. The hits of a step are a pure function
// of the plan's seed and the step, and slice i of n takes every n-th of them:
// n workers that never talk to each other offer exactly the planned arrivals,
// not n synchronised bursts.
//
// A load that is no straight line (a spike, a sine, a recording) is one step
// with a Shape. Its arrivals are found one by one by inverting the integrated
// rate, so that Poisson stays Poisson and constant is exact whatever the curve,
// and memory does not grow with the load. A recording is read when the plan is
// compiled, by CompileWith, and travels with it.
//
// CompileRequests turns the requests into something that renders a message for
// a hit without parsing or, for static requests, allocating. The values that
// templates generate are functions of the seed and the hit too, so a drill can
// be repeated byte for byte. Files and environment are reached only through
// Inputs, time only through its clock.
//
// The package does no network I/O and imports no other stage.
//
// A target has either a mix of requests, drawn by weight, or a flow: what each
// virtual user does in order, taking values out of answers (a token, a cookie, an
// id) that later requests use. A User is one of them on its way; a value that is
// used before it is captured is an error of the file, with its line.
package scenarios
