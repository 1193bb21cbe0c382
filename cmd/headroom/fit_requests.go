package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// known refuses objectives of requests that the source does not have: no step would say
// anything about them, which reads as if the drill were to blame.
func (s *source) known(objectives []scenarios.Objective) error {
	if !slices.ContainsFunc(objectives, func(o scenarios.Objective) bool { return o.Request != "" }) {
		return nil
	}
	names, err := s.requests()
	if err != nil {
		return err
	}
	for _, o := range objectives {
		switch {
		case o.Request == "" || slices.Contains(names, o.Request):
		case len(names) == 0:
			of := o
			of.Request = ""
			return badInput("ask for all of them: "+of.String(), "--slo %q: no request is named %q: the results do not tell requests apart", o, o.Request)
		default:
			of := o
			of.Request = names[0]
			return badInput("write it like "+of.String(), "--slo %q: no request is named %q; known: %s", o, o.Request, strings.Join(names, ", "))
		}
	}
	return nil
}

// requests are the names of the source's requests, in the order of a scenario.
func (s *source) requests() ([]string, error) {
	if s.evidence == nil {
		seen := map[string]bool{}
		for _, r := range s.results {
			for i := range r.Points {
				for name := range r.Points[i].Requests {
					seen[name] = true
				}
			}
		}
		return slices.Sorted(maps.Keys(seen)), nil
	}
	x, err := scenarios.Load(observation.ScenarioFile, s.evidence.Scenario, scenarios.LoadOptions{})
	if err != nil {
		return nil, badInput("", "%w", err)
	}
	var names []string
	for _, r := range x.Target.Requests {
		names = append(names, r.Name)
	}
	return names, nil
}

// spacedRequest is an objective whose request and metric are parted by a space.
var spacedRequest = regexp.MustCompile(`^\s*([^<>]*\S)\s+([a-z0-9.]+\s*[<>].*)$`)

// dotted is such an objective as it is to be written; ok is false for any other text.
func dotted(text string) (o scenarios.Objective, ok bool) {
	m := spacedRequest.FindStringSubmatch(text)
	if m == nil {
		return o, false
	}
	o, err := scenarios.ParseObjective(m[1] + "." + m[2])
	return o, err == nil
}
