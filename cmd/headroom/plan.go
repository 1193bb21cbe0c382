package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/capacity/importer"
	"github.com/headroom-project/headroom/capacity/planning"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/reports"
	"github.com/headroom-project/headroom/scenarios"
)

func planCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "plan",
		Usage:     "plan replicas, cost and time for a peak, from a bundle or other results",
		ArgsUsage: "BUNDLE | points.csv | RESULTS ...",
		Description: `Takes what a measurement of one replica found, and says how many replicas a peak
needs, what they cost, at which load an autoscaler should act, and when demand will
have outgrown them. What a scenario says under capacity is the default.

   headroom plan runs/20260102T150405Z-shop --peak 3000 --growth 5%/month --lose-zones 1/3
   headroom plan points.csv --slo 'p99<50ms' --peak 3000 --prices prices.yaml --json
   headroom plan BUNDLE --peak 3000 --prices prices.yaml --instance c7g.xlarge --mix buy=30%
   headroom plan --scale-out BUNDLE1@1 BUNDLE2@2 BUNDLE4@4

The exit code is 1 if no number of replicas of --scale-out up to 1000 carries the peak, and 3 if the
measurement does not show a capacity that meets the objectives.`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.Float64Flag{Name: "peak", Usage: "the highest load of production in `RPS`"},
			&cli.StringFlag{Name: "growth", Usage: "how the peak grows, such as 5%/month; 0%/month for not at all"},
			&cli.StringFlag{Name: "lose-zones", Usage: "survive the loss of so many of so many zones: 1/3"},
			&cli.IntFlag{Name: "spare", Usage: "`N` replicas may fail besides"},
			&cli.IntFlag{Name: "replicas", Usage: "`N` replicas run today: the day is when these are used up"},
			&cli.StringSliceFlag{Name: "prices", Usage: "a price list: a YAML `FILE`, or vcpu_hour=0.04,gb_hour=0.005; another one is a what-if"},
			&cli.StringSliceFlag{Name: "instance", Usage: "what if a replica ran on this `TYPE`: a name in the price list, or vcpu=4,memory_gb=8,hour=0.17; may be repeated"},
			&cli.StringSliceFlag{Name: "mix", Usage: "what if the mix shifted: `NAME=SHARE`, such as buy=30%; may be repeated"},
			&cli.StringFlag{Name: "ramp", Value: "5%/minute", Usage: "how fast the load rises at most, for the autoscaler"},
			&cli.DurationFlag{Name: "lag", Value: 90 * time.Second, Usage: "how long a new replica takes until it serves"},
			&cli.BoolFlag{Name: "scale-out", Usage: "the arguments are measurements at several replica counts: BUNDLE@N"},
			&cli.StringFlag{Name: "worth", Value: "50%", Usage: "with --scale-out: a further replica pays if it adds this share of what the first one carries"},
			&cli.StringSliceFlag{Name: "slo", Usage: "an `OBJECTIVE` such as 'p99<50ms'; may be repeated; a bundle has its own"},
			&cli.StringFlag{Name: "from", Usage: "whose results the files are, if that cannot be seen: " + strings.Join(importer.Tools(), ", ")},
			&cli.StringFlag{Name: "now", Usage: "the `DAY` to plan from, YYYY-MM-DD (default today)"},
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
		},
		Action: func(c *cli.Context) error {
			if c.Bool("scale-out") {
				return scaleOut(c, s)
			}
			return plan(c, s)
		},
	}
}

// planner holds what the plan and its what-ifs share.
type planner struct {
	c   *cli.Context
	src *source
	slo []scenarios.Objective
	// asked are slo, or the scenario's own objectives if none are given.
	asked   []scenarios.Objective
	run     *reports.Run
	service planning.Service
	cfg     planning.Config
	lists   []*planning.Prices
	// forecasts says that the scenario has a history of the demand.
	forecasts bool
}

func plan(c *cli.Context, s streams) error {
	p := &planner{c: c}
	if err := p.prepare(); err != nil {
		return err
	}
	out, err := p.plan()
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return reports.PlanJSON(s.out, out)
	}
	return reports.PlanText(s.out, out, textOptions(s))
}

// prepare reads the flags, then the measurement.
func (p *planner) prepare() error {
	var err error
	if p.slo, err = objectives(p.c.StringSlice("slo")); err != nil {
		return err
	}
	if p.cfg.Now, err = today(p.c.String("now")); err != nil {
		return err
	}
	for _, name := range p.c.StringSlice("prices") {
		list, err := readPrices(name)
		if err != nil {
			return err
		}
		if strings.Contains(name, "=") { // a list without a name is called by what it says
			list.Name = name
		}
		p.lists = append(p.lists, list)
	}
	if p.src, err = openSource("plan", p.c.Args().Slice(), p.c.String("from")); err != nil {
		return err
	}
	if err := p.demand(); err != nil {
		return err
	}
	if p.run, err = p.compute(nil); err != nil {
		return err
	}
	if err := unfounded("plan", p.src.name, "planned with", p.run); err != nil {
		return err
	}
	var ok bool
	if p.service, ok = reports.ServiceOf(p.run); !ok {
		return &codedError{exitInvalid, fmt.Errorf("plan: %s shows no capacity that a plan could rest on: %s", p.src.name, strings.Join(p.run.Reasons, "; ")),
			"headroom fit " + p.src.name + " says what would identify it"}
	}
	return nil
}

// demand takes what the flags say of peak and loss, else what the scenario says.
func (p *planner) demand() error {
	scenario := scenarios.Capacity{}
	p.asked = p.slo
	if p.src.evidence != nil {
		s, err := scenarios.Load(observation.ScenarioFile, p.src.evidence.Scenario, scenarios.LoadOptions{})
		if err != nil {
			return badInput("", "plan: %w", err)
		}
		scenario = s.Capacity
		if len(p.asked) == 0 {
			p.asked = s.Objectives
		}
	}
	growth := p.c.String("growth")
	if d := scenario.Demand; d != nil {
		p.cfg.Peak, p.forecasts = d.Peak, d.History != ""
		if growth == "" { // another peak grows no less
			growth = d.Growth
		}
	}
	if p.c.IsSet("peak") {
		p.cfg.Peak = p.c.Float64("peak")
	}
	if !(p.cfg.Peak > 0 && p.cfg.Peak <= 1e9) {
		if p.c.IsSet("peak") {
			return badInput("give it in requests per second", "plan: %g is no peak above 0 and up to 1e9 requests/s", p.cfg.Peak)
		}
		return badInput("headroom plan "+p.src.name+" --peak 3000", "plan: no peak above 0 to plan for")
	}
	if growth != "" {
		if err := grows(growth); err != nil {
			return err
		}
		g, err := scenarios.ParseGrowth(growth)
		if err != nil {
			return badInput("write it like 5%/month", "--growth: %w", err)
		}
		p.cfg.Growth = &g
	}
	if r := scenario.Redundancy; r != nil {
		p.cfg.Zones, p.cfg.Survive = r.Zones, r.Survive
	}
	if x := scenario.Prices; x != nil && len(p.lists) == 0 {
		p.lists = append(p.lists, &planning.Prices{Name: "the scenario's prices", Prices: *x})
	}
	return p.losses()
}

func (p *planner) losses() error {
	if text := p.c.String("lose-zones"); text != "" {
		lost, of, ok := strings.Cut(text, "/")
		survive, err1 := strconv.Atoi(lost)
		zones, err2 := strconv.Atoi(of)
		if !ok || err1 != nil || err2 != nil || survive < 1 || survive >= zones || zones > 1000 {
			return badInput("write it like 1/3: one of three zones", "--lose-zones %q", text)
		}
		p.cfg.Zones, p.cfg.Survive = zones, survive
	}
	p.cfg.Spare, p.cfg.Replicas = p.c.Int("spare"), p.c.Int("replicas")
	if p.c.IsSet("replicas") && p.cfg.Replicas == 0 {
		return badInput("leave it out to plan for a service that does not run yet", "plan: --replicas 0: no replica runs today")
	}
	if p.cfg.Spare < 0 || p.cfg.Replicas < 0 || p.cfg.Spare > 1e6 || p.cfg.Replicas > 1e6 {
		return badInput("give a count of replicas", "plan: --spare and --replicas are not below 0")
	}
	ramp, err := ramp(p.c.String("ramp"))
	if err != nil {
		return err
	}
	p.cfg.Ramp, p.cfg.Lag = ramp, p.c.Duration("lag")
	if p.cfg.Lag < 0 || p.cfg.Lag > 24*time.Hour {
		return badInput("write it like 90s", "--lag %s is not between 0s and 24h", p.cfg.Lag)
	}
	return nil
}

var rampForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)%/(second|minute|hour)$`)

// ramp reads 5%/minute as a ratio per second.
func ramp(text string) (float64, error) {
	m := rampForm.FindStringSubmatch(text)
	if m == nil {
		return 0, badInput("write it like 5%/minute; second and hour are known too", "--ramp %q", text)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, badInput("write it like 5%/minute", "--ramp %q", text)
	}
	return v / 100 / map[string]float64{"second": 1, "minute": 60, "hour": 3600}[m[2]], nil
}

// today is the day given, or the present one.
func today(text string) (time.Time, error) {
	if text == "" {
		return time.Now(), nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, badInput("write it like 2026-03-02", "--now %q is no day", text)
}

// compute asks the model with a price list.
func (p *planner) compute(list *planning.Prices) (*reports.Run, error) {
	q := reports.Question{Objectives: p.slo, Fit: true}
	if list != nil {
		q.Prices = &list.Prices
	}
	return p.src.compute(q, 1)
}

// plan makes the plan and the what-ifs.
func (p *planner) plan() (*reports.Planned, error) {
	out := &reports.Planned{Schema: reports.PlanSchema, Source: p.src.name, Objective: p.run.Capacity.Objective, Now: p.cfg.Now.UTC().Format(time.DateOnly), WhatIf: []reports.WhatIf{}}
	var list *planning.Prices
	if len(p.lists) > 0 {
		list = p.lists[0]
	}
	var err error
	if out.Plan, err = p.priced(p.service, list, nil, nil); err != nil {
		return nil, badInput("", "plan: %w", err)
	}
	if p.forecasts && out.Plan.ExhaustedOn != "" {
		out.Plan.Warnings = append(out.Plan.Warnings, "the day is by the growth; that of the report (headroom.exhausted_on) is by the forecast of the scenario's history")
	}
	for _, text := range p.c.StringSlice("instance") {
		name, instance, err := planning.ParseInstance(text, list)
		if err != nil {
			return nil, badInput("list it in the price list under instances, or write vcpu=4,memory_gb=8,hour=0.17", "--instance: %w", err)
		}
		x, err := p.on(instance, list)
		out.WhatIf = append(out.WhatIf, whatIf("instance "+name, x, err))
	}
	for _, other := range p.lists[min(1, len(p.lists)):] {
		x, err := p.priced(p.service, other, nil, nil)
		out.WhatIf = append(out.WhatIf, whatIf("prices "+other.Name, x, err))
	}
	for _, text := range p.c.StringSlice("mix") {
		shares, err := mix(text)
		if err != nil {
			return nil, err
		}
		service, notes, err := p.service.WithMix(shares)
		switch {
		case err == nil:
		case !errors.Is(err, planning.ErrNotAttributed):
			return nil, badInput("name the scenario's requests, with shares up to 100%", "plan: --mix %s: %w", text, err)
		default:
			return nil, &codedError{exitInvalid, fmt.Errorf("plan: --mix %s: %w", text, err), "headroom drill SCENARIO.yaml --attribute varies the mix on purpose"}
		}
		x, err := p.priced(service, list, nil, notes)
		out.WhatIf = append(out.WhatIf, whatIf("mix "+text, x, err))
	}
	return out, nil
}

// on plans for another instance type. Slower cores make a request take longer even alone, so that
// the objectives on responses are asked of the model as much tighter.
func (p *planner) on(instance planning.Instance, list *planning.Prices) (*planning.Plan, error) {
	longer := p.service.Longer(instance.Speed)
	if longer <= 1 {
		service, notes := p.service.On(instance)
		if instance.Speed < 1 {
			notes = append(notes, "how long a request takes on slower cores is not known: the objectives on responses may break earlier there")
		}
		return p.priced(service, list, &instance, notes)
	}
	asked := slices.Clone(p.asked)
	for i, o := range asked {
		if o.Unit() == scenarios.UnitMillis {
			asked[i].Value /= longer
		}
	}
	r, err := p.src.compute(reports.Question{Objectives: asked, Fit: true}, 1)
	if err != nil {
		return nil, err
	}
	if why := r.Unfounded(); why != "" {
		return nil, errors.New(why)
	}
	measured, ok := reports.ServiceOf(r)
	if !ok {
		return nil, fmt.Errorf("no load that was offered would meet the objectives there: a request takes %.3g times as long", longer)
	}
	service, notes := measured.On(instance)
	notes = append(notes, fmt.Sprintf("slower cores make a request take %.3g times as long, by the share of it that they work: the objectives are asked of the measurement as much tighter", longer))
	return p.pricedOf(measured, service, list, &instance, notes)
}

func whatIf(name string, x *planning.Plan, err error) reports.WhatIf {
	if err != nil {
		return reports.WhatIf{Name: name, Error: err.Error()}
	}
	return reports.WhatIf{Name: name, Plan: x}
}

// priced plans with a price list, whose marginal cost comes from the model.
func (p *planner) priced(s planning.Service, list *planning.Prices, instance *planning.Instance, notes []string) (*planning.Plan, error) {
	return p.pricedOf(p.service, s, list, instance, notes)
}

// pricedOf does so where the service was moved from one that was measured.
func (p *planner) pricedOf(measured, s planning.Service, list *planning.Prices, instance *planning.Instance, notes []string) (*planning.Plan, error) {
	cfg := p.cfg
	cfg.Prices, cfg.Instance = list, instance
	if list != nil {
		r, err := p.compute(list)
		if err != nil {
			return nil, err
		}
		// What fails goes with how near a replica is to its capacity, on another instance too.
		cfg.Good = func(each float64) float64 {
			return reports.GoodShare(r, each*measured.Capacity.Value/s.Capacity.Value)
		}
		if instance != nil { // how much a request takes there is not priced
			return p.made(s, cfg, notes)
		}
		cfg.Marginal = func(each float64) *planning.Estimate {
			parts, basis := reports.MarginalParts(r, p.service.Alike(each, s))
			f := p.service.Marginal(parts, s)
			if f == nil {
				return nil
			}
			return &planning.Estimate{Figure: *f, Basis: basis}
		}
	}
	return p.made(s, cfg, notes)
}

// made makes a plan that says what is assumed on the way.
func (p *planner) made(s planning.Service, cfg planning.Config, notes []string) (*planning.Plan, error) {
	s.Basis.Warnings = slices.Concat(s.Basis.Warnings, notes)
	x, err := planning.Make(s, cfg)
	if err != nil {
		return nil, err
	}
	x.Warnings = append(x.Warnings, notes...)
	return x, nil
}

// mix reads buy=30% or buy=30%,browse=70%.
func mix(text string) (map[string]float64, error) {
	shares := map[string]float64{}
	for part := range strings.SplitSeq(text, ",") {
		at := strings.LastIndex(part, "=")
		if at <= 0 {
			return nil, badInput("write it like buy=30%", "--mix %q", text)
		}
		v, err := share(part[at+1:])
		if err != nil {
			return nil, badInput("write it like buy=30%", "--mix %q: %w", text, err)
		}
		shares[strings.TrimSpace(part[:at])] = v
	}
	return shares, nil
}
