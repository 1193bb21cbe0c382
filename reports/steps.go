package reports

import (
	"cmp"
	"fmt"
	"sort"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// mark says in a word whether the objectives held in a step.
func mark(s *Step) string {
	switch {
	case s.Kind == scenarios.KindWarmup:
		return ""
	case !s.Valid:
		return "invalid"
	case s.Met == nil:
		return none
	case *s.Met:
		return "held"
	}
	return "broke"
}

// offered is what a step offered: a rate, or a number of users.
func offered(s *Step) string {
	if s.Users > 0 {
		return plural(s.Users, "user")
	}
	return perSecond(s.OfferedRPS)
}

// ifEnded is cell where hits ended, and says that there is no figure where none did.
func ifEnded(cell func(*Step) string) func(*Step) string {
	return func(s *Step) string {
		if s.OK+s.Failed == 0 {
			return none
		}
		return cell(s)
	}
}

// remarks says what else there is to a step: why it is invalid, why it was cut,
// what was dropped.
func remarks(s *Step) []string {
	var out []string
	for _, why := range s.WhyInvalid {
		out = append(out, "invalid: "+clean(why))
	}
	if why := cmp.Or(s.Cut, s.Short); why != "" {
		out = append(out, "ended early: "+clean(why))
	}
	if s.Dropped == 1 {
		out = append(out, "1 hit was not sent")
	} else if s.Dropped > 0 {
		out = append(out, fmt.Sprintf("%s hits were not sent", count(s.Dropped)))
	}
	return out
}

// measured tells whether a step says anything about the target under load.
func measured(s *Step) bool { return judged(s.Kind) }

func hasResource(r *Run, name string) bool {
	for i := range r.Steps {
		if _, ok := r.Steps[i].Resources[name]; ok {
			return true
		}
	}
	return false
}

// resourceNames lists the resources of all steps: those with a limit first,
// the most used one first, then those without by name.
func resourceNames(r *Run) (limited, unlimited []string) {
	top := map[string]float64{}
	free := map[string]bool{}
	for i := range r.Steps {
		for name, u := range r.Steps[i].Resources {
			if s, ok := share(u); ok {
				top[name] = max(top[name], s)
			} else {
				free[name] = true
			}
		}
	}
	for name := range top {
		limited = append(limited, name)
		delete(free, name)
	}
	for name := range free {
		unlimited = append(unlimited, name)
	}
	sort.Slice(limited, func(i, j int) bool {
		if top[limited[i]] != top[limited[j]] {
			return top[limited[i]] > top[limited[j]]
		}
		return limited[i] < limited[j]
	})
	sort.Strings(unlimited)
	return limited, unlimited
}

// requestNames lists the requests of a step, the one with most hits first.
func requestNames(s *Step) []string {
	names := make([]string, 0, len(s.Requests))
	for name := range s.Requests {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := s.Requests[names[i]].Sent, s.Requests[names[j]].Sent
		if a != b {
			return a > b
		}
		return names[i] < names[j]
	})
	return names
}

// errorList writes the error classes of failed hits, the most frequent first.
func errorList(errors map[string]uint64) []string {
	classes := make([]string, 0, len(errors))
	for c := range errors {
		classes = append(classes, c)
	}
	sort.Slice(classes, func(i, j int) bool {
		if errors[classes[i]] != errors[classes[j]] {
			return errors[classes[i]] > errors[classes[j]]
		}
		return classes[i] < classes[j]
	})
	for i, c := range classes {
		classes[i] = clean(c) + " " + count(errors[c])
	}
	return classes
}

// totalsLine says what became of the hits; empty for a table that does not say how many
// there were.
func totalsLine(r *Run) string {
	t := r.Totals
	if ofRates(r) {
		return ""
	}
	s := fmt.Sprintf("%s hits planned, %s sent: %s OK, %s failed, %s not sent in time",
		count(t.Planned), count(t.Sent), count(t.OK), count(t.Failed), count(t.Dropped))
	if t.Followed > 0 {
		s += ", and " + count(t.Followed) + " redirects followed"
	}
	if e := errorList(t.Errors); len(e) > 0 {
		s += " (errors: " + joined(e) + ")"
	}
	return s
}

// ofRates says that the run is of a table with rates alone: its counts are those of a
// second of each row.
func ofRates(r *Run) bool { return r.DurationS == 0 && r.Totals.Sent > 0 }

// absent says that a table does not have a quantile: it is 0 beside another figure of the responses.
func absent(ms float64, s *Step) bool {
	q := s.Response
	return ms == 0 && max(q.Mean, q.P50, q.P90, q.P95, q.P99, q.Max) > 0
}

// quantile is a quantile of a step in ms, none where a table does not have it.
func quantile(ms float64, s *Step) string {
	if absent(ms, s) {
		return none
	}
	return millis(ms)
}

// use looks a resource of a step up.
func use(s *Step, name string) (observation.Use, bool) {
	u, ok := s.Resources[name]
	return u, ok
}
