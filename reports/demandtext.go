package reports

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/headroom-project/headroom/profiler"
)

// mostTextRows bounds a table of functions in a terminal, which leaves out those
// below leastTextShare.
const (
	mostTextRows   = 25
	leastTextShare = 0.001
)

// DemandText writes what a request takes, function by function, for a terminal.
// It fails only if w does.
func DemandText(w io.Writer, p ProfileDemand) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s per request: %s ± %s, from %s samples over %s\n", kindName(p.Kind), scaled(p.PerRequest, p.Unit), scaled(p.Error, p.Unit),
		grouped(float64(p.Samples)), plural(len(p.Steps), "step"))
	if p.Exact > 0 {
		fmt.Fprintf(&b, "exact counters over the same time: %s\n", scaled(p.Exact, p.Unit))
	}
	rows := [][]string{{"share", "per request", "±", "samples", "with its calls", "function"}}
	for i, f := range p.Functions[:min(len(p.Functions), mostTextRows)] {
		if i > 0 && f.Share < leastTextShare && !f.Growing {
			continue
		}
		name := shortName(f.Name)
		if f.Growing {
			first, last := f.Steps[0], f.Steps[len(f.Steps)-1]
			name += fmt.Sprintf("  (grows: %s at %s req/s, %s at %s)", scaled(first.PerRequest, p.Unit), perSecond(first.RPS), scaled(last.PerRequest, p.Unit), perSecond(last.RPS))
		}
		rows = append(rows, []string{percent(f.Share), scaled(f.PerRequest, p.Unit), scaled(f.Error, p.Unit), grouped(float64(f.Samples)), scaled(f.Cum, p.Unit), name})
	}
	writeRows(&b, rows)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write demand: %w", err)
	}
	return nil
}

func kindName(kind string) string {
	switch kind {
	case "cpu":
		return "CPU"
	case "alloc_bytes":
		return "Allocated bytes"
	case "alloc_objects":
		return "Allocated objects"
	case "lock_wait":
		return "Waiting for locks"
	case "block_wait":
		return "Waiting for locks and channels"
	}
	return clean(kind)
}

// writeRows writes a table, the last column to the left, the others to the right.
func writeRows(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + cell + "  ")
		}
		b.WriteString(row[len(row)-1] + "\n")
	}
}

// ComparisonText writes what changed in the cost of a request, for a terminal. It
// fails only if w does.
func ComparisonText(w io.Writer, x profiler.Comparison, before, after string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "before: %s, %s per request\nafter:  %s, %s per request\n", before, scaled(x.Before.Value, x.Unit), after, scaled(x.After.Value, x.Unit))
	verdict := "no change beyond chance"
	if x.Total.Changed {
		verdict = "changed"
	}
	fmt.Fprintf(&b, "in all: %s (± %s): %s\n", signedAmount(x.Total.Difference(), x.Unit), scaled(errorOf(x.Total), x.Unit), verdict)
	rows := [][]string{{"change", "±", "before", "after", "function"}}
	moved := 0
	for _, c := range x.Functions {
		if c.Moved != 0 && !c.Changed {
			moved++
		}
		if c.Changed && len(rows) <= mostTextRows {
			name := shortName(c.Name)
			if c.Moved != 0 {
				name += fmt.Sprintf("  (%s of it moved, see %s)", signedAmount(c.Moved, x.Unit), shortName(c.MovedTo))
			}
			rows = append(rows, []string{signedAmount(c.Difference(), x.Unit), scaled(errorOf(c), x.Unit), scaled(c.Before.Value, x.Unit), scaled(c.After.Value, x.Unit), name})
		}
	}
	if len(rows) > 1 {
		b.WriteByte('\n')
		writeRows(&b, rows)
	} else {
		fmt.Fprintf(&b, "no function changed beyond chance, of %d\n", len(x.Functions))
	}
	if moved > 0 {
		fmt.Fprintf(&b, "%s left out: their cost only moved between them\n", plural(moved, "function"))
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	return nil
}

func errorOf(c profiler.Change) float64 {
	return profiler.Amount{Variance: c.Before.Variance + c.After.Variance}.Error()
}

func signedAmount(v float64, unit string) string {
	if v > 0 {
		return "+" + scaled(v, unit)
	}
	return scaled(v, unit)
}

// Comparison is what changed in the cost of a request, for programs.
type Comparison struct {
	Kind      string           `json:"kind"`
	Unit      string           `json:"unit"`
	Before    float64          `json:"before"` // per request
	After     float64          `json:"after"`
	Error     float64          `json:"error"` // of the difference
	Changed   bool             `json:"changed"`
	Functions []FunctionChange `json:"functions"`
}

// FunctionChange is what changed in one function.
type FunctionChange struct {
	Name    string  `json:"name"`
	Before  float64 `json:"before"`
	After   float64 `json:"after"`
	Error   float64 `json:"error"`
	Chance  float64 `json:"chance"` // of a difference as large by sampling alone
	Changed bool    `json:"changed"`
	// Moved is the part that turned up in a related function, MovedTo.
	Moved   float64 `json:"moved,omitempty"`
	MovedTo string  `json:"moved_to,omitempty"`
}

// ComparisonOf makes one of what the profiler found.
func ComparisonOf(kind string, x profiler.Comparison) Comparison {
	out := Comparison{
		Kind: kind, Unit: x.Unit, Before: x.Before.Value, After: x.After.Value,
		Error: errorOf(x.Total), Changed: x.Total.Changed, Functions: []FunctionChange{},
	}
	for _, c := range x.Functions {
		out.Functions = append(out.Functions, FunctionChange{
			Name: c.Name, Before: c.Before.Value, After: c.After.Value, Error: errorOf(c),
			Chance: c.Chance, Changed: c.Changed, Moved: c.Moved, MovedTo: c.MovedTo,
		})
	}
	return out
}
