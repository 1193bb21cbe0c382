package scenarios

import (
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

// LoadOptions are what a caller may add to a file.
type LoadOptions struct {
	// Set holds overrides as of --set: `key.path=value`, such as
	// `load.constant.rate=200` or `target.requests[0].weight=3`. The value is YAML;
	// an empty one removes the key. They are applied in order, before anything is
	// checked.
	Set []string
}

// Load reads a scenario. name is what problems call the file, and its base is
// the default of the scenario's name. The error is a *Problems that holds all
// problems, in order of their place; only a file that is no YAML has just one.
//
// Limits: 1 MiB, 24 levels of nesting, 50,000 values with aliases followed,
// 1000 entries a list, 100 headers a request.
func Load(name string, src []byte, opt LoadOptions) (*Scenario, error) {
	root, problem := parseSource(name, src)
	if problem != nil {
		return nil, problemsOf([]Problem{*problem})
	}
	c := newComplaints(name)
	c.list = applySets(root, opt.Set)
	var s Scenario
	(&decoder{c}).decode(root, reflect.ValueOf(&s).Elem(), "")
	if s.Name == "" && !c.given("name") {
		s.Name = nameFrom(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)))
	}
	if !c.given("load.warmup") && !s.Load.closed() {
		s.Load.Warmup = Duration(defaultWarmup)
	}
	s.fill(c)
	s.check(c)
	if err := problemsOf(c.list); err != nil {
		return nil, err
	}
	return &s, nil
}

// ForURL is the scenario of `headroom drill URL --slo ...`: one GET of the URL,
// and a search for the capacity. Without slos the objectives are the defaults;
// with ones about response times only, `errors < 1%` is added, since a service
// that fails fast must not pass. The error is a *Problems.
func ForURL(rawURL string, slos []string) (*Scenario, error) {
	c := newComplaints("")
	s := &Scenario{
		Version: 1,
		Target:  Target{URL: rawURL},
		Load:    LoadSpec{Warmup: Duration(defaultWarmup), Search: &SearchLoad{}},
	}
	if u, err := url.Parse(rawURL); err == nil {
		s.Name = nameFrom(u.Host)
	}
	aboutErrors := false
	for _, text := range slos {
		o, err := ParseObjective(text)
		if err != nil {
			message, hint := parts(err)
			c.list = append(c.list, Problem{File: "--slo", Text: shown(text), Message: message, Hint: hint})
		}
		s.Objectives = append(s.Objectives, o)
		aboutErrors = aboutErrors || o.Metric == metricErrors
	}
	if len(slos) > 0 && !aboutErrors {
		s.Objectives = append(s.Objectives, defaultErrors())
	}
	s.fill(c)
	s.check(c)
	if err := problemsOf(c.list); err != nil {
		return nil, err
	}
	return s, nil
}

// Validate fills in the defaults of a scenario that was built or changed in
// code, and checks it. A warm-up of 0 stays 0. The error is a *Problems whose
// problems name the path of the value.
func (s *Scenario) Validate() error {
	c := newComplaints("")
	s.fill(c)
	s.check(c)
	return problemsOf(c.list)
}

// given says whether a value was written, rightly or wrongly.
func (c *complaints) given(path string) bool {
	_, ok := c.places[path]
	return ok || c.broken[path]
}

// nameFrom makes a name of a file's or host's.
func nameFrom(text string) string {
	name := strings.Map(func(r rune) rune {
		if isNameRune(r) {
			return r
		}
		return '-'
	}, text)
	name = strings.Trim(name, "-._")
	if len(name) > maxName {
		name = strings.TrimRight(name[:maxName], "-._")
	}
	if name == "" {
		return "drill"
	}
	return name
}

// Defaults; the fields' comments name them.
const (
	defaultWarmup  = 3 * time.Second
	defaultTimeout = 10 * time.Second
	defaultMaxBody = 16 << 20
	defaultStep    = 8 * time.Second
	defaultBudget  = 110 * time.Second
	defaultFrom    = 50
	defaultMaxRPS  = 10_000
)

func defaultErrors() Objective { return Objective{Metric: metricErrors, Op: "<", Value: 0.01} }

// fill puts the defaults where nothing was written. A zero that was written
// stays, for check to refuse.
func (s *Scenario) fill(c *complaints) {
	if s.Objectives == nil && !c.given("objectives") {
		s.Objectives = []Objective{{Metric: "p99", Op: "<", Value: 250}, defaultErrors()}
	}
	if s.Guards == nil && !c.given("guards") {
		s.Guards = []Guard{{Objective: Objective{Metric: metricErrors, Op: ">", Value: 0.5}, For: 5 * time.Second}}
	}
	orDefault(c, "safety.max_rps", &s.Safety.MaxRPS, defaultMaxRPS)
	orDefault(c, "target.timeout", &s.Target.Timeout, Duration(defaultTimeout))
	orDefault(c, "target.max_body", &s.Target.MaxBody, defaultMaxBody)
	s.Load.fill(c)
	if l := s.Load.Search; l != nil {
		orDefault(c, "load.search.to", &l.To, s.Safety.MaxRPS)
		orDefault(c, "load.search.from", &l.From, min(defaultFrom, l.To/10))
		orDefault(c, "load.search.step", &l.Step, Duration(defaultStep))
		orDefault(c, "load.search.budget", &l.Budget, Duration(defaultBudget))
	}
	if p := s.Capacity.Prices; p != nil {
		orDefault(c, "capacity.prices.currency", &p.Currency, "USD")
	}
	if s.Target.Requests == nil && s.Target.Flow == nil && !c.given("target.requests") && !c.given("target.flow") {
		s.splitURL()
	}
	for i := range s.Target.Requests {
		orDefault(c, fmt.Sprintf("target.requests[%d].weight", i), &s.Target.Requests[i].Weight, 1)
	}
}

// fill puts the defaults of loads that have any besides search.
func (l *LoadSpec) fill(c *complaints) {
	if l.Replay != nil {
		orDefault(c, "load.arrivals", &l.Arrivals, Trace)
	}
	orDefault(c, "load.arrivals", &l.Arrivals, Poisson)
	if l.Replay != nil {
		orDefault(c, "load.replay.speed", &l.Replay.Speed, 1)
	}
	for i := range l.Sequence {
		if r := l.Sequence[i].Replay; r != nil {
			orDefault(c, fmt.Sprintf("load.sequence[%d].replay.speed", i), &r.Speed, 1)
		}
	}
}

func orDefault[T comparable](c *complaints, path string, v *T, to T) {
	var zero T
	if *v == zero && !c.given(path) {
		*v = to
	}
}

// splitURL turns a target without requests into its origin and one GET of its
// path. A URL that cannot be split is left for check to refuse.
func (s *Scenario) splitURL() {
	u, err := url.Parse(s.Target.URL)
	if err != nil || u.Host == "" || u.Fragment != "" || strings.Contains(s.Target.URL, "{{") {
		return
	}
	get := u.EscapedPath()
	if get == "" {
		get = "/"
	}
	name := requestName(get)
	if u.RawQuery != "" {
		get += "?" + u.RawQuery
	}
	s.Target.Requests = []Request{{Name: name, Get: get}}
	u.Path, u.RawPath, u.RawQuery, u.ForceQuery = "", "", "", false
	s.Target.URL = u.String()
}

// requestName makes a path fit to be named in an objective.
func requestName(path string) string {
	name := strings.Map(func(r rune) rune {
		if isRequestNameRune(r) {
			return r
		}
		return '-'
	}, path)
	return strings.TrimSpace(name[:min(len(name), maxName)])
}
