package reports

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// TextOptions say what the terminal can show.
type TextOptions struct {
	// Color allows ANSI colours.
	Color bool
	// Width is the number of columns; 0 means 80. Text is wrapped to it, and a
	// table loses its less important columns before it grows wider.
	Width int
}

// Text writes r as the end of a drill in a terminal: the verdict in a sentence,
// the steps, the key figures, and every doubt. It fails only if w does.
func Text(w io.Writer, r *Run, opt TextOptions) error {
	if r == nil {
		return errNoRun("report")
	}
	if opt.Width <= 0 {
		opt.Width = 80
	}
	t := &terminal{opt: opt}
	t.verdict(r)
	t.steps(r)
	t.figures(r)
	t.list("Why", otherReasons(r))
	t.list("Bottlenecks", bottleneckLines(r))
	t.list("Contention", contentionLines(r, "-"))
	t.list("Demand by request", takenLines(r))
	t.list("What a request takes", demandLines(r))
	t.list("Warnings", cleaned(r.Warnings))
	t.list("Missing", cleaned(r.Missing))
	if _, err := io.WriteString(w, t.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// terminal gathers lines of text.
type terminal struct {
	strings.Builder
	opt TextOptions
}

// ANSI attributes; the sixteen colours that every terminal's theme sets itself.
const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (t *terminal) paint(s string, attributes ...string) string {
	if !t.opt.Color || s == "" {
		return s
	}
	return "\x1b[" + strings.Join(attributes, ";") + "m" + s + "\x1b[0m"
}

func verdictColour(verdict string) string {
	switch verdict {
	case Pass:
		return green
	case Fail:
		return red
	}
	return yellow
}

func (t *terminal) verdict(r *Run) {
	word := strings.ToUpper(orElse(clean(r.Verdict), "no verdict"))
	lines := wrap(Sentence(r), t.opt.Width-len(word)-2)
	fmt.Fprintf(t, "%s  %s\n", t.paint(word, bold, verdictColour(r.Verdict)), t.paint(lines[0], bold))
	for _, l := range lines[1:] {
		fmt.Fprintf(t, "%*s%s\n", len(word)+2, "", t.paint(l, bold))
	}
	about := []string{clean(r.Name), clean(r.Target), clean(r.Started)}
	if !ofRates(r) {
		about = append(about, lasting(r.DurationS))
	}
	for _, l := range wrap(strings.Join(nonEmpty(about), " · "), t.opt.Width) {
		fmt.Fprintln(t, t.paint(l, faint))
	}
}

// column is one column of the table of steps.
type column struct {
	name  string
	cell  func(*Step) string
	left  bool
	spare int // the column with the highest goes first when space is short; 0 stays
}

func stepColumns(r *Run) []column {
	columns := []column{
		{name: "step", cell: func(s *Step) string { return fmt.Sprint(s.Index) }},
		{name: "kind", cell: func(s *Step) string { return clean(s.Kind) }, left: true, spare: 2},
		{name: "offered/s", cell: offered},
		{name: "served/s", cell: func(s *Step) string { return perSecond(s.ThroughputRPS) }},
		{name: "p50", cell: ifEnded(func(s *Step) string { return quantile(s.Response.P50, s) }), spare: 1},
		{name: "p99", cell: ifEnded(func(s *Step) string { return quantile(s.Response.P99, s) })},
		{name: "errors", cell: ifEnded(func(s *Step) string { return percent(s.ErrorRatio) })},
	}
	if hasResource(r, "cpu") {
		columns = append(columns, column{name: "cpu", spare: 3, cell: func(s *Step) string {
			if u, ok := use(s, "cpu"); ok {
				return useShort(u)
			}
			return none
		}})
	}
	return append(columns, column{name: "objectives", cell: mark, left: true})
}

func (t *terminal) steps(r *Run) {
	if len(r.Steps) == 0 {
		return
	}
	columns := stepColumns(r)
	for tableWidth(columns, r) > t.opt.Width {
		worst := 0
		for i := range columns {
			if columns[i].spare > columns[worst].spare {
				worst = i
			}
		}
		if columns[worst].spare == 0 {
			break
		}
		columns = append(columns[:worst:worst], columns[worst+1:]...)
	}
	widths := widthsOf(columns, r)
	t.WriteByte('\n')
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = c.name
	}
	fmt.Fprintln(t, t.paint(row(columns, widths, head), faint))
	for i := range r.Steps {
		t.step(&r.Steps[i], columns, widths)
	}
	if line := totalsLine(r); line != "" {
		fmt.Fprintln(t, t.paint(strings.Join(wrap(line, t.opt.Width), "\n"), faint))
	}
}

func (t *terminal) step(s *Step, columns []column, widths []int) {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = c.cell(s)
	}
	line := row(columns, widths, cells)
	switch m := mark(s); {
	case !measured(s):
		line = t.paint(line, faint)
	case m == "held", m == "broke", m == "invalid":
		colour := map[string]string{"held": green, "broke": red, "invalid": yellow}[m]
		line = strings.TrimSuffix(line, m) + t.paint(m, colour)
	}
	fmt.Fprintln(t, line)
	for _, note := range remarks(s) {
		for _, l := range wrap(note, t.opt.Width-6) {
			fmt.Fprintf(t, "      %s\n", t.paint(l, yellow))
		}
	}
}

func widthsOf(columns []column, r *Run) []int {
	widths := make([]int, len(columns))
	for i, c := range columns {
		widths[i] = utf8.RuneCountInString(c.name)
		for j := range r.Steps {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.cell(&r.Steps[j])))
		}
	}
	return widths
}

func tableWidth(columns []column, r *Run) int {
	sum := 2 * (len(columns) - 1)
	for _, w := range widthsOf(columns, r) {
		sum += w
	}
	return sum
}

func row(columns []column, widths []int, cells []string) string {
	var b strings.Builder
	for i, c := range cells {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
		if columns[i].left {
			b.WriteString(c + pad)
		} else {
			b.WriteString(pad + c)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func (t *terminal) figures(r *Run) {
	all := keyFigures(r, "-")
	if len(all) == 0 {
		return
	}
	width := 0
	for _, f := range all {
		width = max(width, len(f.Name))
	}
	t.WriteByte('\n')
	for _, f := range all {
		value := strings.TrimSpace(f.Value + " " + f.Unit)
		if notes := strings.Join(nonEmpty(f.Notes), "; "); notes != "" {
			value += " (" + notes + ")"
		}
		for i, l := range wrap(value, t.opt.Width-width-2) {
			name := f.Name
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(t, "%s  %s\n", t.paint(fmt.Sprintf("%-*s", width, name), faint), l)
		}
	}
}

func (t *terminal) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(t, "\n%s\n", t.paint(title, bold))
	for _, item := range items {
		for i, l := range wrap(item, t.opt.Width-4) {
			bullet := "  - "
			if i > 0 {
				bullet = "    "
			}
			fmt.Fprintln(t, bullet+l)
		}
	}
}

// otherReasons are the reasons that the sentence does not already give.
func otherReasons(r *Run) []string {
	sentence := Sentence(r)
	var out []string
	for _, reason := range cleaned(r.Reasons) {
		if !strings.Contains(sentence, strings.TrimRight(reason, ".!?")) {
			out = append(out, reason)
		}
	}
	return out
}

func bottleneckLines(r *Run) []string {
	if r.Saturation == nil || figureless(r) {
		return nil
	}
	var out []string
	for _, b := range r.Saturation.Bottlenecks {
		s := bottleneckLine(b)
		if b.Evidence != "" {
			s += ": " + clean(b.Evidence)
		}
		out = append(out, s)
	}
	return out
}

func cleaned(items []string) []string {
	out := make([]string, 0, len(items))
	for _, s := range items {
		out = append(out, clean(s))
	}
	return nonEmpty(out)
}

func nonEmpty(items []string) []string {
	var out []string
	for _, s := range items {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// wrap breaks a line at spaces, but not between a figure and its unit; a word
// longer than the width stays whole, so that an address can still be copied. It
// returns one line at least.
func wrap(s string, width int) []string {
	width = max(width, 20)
	var lines []string
	line, length := "", 0
	for _, word := range words(s) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			lines = append(lines, line)
			line, length = "", 0
		}
		if length > 0 {
			line += " "
			length++
		}
		line += word
		length += n
	}
	return append(lines, line)
}

var unitNames = map[string]bool{"ms": true, "s": true, "µs": true, "ns": true, "req/s": true}

// words are the parts of s that a line may be broken between.
func words(s string) []string {
	var out []string
	for _, word := range strings.Fields(s) {
		last := len(out) - 1
		if last >= 0 && unitNames[strings.TrimRight(word, ".,;:)")] && strings.ContainsAny(out[last][len(out[last])-1:], "0123456789") {
			out[last] += " " + word
			continue
		}
		out = append(out, word)
	}
	return out
}
