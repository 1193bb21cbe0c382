package importer

import (
	"fmt"
	"io"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headroom-project/headroom/scenarios"
	"github.com/headroom-project/headroom/scenarios/recording"
)

// Limits of what is kept of a log while it is read.
const (
	maxGroups = 10_000 // different normalised paths
	maxValues = 20     // different values of one place in a path
	maxParams = 30     // of a query
)

// group is the hits of one method and normalised path.
type group struct {
	item   *item
	hits   float64
	failed float64 // answered with 400 or above
	slots  []slot
	shape  []string // literal pieces between the slots; one more than slots
}

// slot is a place in a path or query whose values differ from hit to hit.
type slot struct {
	number    bool
	low, high int64
	values    []string
}

// logReader sorts the lines of a log into groups.
type logReader struct {
	d       *draft
	groups  map[string]*group
	order   []*group
	other   float64 // hits beyond maxGroups
	skipped int
	bad     int
	firstAt error // the first bad line
	minutes map[int64]float64
	total   float64
	first   time.Time
	last    time.Time
}

// accessLog makes a mix of the requests of a log by how frequent they are, and
// a load and a demand of their rate. Numbers in paths become a number between
// the lowest and the highest seen, other ids and the values of queries one of
// up to 20 that were seen.
func accessLog(d *draft, r io.Reader) error {
	l := &logReader{d: d, groups: map[string]*group{}, minutes: map[int64]float64{}}
	err := recording.ReadLines(r, l.line)
	if err != nil {
		return err
	}
	if l.total == 0 {
		if l.firstAt != nil {
			return l.firstAt
		}
		return fmt.Errorf("log has no requests")
	}
	if l.bad > 0 {
		d.note("%s cannot be read and left out; the first: %v.", several(l.bad, "line"), l.firstAt)
	}
	if l.skipped > 0 {
		d.note("%s left out: no request that a scenario can send (no HTTP, or another method).", several(l.skipped, "line"))
	}
	l.finish()
	return nil
}

// line goes on after one that cannot be read: one in a million is no reason to
// import nothing.
func (l *logReader) line(n int, e recording.Entry, err error) error {
	if err != nil {
		if l.bad++; l.firstAt == nil {
			l.firstAt = &recording.LineError{Line: n, Err: err}
		}
		if l.bad >= 1000 && l.total == 0 {
			return l.firstAt
		}
		return nil
	}
	if e.Target == "" || !setMethod(&scenarios.Request{}, e.Method, "/") || !l.sort(e) {
		l.skipped++
		return nil
	}
	l.total++
	if l.first.IsZero() || e.Time.Before(l.first) {
		l.first = e.Time
	}
	if e.Time.After(l.last) {
		l.last = e.Time
	}
	// A log of a year has half a million minutes.
	if minute := e.Time.Unix() / 60; len(l.minutes) < 1_000_000 || l.minutes[minute] > 0 {
		l.minutes[minute]++
	}
	return nil
}

// sort counts an entry to its group; false if it cannot be sent.
func (l *logReader) sort(e recording.Entry) bool {
	u, err := url.Parse(e.Target)
	if err != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || !scenarios.CanHold(e.Target) {
		return false
	}
	shape, values := normalise(u, l.d)
	key := e.Method + " " + strings.Join(shape, "\x00")
	g := l.groups[key]
	if g == nil {
		if len(l.order) >= maxGroups {
			l.other++
			return true
		}
		g = &group{item: &item{method: e.Method}, shape: shape, slots: make([]slot, len(values))}
		l.groups[key] = g
		l.order = append(l.order, g)
	}
	g.hits++
	if e.Status >= 400 {
		g.failed++
	}
	for i, v := range values {
		g.slots[i].see(v)
	}
	return true
}

// see takes a value into account.
func (s *slot) see(v string) {
	n, err := strconv.ParseInt(v, 10, 64)
	plain := err == nil && n >= 0 && strconv.FormatInt(n, 10) == v
	if len(s.values) == 0 {
		s.number, s.low, s.high = plain, n, n
	}
	if s.number = s.number && plain; s.number {
		s.low, s.high = min(s.low, n), max(s.high, n)
	}
	if len(s.values) < maxValues && !slices.Contains(s.values, v) {
		s.values = append(s.values, v)
	}
}

var (
	digits = regexp.MustCompile(`^[0-9]+$`)
	uuid   = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	hexID  = regexp.MustCompile(`^[0-9a-fA-F]{12,}$`)
	// token is long and mixed: base64 ids, slugs with hashes.
	token = regexp.MustCompile(`^[A-Za-z0-9_-]{20,}$`)
)

// isID says whether a segment of a path names one of many things.
func isID(segment string) bool {
	return digits.MatchString(segment) || uuid.MatchString(segment) ||
		hexID.MatchString(segment) && strings.ContainsAny(segment, "0123456789") ||
		token.MatchString(segment) && strings.ContainsAny(segment, "0123456789") && strings.ContainsFunc(segment, func(r rune) bool { return r >= 'A' && r <= 'Z' })
}

// normalise takes a target apart: literals, and between them the values that
// differ from hit to hit: ids in the path, and every value of the query.
func normalise(u *url.URL, d *draft) (shape, values []string) {
	literal := ""
	for i, segment := range strings.Split(u.EscapedPath(), "/") {
		if i > 0 {
			literal += "/"
		}
		if isID(segment) {
			shape, values = append(shape, literal), append(values, segment)
			literal = ""
		} else {
			literal += scenarios.Literal(segment)
		}
	}
	if u.RawQuery == "" {
		return append(shape, literal), values
	}
	separator := "?"
	pairs := strings.Split(u.RawQuery, "&")
	// Clients write parameters in any order; the path is the same.
	slices.SortStableFunc(pairs, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, "=")
		nameB, _, _ := strings.Cut(b, "=")
		return strings.Compare(nameA, nameB)
	})
	for _, p := range pairs[:min(len(pairs), maxParams)] {
		key, value, valued := strings.Cut(p, "=")
		literal += separator + scenarios.Literal(key)
		separator = "&"
		name, err := url.QueryUnescape(key)
		switch {
		case !valued:
		case err == nil && value != "" && scenarios.IsSecretName(name):
			literal += "=" + d.secret(name)
		default:
			shape, values = append(shape, literal+"="), append(values, value)
			literal = ""
		}
	}
	return append(shape, literal), values
}

// template is the target of a group.
func (g *group) template() (target, name string) {
	for i := range g.slots {
		target += g.shape[i] + g.slots[i].template()
		name += g.shape[i]
		if strings.Contains(name, "?") {
			continue
		}
		if text := g.slots[i].template(); strings.Contains(text, "{{") {
			name += "{id}"
		} else {
			name += text
		}
	}
	last := g.shape[len(g.slots)]
	name, _, _ = strings.Cut(name+last, "?")
	return target + last, name
}

func (s *slot) template() string {
	switch {
	case len(s.values) == 1:
		return scenarios.Literal(s.values[0])
	case s.number:
		return fmt.Sprintf("{{ int %d %d }}", s.low, s.high)
	}
	words := make([]string, len(s.values))
	for i, v := range s.values {
		words[i] = strconv.Quote(v)
	}
	return "{{ pick " + strings.Join(words, " ") + " }}"
}

func (l *logReader) finish() {
	d := l.d
	failing, failed := 0, 0.0
	for _, g := range l.order {
		if g.failed > g.hits/2 {
			failing, failed = failing+1, failed+g.hits
			continue
		}
		target, path := g.template()
		g.item.target, g.item.count = target, g.hits
		g.item.name = g.item.method + " " + path
		d.add(g.item)
		if g.item.method != "GET" && g.item.method != "HEAD" && g.item.method != "OPTIONS" {
			d.note("A log has no bodies and headers: add those of %s requests.", g.item.method)
		}
	}
	d.over = l.other
	if failing > 0 {
		d.note("%s of requests (%.1f%% of the hits), mostly answered with 400 or above, left out.", several(failing, "kind"), 100*failed/l.total)
	}
	if l.other > 0 {
		d.note("The log has more than %d kinds of requests; those seen after the first %d are left out.", maxGroups, maxGroups)
	}
	d.note("Numbers in paths are drawn between the lowest and the highest seen; other ids and the values of queries are up to %d of those seen.", maxValues)
	l.rates()
}

// several counts things.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// rates sets the load to the mean rate of the log, and the demand to that of its
// busiest minute.
func (l *logReader) rates() {
	d := l.d
	seconds := max(l.last.Sub(l.first).Seconds()+1, 1)
	peak := 0.0
	for _, n := range l.minutes {
		peak = max(peak, n/min(seconds, 60))
	}
	mean := round(l.total / seconds)
	const mostRPS = 10_000 // of a scenario's default for safety.max_rps
	if mean > mostRPS {
		d.note("The log's mean rate of %g/s is above the default of safety.max_rps: the load is %d/s.", mean, mostRPS)
		mean = mostRPS
	}
	d.load = scenarios.LoadSpec{Warmup: scenarios.Duration(3 * time.Second),
		Constant: &scenarios.ConstantLoad{Rate: mean, Duration: scenarios.Duration(time.Minute)}}
	d.capacity.Demand = &scenarios.Demand{Peak: round(peak)}
	d.note("The load is the log's mean rate, for a minute, and capacity.demand.peak that of its busiest minute; load: {replay: {file: ...}} offers its arrivals instead.")
}

// round keeps three digits.
func round(v float64) float64 {
	scale := math.Pow(10, math.Floor(math.Log10(v))-2)
	// Through text, which leaves no digits of the binary fraction.
	out, err := strconv.ParseFloat(strconv.FormatFloat(math.Round(v/scale)*scale, 'g', 3, 64), 64)
	if err != nil || out <= 0 {
		return v
	}
	return out
}
