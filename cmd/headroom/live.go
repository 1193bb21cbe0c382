package main

import (
	"fmt"
	"io"
	"strings"
	"time"

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
	text := fmt.Sprintf("step %d  %s  %s  achieved %.0f/s  p50 %s  p99 %s  errors %s  in flight %d",
		s.Step.Index, s.Step.Kind, load(s.Step), s.Achieved, millis(s.P50), millis(s.P99), percent(s.ErrorRatio), s.InFlight)
	if s.TargetCPU >= 0 {
		text += fmt.Sprintf("  target cpu %.2f", s.TargetCPU)
	}
	text += fmt.Sprintf("  %s left", s.Left.Round(time.Second))
	l.line(text)
}

func (l *live) line(text string) {
	if l.width > 10 && len(text) >= l.width {
		text = text[:l.width-1]
	}
	fmt.Fprintf(l.w, "\r\x1b[K%s", text)
	l.status = true
}

// StepEnds writes a lasting line.
func (l *live) StepEnds(p observation.Point) {
	l.clear()
	fmt.Fprintf(l.w, "%s\n", l.stepLine(p))
}

func (l *live) stepLine(p observation.Point) string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %2d  %-7s  %8s offered  %8s served  p50 %8s  p99 %8s  errors %6s",
		p.Step, p.Kind, rate(p.Offered), rate(p.Throughput), millis(p.Response.P50), millis(p.Response.P99), percent(p.ErrorRatio))
	if cpu, ok := p.Resources["cpu"]; ok {
		fmt.Fprintf(&b, "  cpu %.2f", cpu.Used)
		if cpu.Limit > 0 {
			fmt.Fprintf(&b, "/%.3g", cpu.Limit)
		}
	}
	switch {
	case !p.Valid:
		b.WriteString("  invalid: " + strings.Join(p.WhyInvalid, "; "))
	case p.Kind == scenarios.KindWarmup:
	default:
		b.WriteString("  " + l.verdict(p))
	}
	if p.Cut != "" {
		b.WriteString(" (" + p.Cut + ")")
	}
	return b.String()
}

// verdict names the first objective that does not hold.
func (l *live) verdict(p observation.Point) string {
	for _, o := range l.objs {
		if v, ok := p.Metric(o.Request, o.Metric); ok && !o.Holds(v) {
			return "breaks " + o.String()
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
