package reports

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"sort"
	"strings"
)

//go:embed web/page.html.tmpl
var pageTemplate string

//go:embed web/dist/report.js
var pageScript string

//go:embed web/dist/report.css
var pageStyle string

// mostTimeRows bounds the table that stands for the chart over time.
const mostTimeRows = 120

// HTML writes r as one self-contained page. It opens from a file, asks the
// network for nothing, reads without JavaScript, and draws its charts with it.
// Strings of the Run come into it as text only, and its policy lets no script
// run but its own. It fails if w does.
func HTML(w io.Writer, r *Run) error {
	if r == nil {
		return errNoRun("report.html")
	}
	p, err := pageOf(r)
	if err != nil {
		return fmt.Errorf("write report.html: %w", err)
	}
	t, err := template.New("page").Parse(pageTemplate)
	if err != nil {
		return fmt.Errorf("write report.html: %w", err)
	}
	// A page that breaks off in the middle would be worse than none.
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return fmt.Errorf("write report.html: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write report.html: %w", err)
	}
	return nil
}

// page is what the template shows; every string in it is plain text.
type page struct {
	Policy   string
	Style    template.CSS
	Script   template.JS
	Data     template.JS
	Title    string
	Name     string
	Target   string
	Started  string
	Lasted   string
	Verdict  string // pass, fail, invalid or ""
	Word     string
	Sentence string
	Reasons  []string
	Warnings []string
	Figures  []Figure

	Objectives  []objectiveRow
	LoadTable   *table
	Against     string // what the charts are drawn against: offered load, users
	UseTable    *table
	Unlimited   []string
	TimeTable   *table
	TimeNote    string
	OneLoad     bool
	Steps       *table
	Requests    *table
	RequestsAt  string
	Bottlenecks []bottleneckRow
	// Contention says what requests in flight cost one another.
	Contention []string
	Demand     *demandSection
	Flame      *flameData
	FlameLead  string
	Missing    []string
	// Taken says what each request takes of the target.
	Taken       []string
	Method      []string
	Totals      string
	Environment []pair
}

// table is a table whose first column heads its rows.
type table struct {
	Caption string
	Head    []string
	Rows    []tableRow
	// Open says that it is shown at once where tables can be folded.
	Open bool
}

type tableRow struct {
	Cells []string
	// Class is held, broke, invalid or warmup, or empty.
	Class string
	Notes []string
}

type objectiveRow struct{ Text, Observed, Mark string }
type bottleneckRow struct {
	Resource, Figures string
	Notes             []string
}
type pair struct{ Key, Value string }

func pageOf(r *Run) (*page, error) {
	charts := chartsOf(r)
	data, err := scriptJSON(charts)
	if err != nil {
		return nil, err
	}
	p := &page{
		Policy: policy(), Style: template.CSS(pageStyle), Script: template.JS(pageScript), Data: template.JS(data),
		Name: orElse(clean(r.Name), "drill"), Target: clean(r.Target), Started: started(r.Started),
		Word: orElse(clean(r.Verdict), "no verdict"), Sentence: glued(sentence(r, "–")), Reasons: otherReasons(r), Warnings: cleaned(r.Warnings),
		Figures: keyFigures(r, "–"), Objectives: objectiveRows(r), Against: "offered load",
		Steps: stepTable(r), Missing: cleaned(r.Missing), Taken: takenLines(r), Method: cleaned(r.Method), Totals: totalsLine(r), Environment: environment(r),
	}
	p.Title = p.Name + ": " + p.Word + " – Headroom"
	switch r.Verdict {
	case Pass, Fail, Invalid:
		p.Verdict = r.Verdict
	}
	if r.DurationS > 0 {
		p.Lasted = lasting(r.DurationS)
	}
	p.addCharts(r, charts)
	p.addRequests(r)
	if !figureless(r) {
		p.Bottlenecks = bottleneckRows(r)
		p.Contention = contentionLines(r, "–")
		p.Demand = demandOf(r)
	}
	if len(charts.Flames) > 0 {
		p.Flame = charts.Flames[0]
		p.FlameLead = fmt.Sprintf("%s profile of %s, from %s samples.", p.Flame.Type, p.Flame.Label, grouped(float64(p.Flame.Samples)))
	}
	return p, nil
}

// policy forbids the page everything but its own script and style, by hash.
func policy() string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + hash(pageScript) + "; style-src " + hash(pageStyle) + "; base-uri 'none'; form-action 'none'"
}

// started makes an RFC 3339 time easier to read, without changing its zone.
func started(s string) string {
	s = clean(s)
	if len(s) >= 19 && s[10] == 'T' {
		s = s[:10] + " " + s[11:16] + strings.TrimLeft(s[19:], ".0123456789")
		return strings.Replace(s, "Z", " UTC", 1)
	}
	return s
}

func (p *page) addCharts(r *Run, charts chartData) {
	_, p.Unlimited = resourceNames(r)
	for i, name := range p.Unlimited {
		p.Unlimited[i] = clean(name)
	}
	if charts.Load != nil {
		if charts.Load.Unit == "users" {
			p.Against = "users"
		}
		p.LoadTable = loadTable(charts.Load)
		if len(charts.Load.Resources) > 0 {
			p.UseTable = useTable(charts.Load)
		}
	} else {
		p.OneLoad = len(r.Steps) > 0
		if s := reference(r); s != nil && len(s.Resources) > 0 {
			p.UseTable = resourceTable(s)
		}
	}
	if charts.Time != nil {
		p.TimeTable = timeTable(charts.Time)
		if charts.Time.Every > 1 {
			p.TimeNote = fmt.Sprintf("The worst of every %d seconds is shown.", charts.Time.Every)
		}
	}
}

func loadTable(d *loadData) *table {
	t := &table{Caption: "Response and throughput against load", Head: []string{"Step", "Load, " + d.Unit, "p50", "p90", "p99", "Served, req/s"}}
	for i := range d.X {
		t.Rows = append(t.Rows, tableRow{Class: invalidClass(d.Valid[i]), Cells: []string{
			fmt.Sprint(d.Step[i]), perSecond(float64(d.X[i])), millis(float64(d.P50[i])), millis(float64(d.P90[i])),
			millis(float64(d.P99[i])), perSecond(float64(d.Throughput[i])),
		}})
	}
	return t
}

func useTable(d *loadData) *table {
	t := &table{Caption: "Share of each resource's limit in use", Head: []string{"Step", "Load, " + d.Unit}}
	for _, res := range d.Resources {
		t.Head = append(t.Head, res.Name)
	}
	for i := range d.X {
		cells := []string{fmt.Sprint(d.Step[i]), perSecond(float64(d.X[i]))}
		for _, res := range d.Resources {
			cells = append(cells, percent(float64(res.Share[i])))
		}
		t.Rows = append(t.Rows, tableRow{Cells: cells, Class: invalidClass(d.Valid[i])})
	}
	return t
}

// resourceTable is for one step only, where there is no curve.
func resourceTable(s *Step) *table {
	t := &table{Caption: "Resources at " + offeredLong(s), Head: []string{"Resource", "Used", "Share of limit"}}
	names := make([]string, 0, len(s.Resources))
	for name := range s.Resources {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		u, part := s.Resources[name], none
		if v, ok := share(u); ok {
			part = percent(v)
		}
		t.Rows = append(t.Rows, tableRow{Cells: []string{clean(name), useLong(u), part}})
	}
	return t
}

func timeTable(d *timeData) *table {
	every := (len(d.T) + mostTimeRows - 1) / mostTimeRows
	t := &table{Caption: "Response over time", Head: []string{"Time", "p50", "p99"}}
	if every > 1 {
		t.Caption += fmt.Sprintf(", the second with the highest p99 of every %d", every*d.Every)
	}
	for from := 0; from < len(d.T); from += every {
		worst := from
		for i := from; i < min(from+every, len(d.T)); i++ {
			if d.P99[i] > d.P99[worst] || !finite(float64(d.P99[worst])) {
				worst = i
			}
		}
		t.Rows = append(t.Rows, tableRow{Cells: []string{trimmed(float64(d.T[worst]), 0) + " s", millis(float64(d.P50[worst])), millis(float64(d.P99[worst]))}})
	}
	return t
}

func invalidClass(valid bool) string {
	if valid {
		return ""
	}
	return "invalid"
}

func objectiveRows(r *Run) []objectiveRow {
	var rows []objectiveRow
	for _, o := range r.Objectives {
		row := objectiveRow{Text: spaced(o.Text), Mark: "undecided"}
		if o.Met != nil {
			row.Observed = observed(o)
			row.Mark = map[bool]string{true: "held", false: "broke"}[*o.Met]
		}
		rows = append(rows, row)
	}
	return rows
}

func stepTable(r *Run) *table {
	if len(r.Steps) == 0 {
		return nil
	}
	cpu := hasResource(r, "cpu")
	t := &table{Caption: "Steps in the order they were offered, warm-up seconds left out", Head: []string{"Step", "Kind", "Offered", "Served, req/s", "p50", "p90", "p99", "Errors", "In flight", "Send lag p99"}}
	if cpu {
		t.Head = append(t.Head, "CPU")
	}
	t.Head = append(t.Head, "Objectives")
	for i := range r.Steps {
		s := &r.Steps[i]
		cells := []string{fmt.Sprint(s.Index), clean(s.Kind), offered(s), perSecond(s.ThroughputRPS), none, none, none, none, none, none}
		if s.OK+s.Failed > 0 {
			cells = append(cells[:4], quantile(s.Response.P50, s), quantile(s.Response.P90, s), quantile(s.Response.P99, s),
				percent(s.ErrorRatio), perSecond(s.InFlight), millis(s.SendLag.P99))
		}
		if cpu {
			cell := none
			if u, ok := use(s, "cpu"); ok {
				cell = useShort(u)
			}
			cells = append(cells, cell)
		}
		row := tableRow{Cells: append(cells, mark(s)), Class: mark(s), Notes: remarks(s)}
		if !measured(s) {
			row.Class = "warmup"
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (p *page) addRequests(r *Run) {
	s := reference(r)
	if s == nil || len(s.Requests) == 0 {
		return
	}
	p.RequestsAt = fmt.Sprintf("step %d, %s offered", s.Index, offeredLong(s))
	p.Requests = &table{Caption: "Requests by name at " + p.RequestsAt, Head: []string{"Request", "Sent", "Served, req/s", "p50", "p90", "p99", "Max", "Errors"}}
	for _, name := range requestNames(s) {
		f := s.Requests[name]
		p.Requests.Rows = append(p.Requests.Rows, tableRow{Notes: errorList(f.Errors), Cells: []string{
			orElse(clean(name), none), count(f.Sent), perSecond(f.Throughput), millis(f.Response.P50), millis(f.Response.P90),
			millis(f.Response.P99), millis(f.Response.Max), percent(f.ErrorRatio),
		}})
	}
}

func bottleneckRows(r *Run) []bottleneckRow {
	if r.Saturation == nil {
		return nil
	}
	var rows []bottleneckRow
	for _, b := range r.Saturation.Bottlenecks {
		row := bottleneckRow{Resource: resourceName(b.Resource)}
		var figures []string
		if b.RPS > 0 {
			figures = append(figures, "gives out at "+perSecond(b.RPS)+" req/s")
		}
		if b.Probability > 0 && b.Probability <= 1 {
			figures = append(figures, percent(b.Probability)+" likely to be the first")
		}
		if b.AfterFixRPS > 0 {
			figures = append(figures, "without it "+perSecond(b.AfterFixRPS)+" req/s")
		}
		row.Figures = strings.Join(figures, ", ")
		if b.PerRequest > 0 {
			row.Notes = append(row.Notes, demand(b))
		}
		row.Notes = nonEmpty(append(row.Notes, clean(b.Evidence)))
		rows = append(rows, row)
	}
	return rows
}

func environment(r *Run) []pair {
	pairs := make([]pair, 0, len(r.Environment))
	for k, v := range r.Environment {
		pairs = append(pairs, pair{clean(k), clean(fmt.Sprint(v))})
	}
	sort.Slice(pairs, func(i, j int) bool { return pairs[i].Key < pairs[j].Key })
	return pairs
}
