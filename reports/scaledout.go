package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/headroom-project/headroom/capacity/scaleout"
)

// ScaleOutSchema is the name of the format of a fit over replicas in JSON.
const ScaleOutSchema = "headroom.scaleout/v1"

// ScaledOut is a fit over replica counts.
type ScaledOut struct {
	Schema  string        `json:"schema"`
	Sources []string      `json:"sources"` // BUNDLE@N
	Fit     *scaleout.Fit `json:"fit"`
	// Method says how Fit was made, and Confidence is that of all its intervals; what
	// weakens it are its warnings.
	Method     string  `json:"method"`
	Confidence float64 `json:"confidence"`
	// Drilled are the capacities that it rests on.
	Drilled []Drilled `json:"drilled"`
}

// Drilled is the capacity that was found of so many replicas.
type Drilled struct {
	Source   string   `json:"source"`
	Replicas int      `json:"replicas"`
	RPS      Estimate `json:"capacity_rps"`
	// Bound is as in run.json: empty for a capacity that was measured, or predicted.
	Bound string `json:"capacity_bound,omitempty"`
}

// ScaleOutMethod says in a few words how a fit was made.
func ScaleOutMethod(f *scaleout.Fit) string {
	return "the " + f.Law.Name + " law over replicas, weighted by the intervals of the capacities; its own by capacities redrawn from theirs"
}

// ScaleOutJSON writes it as JSON.
func ScaleOutJSON(w io.Writer, s *ScaledOut) error { return writeJSON(w, s, "scale-out") }

func writeJSON(w io.Writer, v any, what string) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

// ScaleOutText writes it for a terminal.
func ScaleOutText(w io.Writer, s *ScaledOut, opt TextOptions) error {
	if opt.Width <= 0 {
		opt.Width = 80
	}
	t := &terminal{opt: opt}
	for _, l := range wrap(scaleOutSentence(s.Fit), opt.Width) {
		fmt.Fprintln(t, t.paint(l, bold))
	}
	fmt.Fprintln(t, t.paint(clean(strings.Join(s.Sources, " · ")), faint))
	fmt.Fprintf(t, "\n%s\n", t.paint("replicas    measured/s       by the law/s   efficiency   the last one adds", faint))
	for _, r := range s.Fit.Rows {
		measured := none
		if r.Measured != nil {
			measured = perSecond(r.Measured.Value)
		}
		line := fmt.Sprintf("%8d  %12s  %17s  %11s  %17s", r.Replicas, measured, ends(r.RPS), percent(r.Efficiency.Value), perSecond(r.Gain.Value)+"/s")
		if r.Replicas > s.Fit.PaysUpTo {
			line = t.paint(line, faint)
		}
		fmt.Fprintln(t, line)
	}
	l := s.Fit.Law
	t.pairs([][2]string{
		{"Law", fmt.Sprintf("%s: X(n) = g n / (1 + a (n-1) + b n (n-1))", l.Name)},
		{"g", "one alone: " + ends(l.Gamma) + " req/s"},
		{"a", "shared and queued for: " + share3(l.Alpha)},
		{"b", "agreeing with each other: " + share3(l.Beta)},
	})
	t.list("Warnings", cleaned(s.Fit.Warnings))
	if _, err := io.WriteString(w, t.String()); err != nil {
		return fmt.Errorf("write scale-out: %w", err)
	}
	return nil
}

func scaleOutSentence(f *scaleout.Fit) string {
	s := fmt.Sprintf("Replicas pay up to %d (%d-%d): each adds at least %s of what the first one carries.", f.PaysUpTo, f.Between[0], f.Between[1], percent(f.Worth))
	if !f.Bounded {
		s = fmt.Sprintf("Every replica up to %d adds at least %s of what the first one carries.", f.PaysUpTo, percent(f.Worth))
	}
	s += peakSentence(f)
	switch {
	case f.ForPeak > 0:
		s += fmt.Sprintf(" The peak needs %d.", f.ForPeak)
	case f.PeakRPS > 0:
		s += fmt.Sprintf(" No number of them up to 1,000 carries the peak of %s req/s for sure.", perSecond(f.PeakRPS))
	}
	return s
}

// surely and wide say when a peak is stated as it is: it is there in nearly all of what the
// drills leave open, and its interval is no wider than a factor.
const (
	surely = 0.99
	wide   = 1.5
)

// peakSentence says from which count on more replicas carry less, and how sure that is.
func peakSentence(f *scaleout.Fit) string {
	if f.PeakAt == 0 || len(f.PeakBetween) != 2 {
		return ""
	}
	low, high := f.PeakBetween[0], f.PeakBetween[1]
	switch {
	case low == high && f.PeakSure >= surely:
		return fmt.Sprintf(" Beyond %d more replicas carry less.", f.PeakAt)
	case high > 0 && float64(high) <= wide*float64(low) && f.PeakSure >= surely:
		return fmt.Sprintf(" Beyond %d (%d-%d) more replicas carry less.", f.PeakAt, low, high)
	case high > 0:
		return fmt.Sprintf(" Beyond some %d more replicas probably carry less (%s sure), but that may begin anywhere from %d to %d.", f.PeakAt, percent(f.PeakSure), low, high)
	}
	return fmt.Sprintf(" Beyond some %d more replicas may carry less (%s sure): that may begin from %d on, or not at all.", f.PeakAt, percent(f.PeakSure), low)
}

func ends(f scaleout.Figure) string {
	return fmt.Sprintf("%s (%s-%s)", perSecond(f.Value), perSecond(f.Low), perSecond(f.High))
}

func share3(f scaleout.Figure) string {
	if f == (scaleout.Figure{}) {
		return "0, as the drills do not tell"
	}
	return fmt.Sprintf("%.3g (%.3g to %.3g)", f.Value, f.Low, f.High)
}
