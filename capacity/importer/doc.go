// Package importer turns the results of other load generators into points, so
// that the model sees them as it sees a drill: k6, vegeta, Gatling, Locust,
// JMeter, and tables (package table).
//
// Two kinds of file come in. A log has a record for each request; its requests
// are put into seconds and steps and reduced by the very reducer that a drill's
// windows go through, so that percentiles are of merged histograms, and intervals
// come from resampled seconds. A summary has figures that somebody else computed;
// each becomes one point, and several files make several points.
//
// A log does not say which steps it has. They are found where the rate of the
// requests changes (segments.go). What each tool's results lack against a drill's
// is said with them: doubt travels with the data.
package importer
