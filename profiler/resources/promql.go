package resources

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// SourcePrometheus is the source of samples that come from a Prometheus server.
const SourcePrometheus = "prometheus"

// Query is a resource by PromQL. In Used and Limit, $match stands for the label
// matchers of the target, and $window for a time that holds two scrapes at least.
type Query struct {
	// Resource is its name, and Unit what it is in.
	Resource, Unit string
	// Used gives one series: what is used.
	Used string
	// Limit gives one series, or is a number; empty if there is none.
	Limit string
}

// PromConfig says what is asked of a Prometheus server.
type PromConfig struct {
	// URL of the server, with the path before its API if there is one.
	URL string
	// Authorization is sent as that header; empty for none.
	Authorization string
	// HTTP sends the requests; it is up to it which addresses may be reached.
	HTTP Doer
	// Match are the label matchers of the target, such as job="shop".
	Match   string
	Queries []Query
	// Interval is how often the target is scraped; 0 asks the server.
	Interval time.Duration
	// Now is the drill's clock, and Wall this machine's. Both must be given.
	Now  func() time.Duration
	Wall func() time.Time
	// Skip is how much of the begin of a step that lasts so long is warm-up.
	Skip func(lasts time.Duration) time.Duration
	// Taken reports whether another source accounts for a resource: then the
	// server's figure is left out.
	Taken func(resource string) bool

	OnSample  func([]observation.Sample)
	OnWarning func(string)
}

// Prom asks a Prometheus server for the target's resources during each step, and
// for the rest of it after its end. A figure belongs to a step if the time that it
// is the mean over lies in it, warm-up left out.
type Prom struct {
	cfg    PromConfig
	server *promServer

	mu     sync.Mutex
	open   *promStep
	ended  []*promStep
	wake   chan struct{}
	warned map[string]bool
	seen   map[string]bool // resources that there were figures of
	short  time.Duration   // the longest step that was too short
}

// promStep is a step, and how far it has been asked for.
type promStep struct {
	index int
	from  time.Duration // after the warm-up
	to    time.Duration // valid once ended
	next  time.Duration // of the first evaluation that is still to be made
	tries int
}

// NewProm returns a Prom. It sends nothing yet, so it fails only if the
// configuration makes no sense.
func NewProm(cfg PromConfig) (*Prom, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("prometheus: the address is no http or https URL; hint: write it like http://127.0.0.1:9090")
	}
	if cfg.HTTP == nil || cfg.Now == nil || cfg.Wall == nil {
		return nil, errors.New("prometheus: no HTTP client or no clock given")
	}
	if cfg.Skip == nil {
		cfg.Skip = func(time.Duration) time.Duration { return 0 }
	}
	if cfg.Taken == nil {
		cfg.Taken = func(string) bool { return false }
	}
	if cfg.OnSample == nil {
		cfg.OnSample = func([]observation.Sample) {}
	}
	if cfg.OnWarning == nil {
		cfg.OnWarning = func(string) {}
	}
	p := &Prom{
		cfg: cfg, server: &promServer{base: u, authorization: cfg.Authorization, http: cfg.HTTP},
		wake: make(chan struct{}, 1), warned: map[string]bool{}, seen: map[string]bool{},
	}
	p.cfg.Queries = nil
	for _, q := range cfg.Queries {
		// Of two sets that have a resource, the first has it.
		if !slices.ContainsFunc(p.cfg.Queries, func(o Query) bool { return o.Resource == q.Resource }) {
			p.cfg.Queries = append(p.cfg.Queries, q)
		}
	}
	return p, nil
}

// usualScrape is Prometheus's own default interval.
const usualScrape = 15 * time.Second

// probes are series that a target's scrapes leave, whichever exporter it has.
var probes = []string{"up", "process_cpu_seconds_total", "node_cpu_seconds_total", "container_cpu_usage_seconds_total"}

// Probe asks the server how often there is a sample of the target, and so whether it
// is there and knows the target. Of several exporters the slowest is waited for: a
// cAdvisor that is scraped each second may look at its containers each ten. It must be
// called before Run if Interval is 0.
func (p *Prom) Probe(ctx context.Context) error {
	if p.cfg.Interval > 0 {
		_, err := p.server.query(ctx, "vector(1)", p.cfg.Wall())
		return err
	}
	p.cfg.Interval = usualScrape
	slowest := time.Duration(0)
	for _, name := range probes {
		series, err := p.server.query(ctx, fmt.Sprintf("%s{%s}[5m]", name, p.cfg.Match), p.cfg.Wall())
		if err != nil {
			return err
		}
		if gap, ok := scrapeInterval(series); ok {
			slowest = max(slowest, gap)
		}
	}
	if slowest > 0 {
		p.cfg.Interval = slowest
		return nil
	}
	return fmt.Errorf("prometheus: it has no two scrapes of {%s}; hint: name the target's labels in resources.prometheus.match, such as job=\"shop\"", p.cfg.Match)
}

// scrapeInterval is the median time between the samples of the series.
func scrapeInterval(series []promSeries) (time.Duration, bool) {
	var gaps []float64
	for _, s := range series {
		for i := 1; i < len(s.values); i++ {
			gaps = append(gaps, s.values[i].at-s.values[i-1].at)
		}
	}
	if len(gaps) == 0 {
		return 0, false
	}
	slices.Sort(gaps)
	gap := time.Duration(gaps[len(gaps)/2] * float64(time.Second)).Round(100 * time.Millisecond)
	return max(gap, 100*time.Millisecond), true
}

// Interval is how often the target is scraped.
func (p *Prom) Interval() time.Duration { return p.cfg.Interval }

// window holds two scrapes whenever it begins: twice the interval, and a little
// for scrapes that come late.
func (p *Prom) window() time.Duration {
	w := 2*p.cfg.Interval + p.cfg.Interval/4
	return max((w + time.Second - 1).Truncate(time.Second), time.Second)
}

// BeginStep says that a step begins now and is to last so long.
func (p *Prom) BeginStep(_ context.Context, step int, lasts time.Duration) {
	from := p.cfg.Now() + p.cfg.Skip(lasts)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = &promStep{index: step, from: from, next: from + p.window()}
}

// EndStep says that a step ends now.
func (p *Prom) EndStep(step int) {
	at := p.cfg.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil || p.open.index != step {
		return
	}
	p.open.to = at
	p.ended = append(p.ended, p.open)
	p.open = nil
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Times of asking.
const (
	// promDelay is how long after its scrape a sample may take to be there.
	promDelay = time.Second
	// promTries bounds how often the rest of a step is asked for.
	promTries = 4
)

// Run asks until ctx ends, and then for what is left, in seconds.
func (p *Prom) Run(ctx context.Context) error {
	// What is being asked when the drill ends is bounded by itself.
	asking := context.WithoutCancel(ctx)
	tick := time.NewTicker(max(p.cfg.Interval, time.Second))
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			p.advance(asking)
			p.finish(asking)
		case <-p.wake:
			pause(ctx, promDelay)
			p.finish(asking)
		}
	}
	pause(asking, promDelay)
	for range promTries {
		if p.finish(asking); !p.left() {
			break
		}
		pause(asking, promDelay)
	}
	p.conclude()
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (p *Prom) left() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ended) > 0
}

// advance asks for the open step as far as it has come, so that guards see it.
func (p *Prom) advance(ctx context.Context) {
	p.mu.Lock()
	s := p.open
	p.mu.Unlock()
	if s == nil {
		return
	}
	p.ask(ctx, s, p.cfg.Now()-promDelay)
}

// finish asks for the rest of the steps that have ended.
func (p *Prom) finish(ctx context.Context) {
	p.mu.Lock()
	list := p.ended
	p.ended = nil
	p.mu.Unlock()
	var left []*promStep
	for _, s := range list {
		if s.to-s.from < p.window() {
			if s.to-s.from > p.short && s.to-s.from >= worthy {
				p.short = s.to - s.from
			}
			continue
		}
		if s.tries++; !p.ask(ctx, s, s.to) && s.tries < promTries {
			left = append(left, s)
		}
	}
	p.mu.Lock()
	p.ended = append(left, p.ended...)
	p.mu.Unlock()
}

// ask evaluates all queries from where the step was left to a drill time. It
// reports whether the server answered; if not, the step is left where it was.
func (p *Prom) ask(ctx context.Context, s *promStep, to time.Duration) bool {
	if to < s.next {
		return true
	}
	var samples []observation.Sample
	last := s.next
	for _, q := range p.cfg.Queries {
		if p.cfg.Taken(q.Resource) {
			continue
		}
		got, err := p.evaluate(ctx, q, s, to)
		if err != nil {
			p.warn(fmt.Sprintf("resources are incomplete, %s of prometheus failed: %v", q.Resource, err))
			var query *queryError
			if errors.As(err, &query) {
				continue // the others may be right
			}
			return false
		}
		samples = append(samples, got...)
	}
	for ; last <= to; last += p.every() {
		s.next = last + p.every()
	}
	if len(samples) > 0 {
		p.cfg.OnSample(samples)
	}
	return true
}

// every is the time between two evaluations.
func (p *Prom) every() time.Duration { return max(p.cfg.Interval, time.Second) }

// evaluate asks for one resource.
func (p *Prom) evaluate(ctx context.Context, q Query, s *promStep, to time.Duration) ([]observation.Sample, error) {
	from, until := p.wall(s.next), p.wall(to)
	used, err := p.single(ctx, q.Used, from, until)
	if err != nil {
		return nil, err
	}
	limits := map[float64]float64{}
	constant, isNumber := number(q.Limit)
	if q.Limit != "" && !isNumber && len(used) > 0 {
		list, err := p.single(ctx, q.Limit, from, until)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			limits[v.at] = v.value
		}
	}
	over := time.Duration(0)
	if strings.Contains(q.Used, "$window") {
		over = p.window()
	}
	var out []observation.Sample
	for _, v := range used {
		limit := constant
		if l, ok := limits[v.at]; ok && sane(l) {
			limit = finite(l)
		}
		if !sane(v.value) {
			continue
		}
		p.seen[q.Resource] = true
		out = append(out, observation.Sample{
			At: p.drill(v.at), Over: over, Step: s.index, Source: SourcePrometheus,
			Resource: q.Resource, Used: v.value, Limit: limit, Unit: q.Unit,
		})
	}
	return out, nil
}

// number is a limit that is written as one.
func number(text string) (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return v, err == nil && sane(v) && !math.IsInf(v, 0)
}

// single evaluates a query that gives one series, or none.
func (p *Prom) single(ctx context.Context, query string, from, until time.Time) ([]promValue, error) {
	text := strings.NewReplacer("$match", p.cfg.Match, "$window", strconv.Itoa(int(p.window()/time.Second))+"s").Replace(query)
	series, err := p.server.queryRange(ctx, text, from, until, p.every())
	switch {
	case err != nil:
		return nil, err
	case len(series) > 1:
		return nil, &queryError{fmt.Sprintf("it gives %d series; hint: put sum() or max() around it", len(series))}
	case len(series) == 0:
		return nil, nil
	}
	return series[0].values, nil
}

func (p *Prom) wall(at time.Duration) time.Time { return p.cfg.Wall().Round(0).Add(at - p.cfg.Now()) }

// drill is the drill time of a Unix time in seconds.
func (p *Prom) drill(at float64) time.Duration {
	whole, part := math.Modf(at)
	t := time.Unix(int64(whole), int64(part*1e9))
	return (p.cfg.Now() - p.cfg.Wall().Round(0).Sub(t)).Round(time.Millisecond)
}

// worthy is how long a step lasts, its warm-up left out, of which figures are
// missed.
const worthy = 3 * time.Second

// conclude says what is missing.
func (p *Prom) conclude() {
	if p.short > 0 {
		p.warn(fmt.Sprintf("steps have no figures from Prometheus: it scrapes the target every %v, and %v of a step, its warm-up left out, holds no two scrapes for sure; hint: offer steps of %v or more, or scrape more often",
			p.cfg.Interval, p.short.Round(100*time.Millisecond), p.window()+4*time.Second))
	}
	if len(p.seen) > 0 || len(p.warned) > 0 || len(p.cfg.Queries) == 0 {
		return
	}
	if slices.ContainsFunc(p.cfg.Queries, func(q Query) bool { return !p.cfg.Taken(q.Resource) }) {
		p.warn(fmt.Sprintf("Prometheus has no figures of {%s}; hint: name the target's labels in resources.prometheus.match, such as job=\"shop\"", p.cfg.Match))
	}
}

// warn hands a warning on, the first time.
func (p *Prom) warn(text string) {
	if !p.warned[text] && len(p.warned) < 20 {
		p.warned[text] = true
		p.cfg.OnWarning(text)
	}
}
