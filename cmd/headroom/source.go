package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/headroom-project/headroom/capacity/importer"
	"github.com/headroom-project/headroom/capacity/planning"
	"github.com/headroom-project/headroom/capacity/table"
	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/reports"
	"github.com/headroom-project/headroom/scenarios"
)

// source is what the model is asked about: a bundle, or files of results.
type source struct {
	name string
	// evidence is nil for files.
	evidence *observation.Evidence
	results  []*importer.Results
}

// openSource opens one bundle or any number of files; tool names whose files they
// are, empty to tell by their first lines.
func openSource(command string, names []string, tool string) (*source, error) {
	if len(names) == 0 {
		return nil, badInput("headroom "+command+" runs/<time>-<name>, or a file of results", "%s: no bundle and no file", command)
	}
	s := &source{name: names[0]}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, badInput("a bundle is the folder that headroom drill names at its end", "%s: %w", command, err)
		}
		if info.IsDir() && len(names) > 1 {
			return nil, badInput("several files are points of one measurement; bundles are asked one by one", "%s: %s is a bundle, and there are other arguments", command, name)
		}
		if info.IsDir() {
			s.evidence, err = observation.Open(name)
			if err != nil {
				return nil, badInput("a bundle is the folder that headroom drill names at its end", "%w", err)
			}
			return s, nil
		}
		r, err := readResults(name, tool)
		if err != nil {
			return nil, err
		}
		s.results = append(s.results, r)
	}
	return s, nil
}

func readResults(name, tool string) (*importer.Results, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, badInput("check the path", "%w", err)
	}
	defer f.Close()
	r, err := importer.Read(name, f, importer.Config{Tool: tool, Discard: search.Discard})
	var problems *table.Problems
	var path *fs.PathError
	switch {
	case errors.As(err, &problems):
		return nil, badInput("", "%w", problems)
	case errors.As(err, &path):
		return nil, badInput("", "%w", err)
	case err != nil && !errors.Is(err, importer.ErrUnknown):
		return nil, badInput("", "%w", err)
	case err != nil:
		return nil, badInput("--from says whose results they are: "+strings.Join(importer.Tools(), ", "), "%w", err)
	}
	return r, nil
}

// compute answers a question from the source.
func (s *source) compute(q reports.Question, seed uint64) (*reports.Run, error) {
	if err := s.known(q.Objectives); err != nil {
		return nil, err
	}
	if s.evidence != nil {
		r, err := reports.ComputeFor(s.evidence, q)
		if err != nil {
			return nil, badInputUnlessCoded(err)
		}
		return r, nil
	}
	m, err := s.measured(q.Objectives)
	if err != nil {
		return nil, err
	}
	m.Seed = seed
	return reports.Fit(m, q), nil
}

// measured puts the files' points together; those of a file keep their order.
func (s *source) measured(objectives []scenarios.Objective) (reports.Measured, error) {
	base := filepath.Base(s.name)
	m := reports.Measured{Name: strings.TrimSuffix(base, filepath.Ext(base)), Source: s.results[0].Format}
	if len(objectives) == 0 {
		return m, badInput("headroom fit "+s.name+" --slo 'p99<50ms'", "fit: files of results have no objectives, and none is given")
	}
	seen := map[string]bool{}
	for i, r := range s.results {
		for _, o := range objectives {
			if o.Request == "" {
				if missing, ok := r.Metric(o.Metric); !ok {
					return m, badInput("add the column, or set another objective", "fit: %s cannot be judged: the results (%s) have no %s", o, r.Format, missing)
				}
			}
		}
		if !r.Started.IsZero() && i == 0 {
			m.Started = r.Started.UTC().Format("2006-01-02T15:04:05Z07:00")
		}
		if r.Format != m.Source {
			m.Source = "several tools"
		}
		for _, p := range r.Points {
			if len(s.results) > 1 || r.Columns == nil {
				p.Step = len(m.Points)
			}
			loadgen.Judge(&p, nil)
			m.Points = append(m.Points, p)
		}
		for _, text := range r.Method {
			if !seen[text] {
				seen[text] = true
				m.Method = append(m.Method, text)
			}
		}
		for _, text := range r.Lacks {
			if !seen[text] {
				seen[text] = true
				m.Warnings = append(m.Warnings, text)
			}
		}
	}
	return m, nil
}

// points returns all points, for a table.
func (s *source) points(q reports.Question) ([]observation.Point, error) {
	if s.evidence == nil {
		var all []observation.Point
		for _, r := range s.results {
			all = append(all, r.Points...)
		}
		return all, nil
	}
	points, err := reports.Points(s.evidence, q)
	if err != nil {
		return nil, badInputUnlessCoded(err)
	}
	return points, nil
}

// counted are the columns of a table of points in which 0 is a figure, and not
// something that was never looked at.
func (s *source) counted() []string {
	for _, r := range s.results {
		if _, ok := r.Metric("errors"); !ok {
			return nil
		}
	}
	return []string{"error_ratio"}
}

// objectives parses what --slo gave.
func objectives(texts []string) ([]scenarios.Objective, error) {
	var list []scenarios.Objective
	for _, text := range texts {
		o, err := scenarios.ParseObjective(text)
		if of, ok := dotted(text); err != nil && ok {
			return nil, badInput(fmt.Sprintf("did you mean '%s'?", of), "--slo %q: a request and its metric are joined by a dot, as in %s.%s", text, of.Request, of.Metric)
		}
		if err != nil {
			return nil, badInput("write it like p99<50ms or errors<0.1%", "--slo %q: %w", text, err)
		}
		list = append(list, o)
	}
	return list, nil
}

// readPrices reads a price list, or vcpu_hour=0.04,gb_hour=0.005.
func readPrices(name string) (*planning.Prices, error) {
	if strings.Contains(name, "=") {
		p, err := planning.ParsePriceFlag("--prices", name)
		if err != nil {
			return nil, badInput("write vcpu_hour=0.04,gb_hour=0.005,egress_gb=0.09, or name a file", "%w", err)
		}
		return p, nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, badInput("--prices names a YAML file with vcpu_hour, gb_hour, egress_gb", "--prices: %w", err)
	}
	p, err := planning.ParsePrices(name, b)
	if err != nil {
		return nil, badInput("a price list has currency, vcpu_hour, gb_hour, egress_gb and instances", "%w", err)
	}
	return p, nil
}

// unfounded refuses a capacity that nothing may rest on, as of a drill that broke off; cannot
// says what it is no good for. The verdict of a report says so, and what rests on a capacity has
// no place for it.
func unfounded(command, name, cannot string, r *reports.Run) error {
	why := r.Unfounded()
	if why == "" {
		return nil
	}
	hint := "headroom fit " + name + " shows what it measured"
	if r.Unfinished() {
		hint = "drill again, and let it end; " + hint
	}
	return &codedError{exitInvalid, fmt.Errorf("%s: %s cannot be %s: %s", command, name, cannot, why), hint}
}

func verdictError(r *reports.Run) error {
	switch r.Verdict {
	case reports.Pass:
		return nil
	case reports.Fail:
		return errVerdict(exitFail)
	}
	return errVerdict(exitInvalid)
}

// demanded is the demand that flags give, nil if they give none.
func demanded(peak float64, given bool, growth string) (*scenarios.Demand, error) {
	if peak == 0 && growth == "" {
		return nil, nil
	}
	if growth != "" {
		if err := grows(growth); err != nil {
			return nil, err
		}
	}
	if peak == 0 && !given {
		return nil, badInput("write --demand 300, in requests per second", "--growth %s needs a --demand that grows", growth)
	}
	if !(peak > 0 && peak <= 1e9) {
		return nil, badInput("write it in requests per second, such as 300", "the demand of %g requests/s is not above 0", peak)
	}
	return &scenarios.Demand{Peak: peak, Growth: growth}, nil
}

// grows says what is wrong with a growth.
func grows(growth string) error {
	_, err := scenarios.ParseGrowth(growth)
	if err == nil {
		return nil
	}
	if v := strings.TrimSuffix(growth, "%"); v != "" && strings.Trim(v, "-+.0123456789") == "" {
		return badInput("write "+v+"%/month; day, week and year are known too", "--growth: %q has no period", growth)
	}
	return badInput("write it like 5%/month", "--growth: %w", err)
}
