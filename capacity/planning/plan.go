package planning

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/headroom-project/headroom/scenarios"
)

const (
	hoursPerMonth = 8766.0 / 12
	million       = 1e6
	gigabyte      = 1e9
	// mostReplicas is where a plan gives up.
	mostReplicas = 1_000_000
	// outlook is for how many months a growth is laid out.
	outlook = 12
)

// Config says what is planned for.
type Config struct {
	// Peak is the highest load of production, in requests/s.
	Peak float64
	// Growth of the peak; nil for none.
	Growth *scenarios.Growth
	// Zones and Survive: of so many zones so many may be lost; 0 zones for none.
	Zones, Survive int
	// Spare replicas may fail besides.
	Spare int
	// Replicas that run today, for the day the room is used up; 0 for those planned.
	Replicas int
	// Prices are nil for no cost; Instance says what a replica runs on, nil for
	// what was measured.
	Prices   *Prices
	Instance *Instance
	// Marginal is what a million more requests use, priced; nil if not known.
	Marginal *Figure
	// Ramp is by how much of itself the load rises in a second at most, and Lag how
	// long a new replica takes to serve.
	Ramp float64
	Lag  time.Duration
	// Now is today.
	Now time.Time
}

// Plan is what a peak needs.
type Plan struct {
	PeakRPS float64 `json:"peak_rps"`
	// PerReplica is the capacity that was planned with, in requests/s.
	PerReplica Figure `json:"per_replica_rps"`
	// Carrying replicas carry the peak, Replicas also survive what may fail; both
	// on the low end of the capacity. The interval is that of the capacity.
	Carrying int    `json:"carrying"`
	Replicas int    `json:"replicas"`
	Between  [2]int `json:"replicas_between"`
	// Utilisation is how much of PerReplica.Low each takes at the peak, and after
	// the loss.
	Utilisation      float64 `json:"utilisation"`
	UtilisationAfter float64 `json:"utilisation_after_loss"`

	Autoscaler *Autoscaler `json:"autoscaler,omitempty"`
	Cost       *Cost       `json:"cost,omitempty"`
	// Today is how many replicas run today; 0 if that was not said.
	Today int `json:"replicas_today,omitempty"`
	// ExhaustedOn is the day (YYYY-MM-DD) on which the replicas, of today or else of the
	// plan, no longer carry the peak through the loss; empty if the demand does not grow
	// so far.
	ExhaustedOn string `json:"exhausted_on,omitempty"`
	// ExhaustedBetween are that day at the low and at the high end of the capacity.
	ExhaustedBetween []string `json:"exhausted_between,omitempty"`
	Months           []Month  `json:"months,omitempty"`
	Warnings         []string `json:"warnings"`
}

// Cost is what the replicas cost.
type Cost struct {
	Currency string `json:"currency"`
	// ReplicaHour is the price of a replica for an hour.
	ReplicaHour float64 `json:"replica_hour"`
	// PerMillion is the cost of a million requests at the peak, Marginal what a
	// million more use.
	PerMillion Figure  `json:"per_million"`
	Marginal   *Figure `json:"marginal_per_million,omitempty"`
	// PerMonth is for replicas that run all month; egress is not in it.
	PerMonth Figure `json:"per_month"`
	// EgressPerMillion is what the answers to a million requests cost to send.
	EgressPerMillion float64 `json:"egress_per_million"`
}

// Month is a month of a growing demand.
type Month struct {
	Month    string  `json:"month"` // YYYY-MM
	PeakRPS  float64 `json:"peak_rps"`
	Replicas int     `json:"replicas"`
	PerMonth float64 `json:"per_month,omitempty"`
}

// Make plans for a service. It fails if the capacity or the peak is not known.
func Make(s Service, c Config) (*Plan, error) {
	switch {
	case !(c.Peak > 0) || c.Peak > 1e12:
		return nil, fmt.Errorf("the peak of %g requests/s is not above 0", c.Peak)
	case !(s.Capacity.Low > 0):
		return nil, fmt.Errorf("the low end of the capacity is %g requests/s: the drill does not say how much a replica carries for sure", s.Capacity.Low)
	case c.Zones < 0 || c.Survive < 0 || c.Survive > 0 && c.Survive >= c.Zones || c.Spare < 0:
		return nil, fmt.Errorf("%d of %d zones cannot be lost", c.Survive, c.Zones)
	}
	p := &Plan{PeakRPS: c.Peak, PerReplica: s.Capacity, Today: c.Replicas, Warnings: []string{}}
	var ok bool
	if p.Carrying, p.Replicas, ok = c.replicas(c.Peak, s.Capacity.Low); !ok {
		return nil, fmt.Errorf("more than %d replicas", mostReplicas)
	}
	_, fewest, _ := c.replicas(c.Peak, s.Capacity.High)
	p.Between = [2]int{min(fewest, p.Replicas), p.Replicas}
	p.Utilisation = c.Peak / (float64(p.Replicas) * s.Capacity.Low)
	p.UtilisationAfter = c.Peak / (float64(c.left(p.Replicas)) * s.Capacity.Low)
	p.Autoscaler = s.autoscaler(c, p)
	p.doubts(s, c)
	p.cost(s, c)
	p.exhaustion(s, c)
	p.months(s, c)
	return p, nil
}

// replicas returns how many carry a peak, and how many there must be.
func (c Config) replicas(peak, each float64) (carrying, all int, ok bool) {
	n := math.Ceil(peak/each - 1e-9)
	if !(n <= mostReplicas) {
		return 0, 0, false
	}
	carrying = max(int(n), 1)
	for all = carrying + c.Spare; c.left(all) < carrying; all++ {
		if all > 100*mostReplicas {
			return 0, 0, false
		}
	}
	return carrying, all, true
}

// left is how many of n replicas remain after the loss: spread evenly over the zones, the
// spare ones too, a lost zone takes those of the fullest, and as many as are spare fail
// besides.
func (c Config) left(n int) int {
	lost := c.Spare
	if c.Survive > 0 {
		lost += c.Survive*(n/c.Zones) + min(n%c.Zones, c.Survive)
	}
	return n - lost
}

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

func (p *Plan) doubts(s Service, c Config) {
	if s.AtLeast {
		p.warn("the capacity is at least %.4g/s, as every load offered met the objectives: fewer replicas may do", s.Capacity.Low)
	}
	if s.Predicted {
		p.warn("the capacity of a replica was predicted and not offered: confirm it by a drill that goes there")
	}
	if carried := float64(max(c.left(c.Replicas), 0)) * s.Capacity.Low; c.Replicas > 0 && carried < c.Peak {
		p.warn("the %d replicas that run today carry %.4g/s for sure, less than the peak of %.4g/s (counted after what may fail)", c.Replicas, carried, c.Peak)
	}
	if p.Autoscaler != nil && p.Autoscaler.Max > p.Replicas {
		p.warn("at its target the autoscaler runs %d replicas at the peak, and the cost is of %d: what they keep free for the time that a new one takes to start, and for a loss on the way there, is not priced", p.Autoscaler.Max, p.Replicas)
	}
	if c.Survive == 0 && c.Spare == 0 {
		p.warn("nothing may fail: without --lose-zones or --spare the loss of one replica takes the others above their capacity")
	}
	if p.Replicas > 1 {
		p.warn("replicas are taken to add up; what they share (a database, a lock) is not in the drill of one: headroom plan --scale-out fits drills at several counts")
	}
}

// cost prices the replicas.
func (p *Plan) cost(s Service, c Config) {
	if c.Prices == nil {
		return
	}
	hour, without := c.hour(s)
	if len(without) > 0 {
		p.warn("the cost leaves %s out: how much a replica has is not known; hint: --instance vcpu=2,memory_gb=4", strings.Join(without, " and "))
	}
	if s.BytesPerRequest == 0 && c.Prices.EgressGB > 0 {
		p.warn("egress is left out: the size of an answer is not known")
	}
	if hour == 0 && (s.BytesPerRequest == 0 || c.Prices.EgressGB == 0) {
		return
	}
	x := &Cost{Currency: c.Prices.Currency, ReplicaHour: hour, Marginal: c.Marginal}
	x.EgressPerMillion = million * s.BytesPerRequest / gigabyte * c.Prices.EgressGB
	each := func(n int) float64 { return float64(n) * hour }
	perMillion := func(n int) float64 { return million*each(n)/(3600*c.Peak) + x.EgressPerMillion }
	x.PerMillion = Figure{perMillion(p.Replicas), perMillion(p.Between[0]), perMillion(p.Between[1])}
	x.PerMonth = Figure{each(p.Replicas), each(p.Between[0]), each(p.Between[1])}.times(hoursPerMonth)
	p.Cost = x
}

// hour is the price of a replica for an hour, and which part is left out as its
// size is not known.
func (c Config) hour(s Service) (price float64, without []string) {
	if c.Instance != nil && c.Instance.Hour > 0 {
		return c.Instance.Hour, nil
	}
	if s.VCPU == 0 && c.Prices.VCPUHour > 0 {
		without = append(without, "cores")
	}
	if s.MemoryBytes == 0 && c.Prices.GBHour > 0 {
		without = append(without, "memory")
	}
	return c.Prices.VCPUHour*s.VCPU + c.Prices.GBHour*s.MemoryBytes/gigabyte, without
}

// exhaustion finds the day on which growth has used up the replicas.
func (p *Plan) exhaustion(s Service, c Config) {
	if c.Growth == nil {
		return
	}
	n := c.Replicas
	if n == 0 {
		n = p.Replicas
	}
	carries := float64(c.left(n))
	day := func(each float64) string {
		after, ok := c.Growth.Reaches(carries * each / c.Peak)
		if !ok {
			return ""
		}
		return c.Now.Add(after).UTC().Format(time.DateOnly)
	}
	if c.Growth.Ratio <= 0 && carries*s.Capacity.Low >= c.Peak {
		p.warn("the demand does not grow: the replicas carry it for as long as it does not")
	}
	p.ExhaustedOn = day(s.Capacity.Low)
	if p.ExhaustedOn != "" {
		latest := day(s.Capacity.High)
		if latest == "" {
			latest = "later than a century"
		}
		p.ExhaustedBetween = []string{p.ExhaustedOn, latest}
	}
}

// monthsOn is the same day so many months on, or the last of that month.
func monthsOn(now time.Time, months int) time.Time {
	at := now.AddDate(0, months, 0)
	if at.Day() != now.Day() {
		at = at.AddDate(0, 0, -at.Day()) // it went over into the next month
	}
	return at
}

func (p *Plan) months(s Service, c Config) {
	if c.Growth == nil || c.Growth.Ratio <= 0 {
		return
	}
	for k := 0; k <= outlook; k++ {
		at := monthsOn(c.Now.UTC(), k)
		peak := c.Peak * c.Growth.After(at.Sub(c.Now))
		_, n, ok := c.replicas(peak, s.Capacity.Low)
		if !ok {
			return
		}
		m := Month{Month: at.UTC().Format("2006-01"), PeakRPS: peak, Replicas: n}
		if p.Cost != nil {
			m.PerMonth = float64(n) * p.Cost.ReplicaHour * hoursPerMonth
		}
		p.Months = append(p.Months, m)
	}
}
