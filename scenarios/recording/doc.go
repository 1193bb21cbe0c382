// Package recording reads what was recorded of real traffic: access logs in the
// common and combined formats, HAR files, and tables of times.
//
// All of it is untrusted: files come from production, and production is on the
// internet. Lines, files and counts have limits, and an entry that cannot be
// read is an error with its line, not a gap.
//
// Times gives the instants of arrivals, for a replay. ReadLog and ReadHAR give
// the entries, for an import.
package recording
