package planning

import (
	"fmt"
	"math"
	"slices"
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
	// Marginal is what a million more requests use where a replica has such a load, priced;
	// it returns nil if that is not known, and may itself be nil.
	Marginal func(each float64) *Estimate
	// Good is the share of such a load that is answered OK; nil for all.
	Good func(each float64) float64
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
	PerReplica Estimate `json:"per_replica_rps"`
	// Carrying replicas carry the peak, Replicas also survive what may fail; both
	// on the low end of the capacity. The interval is that of the capacity.
	Carrying int    `json:"carrying"`
	Replicas int    `json:"replicas"`
	Between  [2]int `json:"replicas_between"`
	// Basis is that of the replicas.
	Basis Basis `json:"basis"`
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
	// ExhaustedBetween are that day at the low and at the high end of the capacity, and
	// ExhaustedExpectedOn is the day by its value, which for one replica is
	// headroom.exhausted_on of run.json. A plan goes by the low end, as its replicas do.
	ExhaustedBetween    []string `json:"exhausted_between,omitempty"`
	ExhaustedExpectedOn string   `json:"exhausted_expected_on,omitempty"`
	// ExhaustedBasis is that of the days; nil without one.
	ExhaustedBasis *Basis   `json:"exhausted_basis,omitempty"`
	Months         []Month  `json:"months,omitempty"`
	Warnings       []string `json:"warnings"`
}

// Cost is what the replicas cost.
type Cost struct {
	Currency string `json:"currency"`
	// ReplicaHour is the price of a replica for an hour.
	ReplicaHour float64 `json:"replica_hour"`
	// PerMillion is the cost of a million good requests at the peak, Marginal what a
	// million more use.
	PerMillion Estimate  `json:"per_million"`
	Marginal   *Estimate `json:"marginal_per_million,omitempty"`
	// PerMonth is for replicas that run all month; egress is not in it.
	PerMonth Estimate `json:"per_month"`
	// EgressPerMillion is what the answers to a million requests cost to send, and
	// EgressPerMonth those of a month that is all peak, which is the most that it can be.
	EgressPerMillion float64 `json:"egress_per_million"`
	EgressPerMonth   float64 `json:"egress_per_month"`
	// MonthAtMost is PerMonth and EgressPerMonth.
	MonthAtMost Estimate `json:"per_month_with_egress"`
}

// Month is a month of a growing demand.
type Month struct {
	Month    string  `json:"month"` // YYYY-MM
	PeakRPS  float64 `json:"peak_rps"`
	Replicas int     `json:"replicas"`
	PerMonth float64 `json:"per_month,omitempty"`
	// EgressPerMonth is at most that, as of Cost.
	EgressPerMonth float64 `json:"egress_per_month,omitempty"`
}

// Make plans for a service. It fails if the capacity or the peak is not known.
func Make(s Service, c Config) (*Plan, error) {
	switch {
	case !(c.Peak > 0) || c.Peak > 1e12:
		return nil, fmt.Errorf("the peak of %g requests/s is not above 0", c.Peak)
	case s.Unfit != nil:
		return nil, s.Unfit.unfit()
	case !(s.Capacity.Low > 0):
		return nil, fmt.Errorf("the low end of the capacity is %g requests/s: the drill does not say how much a replica carries for sure", s.Capacity.Low)
	case c.Zones < 0 || c.Survive < 0 || c.Survive > 0 && c.Survive >= c.Zones || c.Spare < 0:
		return nil, fmt.Errorf("%d of %d zones cannot be lost", c.Survive, c.Zones)
	}
	p := &Plan{PeakRPS: c.Peak, PerReplica: Estimate{s.Capacity, s.Basis}, Today: c.Replicas, Warnings: []string{}}
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
	p.Basis = Basis{Method: "the peak over the low end of the capacity, rounded up, and what may fail besides", Confidence: s.Basis.Confidence, Warnings: slices.Concat(s.Basis.Warnings, p.Warnings)}
	p.cost(s, c)
	p.exhaustion(s, c)
	p.months(s, c)
	return p, nil
}

// unfit says that what is used at rest does not fit into a limit.
func (l *Limit) unfit() error {
	amount := func(x float64) string { return fmt.Sprintf("%.3g", x) }
	if l.Resource == memory {
		amount = func(x float64) string { return fmt.Sprintf("%.3g GB", x/gigabyte) }
	}
	return fmt.Errorf("%s of %s is used at rest, and %s is all there is: it does not fit, and such a replica carries nothing", amount(l.law().Base), l.Resource, amount(l.Limit))
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
	before := len(p.Warnings)
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
	x := &Cost{Currency: c.Prices.Currency, ReplicaHour: hour}
	each, good := c.Peak/float64(p.Replicas), 1.0
	if c.Marginal != nil {
		x.Marginal = c.Marginal(each)
	}
	if c.Good != nil {
		good = c.Good(each)
	}
	x.EgressPerMillion = million * s.BytesPerRequest / gigabyte * c.Prices.EgressGB
	x.EgressPerMonth = x.EgressPerMillion * c.Peak * 3600 * hoursPerMonth / million
	basis := func(method string) Basis {
		return Basis{Method: method, Confidence: s.Basis.Confidence, Warnings: slices.Concat(s.Basis.Warnings, p.Warnings[before:])}
	}
	all := Figure{float64(p.Replicas), float64(p.Between[0]), float64(p.Between[1])}.times(hour)
	x.PerMillion = Estimate{all.times(million / (3600 * c.Peak)).plus(x.EgressPerMillion).times(1 / good), basis("all replicas, over what is answered OK of the load of the peak; egress by the size of the answers")}
	x.PerMonth = Estimate{all.times(hoursPerMonth), basis("all replicas for a month, without egress")}
	x.MonthAtMost = Estimate{x.PerMonth.plus(x.EgressPerMonth), basis("all replicas for a month, and egress as if all of it were the peak")}
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
		p.ExhaustedExpectedOn = day(s.Capacity.Value)
		p.ExhaustedBasis = &Basis{
			Method: "when growth has brought the peak to what the replicas carry after the loss, on the low end of the capacity", Confidence: s.Basis.Confidence,
			Warnings: slices.Concat(s.Basis.Warnings, []string{"the growth is taken to be as steady as was said: its own error is not in the interval"}),
		}
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
			m.EgressPerMonth = p.Cost.EgressPerMonth * peak / c.Peak
		}
		p.Months = append(p.Months, m)
	}
}
