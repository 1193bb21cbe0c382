package main

import "github.com/headroom-project/headroom/scenarios"

// authorization is one that the scenario has for a server other than the target.
type authorization struct {
	key, text string
	// drop takes the server out of a scenario.
	drop func(*scenarios.Scenario)
}

// authorizations are those that the scenario has.
func (j *job) authorizations() []authorization {
	p, prom := j.scenario.Profiles, j.scenario.Resources.Prometheus
	list := []authorization{{"profiles", p.Auth, func(s *scenarios.Scenario) { s.Profiles.Pprof = scenarios.Endpoints{off} }}}
	if p.Pyroscope != nil {
		list = append(list, authorization{"profiles.pyroscope", p.Pyroscope.Auth, func(s *scenarios.Scenario) { s.Profiles.Pyroscope = nil }})
	}
	if p.Push != nil {
		list = append(list, authorization{"profiles.push", p.Push.Auth, func(s *scenarios.Scenario) { s.Profiles.Push = nil }})
	}
	if prom != nil {
		list = append(list, authorization{"resources.prometheus", prom.Auth, func(s *scenarios.Scenario) { s.Resources.Prometheus = nil }})
	}
	out := list[:0]
	for _, a := range list {
		if a.text != "" {
			out = append(out, a)
		}
	}
	return out
}

// forget leaves out the servers whose authorization is not known any more: secrets
// are not stored. It says what is left out.
func (j *job) forget() (said []string) {
	for _, a := range j.authorizations() {
		a.drop(j.scenario)
		said = append(said, a.key+" is left out since the controller was started again: its authorization is a secret, and was not kept")
	}
	return said
}
