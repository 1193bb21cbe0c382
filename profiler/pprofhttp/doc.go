// Package pprofhttp fetches profiles from a target's /debug/pprof, as
// net/http/pprof serves it.
//
// Probe says what there is, and proves it by fetching one profile: an
// application that answers every path with its start page is not taken for one
// that can be profiled. Capture fetches one profile over a span of seconds.
//
// What comes back is untrusted. It is bounded as it is sent and as it
// decompresses, so that neither an endless body nor a gzip bomb costs more
// than the bounds; what is inside it is for the reader to judge. Which
// addresses may be reached is for the HTTP client that is passed in.
package pprofhttp
