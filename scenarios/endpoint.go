package scenarios

import "strings"

// Endpoint is the method and the path of a request as it is written, without a
// query: requests of several names may share one. Empty if no method is set.
func (r *Request) Endpoint() string {
	all := r.methods()
	if len(all) == 0 {
		return ""
	}
	target := all[0].target
	// A question mark inside a template is not the query's.
	depth := 0
	for i := range len(target) {
		switch {
		case strings.HasPrefix(target[i:], "{{"):
			depth++
		case strings.HasPrefix(target[i:], "}}"):
			depth--
		case target[i] == '?' && depth <= 0:
			return all[0].name + " " + target[:i]
		}
	}
	return all[0].name + " " + target
}
