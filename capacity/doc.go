// Package capacity turns the points of a drill into numbers with intervals: how
// much load the target carries under its objectives, which resource gives out
// first, how much room is left, and what a request costs. It knows points, not
// drills, and draws no randomness but from the seed it is given, so that a
// bundle gives the same figures again.
//
// Where some step broke an objective, nothing is extrapolated:
//
//   - The saturation law (plateau.go): while a queue never empties, the target
//     serves as fast as it can. What ends in a second with a backlog in flight
//     at its begin and end measures that rate well.
//   - The crossing law (crossing.go): the margin of each objective, made
//     monotone in the load, crosses zero at the capacity. Past saturation a
//     quantile grows with the length of the step, so margins there are censored
//     ("worse than") and not regressed through.
//
// Where every step held, the capacity is predicted (predict.go):
//
//   - The resource law (resource.go, shape.go, locks.go): use grows with the
//     served load, U = U0 + D X, and reaches its limit L at X = (L - U0) / D (the
//     utilisation law of operational analysis; Denning and Buzen 1978).
//   - The latency law (latency.go, queueing.go, sharing.go): the time without
//     waiting, as measured, and the wait for a server whose saturation is the
//     lowest ceiling, or its own where the responses say so. What of a response
//     is work for cores that are shared is told from the rest (outside.go).
//
// Uncertainty comes from replicates (bootstrap.go): the seconds of every step are
// resampled in blocks, each step's load is moved by the variance that a step of
// its length has anyway, and everything is fitted again. Intervals of predictions
// are calibrated besides (calibrate.go), as laws are never quite those of the
// target. Doubt is data: whatever weakens a number is a warning next to it. What
// each law rests on is in docs/model.md.
package capacity
