// Package table reads and writes points.csv: the points of a drill, or of
// anybody's measurement, as a table. It is how results that were not recorded by
// Headroom come in when there is no importer for them.
//
// One row is a step or a window of one. Rows are never averaged: percentiles do
// not average, so each row becomes a point of its own, and rows at equal loads
// speak for the same load together.
//
//	offered_rps,throughput_rps,p99_ms            required; p99_ms unless there is
//	                                             p95_ms, p90_ms or p50_ms
//	step,seconds,p50_ms,mean_ms,in_flight,error_ratio,
//	p90_ms,p95_ms,p999_ms,max_ms                 optional
//	R_used,R_limit                               for any resource R: cpu in cores,
//	                                             memory in bytes, slots of a pool ...
//
// Reading is strict, since a column that is silently ignored is a figure that is
// silently wrong: everything that is amiss is told at once, each with its line,
// its column, and what to write instead. Units that were mixed up are recognised
// where figures contradict each other (Little's law, quantiles out of order, more
// served than offered, more cores in use than requests in flight).
package table
