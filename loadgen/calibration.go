package loadgen

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// CalibrationSchema names the form of a calibration that is kept in a file.
const CalibrationSchema = "headroom.calibration/v1"

// Calibration is what the generator can do on a machine: below its floor and
// above its ceiling, figures are the generator's own.
type Calibration struct {
	Schema   string    `json:"schema"`
	Measured time.Time `json:"measured"`
	Engine   string    `json:"engine"`
	CPUs     int       `json:"cpus"`
	// Precise and Economical are the two kinds of pacing.
	Precise    Floor `json:"precise"`
	Economical Floor `json:"economical"`
	// CeilingRPS is what one worker sends at most, and CeilingCPU what a request
	// then costs it.
	CeilingRPS float64 `json:"ceiling_rps"`
	CeilingCPU float64 `json:"ceiling_cpu_us"`
}

// Floor is what is measured of a target that answers at once.
type Floor struct {
	OfferedRPS float64 `json:"offered_rps"`
	P50        float64 `json:"p50_ms"` // of the response
	P99        float64 `json:"p99_ms"`
	LagP50     float64 `json:"send_lag_p50_ms"`
	LagP99     float64 `json:"send_lag_p99_ms"`
	CPU        float64 `json:"cpu_us"` // of the generator, for a request
}

// CalibrateConfig is what Calibrate needs.
type CalibrateConfig struct {
	// URL is a target that answers at once, from a process of its own.
	URL  string
	CPUs int
	// CPU is the time that this process has used of its cores; nil if unknown.
	CPU func() time.Duration
	// Now is the wall clock, to date the result.
	Now func() time.Time
	// Say is told what is being measured.
	Say func(string)
}

// How a calibration measures.
const (
	floorRPS      = 10_000
	floorLasts    = 2 * time.Second
	floorRounds   = 3 // the median of which counts
	ceilingUsers  = 64
	ceilingLasts  = 3 * time.Second
	calibrateBody = 1 << 10
)

// Calibrate measures this machine, in about 16 s.
func Calibrate(ctx context.Context, cfg CalibrateConfig) (Calibration, error) {
	out := Calibration{Schema: CalibrationSchema, Measured: cfg.Now().UTC().Truncate(time.Second), CPUs: cfg.CPUs}
	for _, m := range []struct {
		name    string
		precise bool
		floor   *Floor
	}{{"precise", true, &out.Precise}, {"economical", false, &out.Economical}} {
		cfg.Say(fmt.Sprintf("floor, %s: %d rounds of %v at %d req/s", m.name, floorRounds, floorLasts, floorRPS))
		var rounds []Floor
		for range floorRounds {
			p, cpu, engine, err := cfg.measure(ctx, scenarios.LoadSpec{
				Arrivals: scenarios.Poisson, Seed: 1,
				Constant: &scenarios.ConstantLoad{Rate: floorRPS, Duration: scenarios.Duration(floorLasts)},
			}, m.precise)
			if err != nil {
				return out, err
			}
			out.Engine = engine
			rounds = append(rounds, Floor{OfferedRPS: floorRPS, P50: p.Response.P50, P99: p.Response.P99, LagP50: p.SendLag.P50, LagP99: p.SendLag.P99, CPU: cpu})
		}
		*m.floor = middle(rounds)
	}
	cfg.Say(fmt.Sprintf("ceiling: %d users for %v", ceilingUsers, ceilingLasts))
	p, cpu, _, err := cfg.measure(ctx, scenarios.LoadSpec{
		Arrivals: scenarios.Poisson, Seed: 1,
		Closed: &scenarios.ClosedLoad{Users: ceilingUsers, Duration: scenarios.Duration(ceilingLasts)},
	}, false)
	out.CeilingRPS, out.CeilingCPU = p.Throughput, cpu
	return out, err
}

// middle is the round with the median p99.
func middle(rounds []Floor) Floor {
	best := rounds[0]
	for _, r := range rounds {
		below := 0
		for _, x := range rounds {
			if x.P99 < r.P99 {
				below++
			}
		}
		if below == len(rounds)/2 {
			best = r
		}
	}
	return best
}

// measure offers a load, and returns its point and the CPU time in us of a request.
func (cfg CalibrateConfig) measure(ctx context.Context, load scenarios.LoadSpec, precise bool) (p observation.Point, cpu float64, engine string, err error) {
	s, err := scenarios.ForURL(cfg.URL, nil)
	if err != nil {
		return p, 0, "", err
	}
	s.Load, s.Safety.MaxRPS = load, floorRPS
	plan, err := scenarios.Compile(s)
	if err != nil {
		return p, 0, "", err
	}
	began := time.Now()
	const at = 10 * time.Millisecond
	r := observation.NewReducer()
	step := plan.Steps[len(plan.Steps)-1]
	r.Begin(observation.StepRecord{Index: step.Index, Kind: step.Kind, From: step.From, To: step.To, Users: step.Users, Start: at, Lasts: step.Lasts})
	c := attack.Config{
		Slice: plan.Slice(0, 1), Worker: "calibrate", Users: step.Users, MaxBody: calibrateBody, Precise: precise,
		Now: func() time.Duration { return time.Since(began) }, Emit: func(w *observation.Window) { r.Add(w) },
	}
	if c.Requests, err = scenarios.CompileRequests(s, scenarios.Inputs{}); err != nil {
		return p, 0, "", err
	}
	if c.Allow, err = attack.NewAllowList(nil); err != nil {
		return p, 0, "", err
	}
	a, err := attack.New(c)
	if err != nil {
		return p, 0, "", err
	}
	before := cfg.used()
	a.Offer(step, at)
	a.Finish()
	if err := a.Run(ctx); err != nil {
		return p, 0, "", fmt.Errorf("calibrate: %w", err)
	}
	used := cfg.used() - before
	if p, err = r.Point(step.Index); err != nil {
		return p, 0, "", err
	}
	if p.OK == 0 || p.Failed > 0 {
		return p, 0, "", fmt.Errorf("calibrate: %d hits succeeded and %d failed: %v", p.OK, p.Failed, p.Errors)
	}
	return p, float64(used.Nanoseconds()) / 1000 / float64(p.OK), attack.EngineFor(c.Requests), nil
}

func (cfg CalibrateConfig) used() time.Duration {
	if cfg.CPU == nil {
		return 0
	}
	return cfg.CPU()
}

// Shares of floor and ceiling within which a drill is near them.
const (
	nearFloor   = 3.0 // times the floor's p99
	nearCeiling = 0.7 // of the ceiling
)

// Check refuses what no calibration says.
func (c *Calibration) Check() error {
	if c.Schema != CalibrationSchema {
		return fmt.Errorf("schema %q is not that of a calibration, %s", c.Schema, CalibrationSchema)
	}
	for _, v := range []float64{c.Precise.P99, c.Economical.P99, c.CeilingRPS, c.CeilingCPU} {
		if !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("a calibration with a figure of %v", v)
		}
	}
	return nil
}

// Weakest is the calibration of workers who share a load evenly: the highest of
// their floors, for each pacing, and the lowest of their ceilings. It is nil of none.
func Weakest(list []Calibration) *Calibration {
	if len(list) == 0 {
		return nil
	}
	out := list[0]
	for _, c := range list[1:] {
		if c.Precise.P99 > out.Precise.P99 {
			out.Precise = c.Precise
		}
		if c.Economical.P99 > out.Economical.P99 {
			out.Economical = c.Economical
		}
		if c.CeilingRPS < out.CeilingRPS {
			out.CeilingRPS, out.CeilingCPU, out.CPUs, out.Measured = c.CeilingRPS, c.CeilingCPU, c.CPUs, c.Measured
		}
	}
	return &out
}

// Floor is that of the pacing that objectives ask for.
func (c *Calibration) Floor(objectives []scenarios.Objective) Floor {
	if Precise(objectives) {
		return c.Precise
	}
	return c.Economical
}

// Concerns returns what a calibration has to say of a drill: what it comes near
// to, as warnings, and what it asks for beyond, for which its steps are invalid.
// workers share the load.
func (c *Calibration) Concerns(objectives []scenarios.Objective, step scenarios.Step, workers int) (near, beyond []string) {
	floor := c.Floor(objectives)
	for _, o := range objectives {
		if o.Unit() != scenarios.UnitMillis || floor.P99 <= 0 {
			continue
		}
		switch {
		case o.Value < floor.P99:
			beyond = append(beyond, fmt.Sprintf("the objective %s is below what the generator itself shows of a target that answers at once (p99 %.3g ms); use an idle or faster machine, and calibrate it again (headroom calibrate)", o, floor.P99))
		case o.Value < nearFloor*floor.P99:
			near = append(near, fmt.Sprintf("the objective %s is near what the generator itself shows of a target that answers at once (p99 %.3g ms): a part of what is measured is the generator's", o, floor.P99))
		}
	}
	ceiling, peak := c.CeilingRPS*float64(max(workers, 1)), step.Peak()
	switch {
	case ceiling <= 0:
	case peak > ceiling:
		beyond = append(beyond, fmt.Sprintf("%.0f req/s are more than the generator can send here (%.0f); spread the load over more workers", peak, ceiling))
	case peak > nearCeiling*ceiling:
		near = append(near, fmt.Sprintf("%.0f req/s are near what the generator can send here (%.0f): its own lateness grows", peak, ceiling))
	}
	return near, beyond
}
