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
// CompileRequests turns the requests into something that renders a message for
// a hit without parsing or, for static requests, allocating. The values that
// templates generate are functions of the seed and the hit too, so a drill can
// be repeated byte for byte. Files and environment are reached only through
// Inputs, time only through its clock.
//
// The package does no network I/O and imports no other stage.
package scenarios
