package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// live shows a drill while it runs: a line for each step that has ended and, on
// a terminal, a status line that is written over each second.
type live struct {
	w        io.Writer
	terminal bool
	width    int
	objs     []scenarios.Objective
	status   bool // a status line is standing
	headed   bool // the columns have been named
}

// clear removes the status line, so that a lasting one can be written.
func (l *live) clear() {
	if l.status {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.status = false
	}
}

// StepBegins says what is tried, and why.
func (l *live) StepBegins(step scenarios.Step, reason string) {
	if l.terminal {
		l.line(fmt.Sprintf("step %d  %s  %s: starting", step.Index, step.Kind, load(step)))
	}
	_ = reason
}

// Second writes the status line.
func (l *live) Second(s loadgen.Status) {
	if !l.terminal {
		return
	}
	cpu := ""
	if s.TargetCPU >= 0 {
		cpu = fmt.Sprintf("cpu %.2f", s.TargetCPU)
	}
	parts := []string{
		fmt.Sprintf("step %d", s.Step.Index), strings.TrimSuffix(load(s.Step), "/s") + "->" + rate(s.Achieved),
		"p50 " + millis(s.P50), "p99 " + millis(s.P99), "err " + percent(s.ErrorRatio),
		cpu, fmt.Sprintf("%.0fs left", s.Left.Seconds()), fmt.Sprintf("%d in flight", s.InFlight),
	}
	l.line(l.fit(parts))
}

// fit joins as many of the parts, the most important first, as a line holds.
func (l *live) fit(parts []string) string {
	line := ""
	for _, part := range parts {
		if part == "" {
			continue
		}
		if l.width > 10 && len(line)+2+len(part) >= l.width {
			break
		}
		if line != "" {
			line += "  "
		}
		line += part
	}
	return line
}

func (l *live) line(text string) {
	if l.width > 10 && len(text) >= l.width {
		text = text[:l.width-1]
	}
	fmt.Fprintf(l.w, "\r\x1b[K%s", text)
	l.status = true
}

// columns is the layout of a step's line, which fits 80 columns.
const columns = "%4s  %-7s  %7s  %7s  %7s  %7s  %6s  %8s  %s"

// StepEnds writes a lasting line, and what the step's columns are before the first.
func (l *live) StepEnds(p observation.Point) {
	l.clear()
	if !l.headed {
		l.headed = true
		fmt.Fprintf(l.w, columns+"\n", "step", "kind", "offered", "served", "p50", "p99", "errors", "cpu", "objective")
	}
	p50, p99, failed := "-", "-", "-"
	if p.OK+p.Failed > 0 {
		p50, p99, failed = millis(p.Response.P50), millis(p.Response.P99), percent(p.ErrorRatio)
	}
	row := fmt.Sprintf(columns, fmt.Sprint(p.Step), p.Kind, rate(p.Offered), rate(p.Throughput), p50, p99, failed, cpu(p), l.verdict(p))
	fmt.Fprintln(l.w, strings.TrimRight(row, " "))
	for _, why := range p.WhyInvalid {
		fmt.Fprintf(l.w, "      invalid: %s\n", why)
	}
	if why := cmp.Or(p.Cut, p.Short); why != "" {
		fmt.Fprintf(l.w, "      ended early: %s\n", why)
	}
}

// cpu is what the target used of how many cores.
func cpu(p observation.Point) string {
	u, ok := p.Resources["cpu"]
	switch {
	case !ok:
		return "-"
	case u.Limit > 0:
		return fmt.Sprintf("%.2f/%.3g", u.Used, u.Limit)
	}
	return fmt.Sprintf("%.2f", u.Used)
}

// verdict names the first metric whose objective does not hold.
func (l *live) verdict(p observation.Point) string {
	switch {
	case p.Kind == scenarios.KindWarmup:
		return ""
	case !p.Valid:
		return "invalid"
	}
	for _, o := range l.objs {
		if v, ok := p.Metric(o.Request, o.Metric); ok && !o.Holds(v) {
			return "broke " + strings.TrimPrefix(o.Request+"."+o.Metric, ".")
		}
	}
	return "ok"
}

// Says writes a lasting line.
func (l *live) Says(text string) {
	l.clear()
	fmt.Fprintf(l.w, "note: %s\n", text)
}

func load(s scenarios.Step) string {
	switch {
	case s.Users > 0:
		return fmt.Sprintf("%d users", s.Users)
	case s.From != s.To:
		return fmt.Sprintf("%s..%s", rate(s.From), rate(s.To))
	}
	return rate(s.From)
}

func rate(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.3g/s", v)
	}
	return fmt.Sprintf("%.0f/s", v)
}

func millis(v float64) string {
	switch {
	case v >= 10000:
		return fmt.Sprintf("%.1f s", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.3g ms", v)
}

func percent(v float64) string {
	switch {
	case v == 0:
		return "0%"
	case v >= 0.1:
		return fmt.Sprintf("%.0f%%", v*100)
	}
	return fmt.Sprintf("%.2g%%", v*100)
}
