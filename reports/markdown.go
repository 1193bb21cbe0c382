package reports

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// mostRows bounds a table of a comment: hosts of pull requests refuse comments
// beyond some 65,000 characters.
const mostRows = 40

// Markdown writes r for a comment on a pull request: the verdict and the key
// figures first, everything else folded away. Strings of the Run are escaped;
// they cannot form markup, links or mentions. It fails only if w does.
func Markdown(w io.Writer, r *Run) error {
	if r == nil {
		return errNoRun("report")
	}
	m := &markdown{}
	m.head(r)
	m.figures(r)
	m.list("", otherReasons(r))
	m.warnings(r)
	m.fold("Steps", func() { m.steps(r) }, len(r.Steps) > 0)
	m.fold("Bottlenecks", func() { m.list("", bottleneckLines(r)) }, len(bottleneckLines(r)) > 0)
	m.fold("Contention", func() { m.list("", contentionLines(r, "–")) }, len(contentionLines(r, "–")) > 0)
	m.fold("Demand by request", func() { m.list("", takenLines(r)) }, len(takenLines(r)) > 0)
	m.fold("What a request takes", func() { m.list("", demandLines(r)) }, len(demandLines(r)) > 0)
	m.fold("Requests", func() { m.requests(r) }, hasRequests(r))
	m.fold("Missing from this report", func() { m.list("", cleaned(r.Missing)) }, len(r.Missing) > 0)
	m.fold("How it was measured", func() { m.list("", cleaned(r.Method)) }, len(r.Method) > 0)
	if _, err := io.WriteString(w, m.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

type markdown struct{ strings.Builder }

func (m *markdown) head(r *Run) {
	sign := map[string]string{Pass: "✅", Fail: "❌", Invalid: "⚠️"}[r.Verdict]
	title := strings.TrimSpace(sign + " " + escape(orElse(r.Verdict, "no verdict")))
	if name := escape(r.Name); name != "" {
		title += ": " + name
	}
	fmt.Fprintf(m, "### %s\n\n**%s**\n\n", title, escape(Sentence(r)))
}

func (m *markdown) figures(r *Run) {
	all := keyFigures(r, "–")
	if len(all) == 0 {
		return
	}
	m.WriteString("| | | |\n|---|---|---|\n")
	for _, f := range all {
		fmt.Fprintf(m, "| %s | **%s** | %s |\n", escape(f.Name), escape(strings.TrimSpace(f.Value+" "+f.Unit)), escape(strings.Join(nonEmpty(f.Notes), "; ")))
	}
	m.WriteByte('\n')
}

func (m *markdown) warnings(r *Run) {
	for _, s := range cleaned(r.Warnings) {
		fmt.Fprintf(m, "> ⚠️ %s\n", escape(s))
	}
	if len(r.Warnings) > 0 {
		m.WriteByte('\n')
	}
}

func (m *markdown) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(m, "**%s**\n\n", escape(title))
	}
	for _, s := range items {
		fmt.Fprintf(m, "- %s\n", escape(s))
	}
	m.WriteByte('\n')
}

func (m *markdown) fold(summary string, content func(), any bool) {
	if !any {
		return
	}
	fmt.Fprintf(m, "<details><summary>%s</summary>\n\n", escape(summary))
	content()
	m.WriteString("</details>\n\n")
}

func (m *markdown) steps(r *Run) {
	columns := stepColumns(r)
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	m.row(names)
	m.WriteByte('|')
	for _, c := range columns {
		m.WriteString(map[bool]string{true: "---|", false: "--:|"}[c.left])
	}
	m.WriteByte('\n')
	for i := range r.Steps {
		if i == mostRows {
			break
		}
		cells := make([]string, len(columns))
		for j, c := range columns {
			cells[j] = c.cell(&r.Steps[i])
		}
		m.row(cells)
	}
	m.WriteByte('\n')
	m.left(len(r.Steps), "step")
	var notes []string
	for i := range r.Steps {
		for _, note := range remarks(&r.Steps[i]) {
			notes = append(notes, fmt.Sprintf("Step %d %s", r.Steps[i].Index, note))
		}
	}
	m.list("", nonEmpty(append(notes[:min(len(notes), mostRows)], totalsLine(r))))
}

func hasRequests(r *Run) bool {
	s := reference(r)
	return s != nil && len(s.Requests) > 0
}

func (m *markdown) requests(r *Run) {
	s := reference(r)
	fmt.Fprintf(m, "At step %d, %s offered.\n\n", s.Index, escape(offeredLong(s)))
	m.WriteString("| request | served/s | p50 | p99 | errors |\n|---|--:|--:|--:|--:|\n")
	for i, name := range requestNames(s) {
		if i == mostRows {
			break
		}
		f := s.Requests[name]
		m.row([]string{name, perSecond(f.Throughput), millis(f.Response.P50), millis(f.Response.P99), percent(f.ErrorRatio)})
	}
	m.WriteByte('\n')
	m.left(len(s.Requests), "request")
}

func (m *markdown) left(n int, what string) {
	if n > mostRows {
		fmt.Fprintf(m, "%s more in report.html.\n\n", plural(n-mostRows, what))
	}
}

func (m *markdown) row(cells []string) {
	m.WriteByte('|')
	for _, c := range cells {
		m.WriteString(" " + escape(c) + " |")
	}
	m.WriteByte('\n')
}

func offeredLong(s *Step) string {
	if s.Users > 0 {
		return plural(s.Users, "user")
	}
	return perSecond(s.OfferedRPS) + " req/s"
}

// markup holds everything that GitHub flavoured Markdown or HTML could take for
// more than text. An @ is followed by a zero-width space: it would notify.
var markup = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `{`, `\{`, `}`, `\}`, `[`, `\[`, `]`, `\]`,
	`|`, `\|`, `~`, `\~`, `#`, `\#`, `!`, `\!`, `$`, `\$`,
	`&`, `&amp;`, `<`, `&lt;`, `>`, `&gt;`, `@`, "@&#8203;", `://`, ":&#8203;//", `www.`, "www&#8203;.",
)

// escape makes a string plain text in any place of a Markdown line.
func escape(s string) string {
	s = markup.Replace(clean(s))
	// A line that begins like a list or a rule would become one.
	if s != "" && strings.ContainsRune("-+=", rune(s[0])) {
		s = `\` + s
	}
	return numbered.ReplaceAllString(s, `$1\$2$3`)
}

// numbered is the begin of an ordered list.
var numbered = regexp.MustCompile(`^(\d+)([.)])( |$)`)
