package loadgen

import (
	"fmt"
	"math"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// Shares above which a step is invalid.
const (
	// LagShare is the share of the tightest latency objective that the send lag
	// may reach at the objective's quantile.
	LagShare = 0.2
	// lagFloor, in ms, is what is always allowed: the generator shares a machine
	// with others, and a lag below it is beside the point.
	lagFloor = 2.0
	// lagAlone, in ms, is allowed where no objective is about latency.
	lagAlone = 20.0
	// busyShare is the share of the generator's own CPU that counts as saturated.
	busyShare = 0.9
	// waitedShare is the share of hits that may wait for a connection.
	waitedShare = 0.01
)

// GeneratorCPU is the resource under which the generator reports its own CPU.
const GeneratorCPU = "generator.cpu"

// Judge marks a point as invalid when its figures do not speak of the target,
// and says why and what to do. It is a pure function of the point and the
// objectives, so that a report comes to the same result.
func Judge(p *observation.Point, objectives []scenarios.Objective) {
	ended := p.OK + p.Failed
	invalid := func(format string, args ...any) {
		p.Valid = false
		p.WhyInvalid = append(p.WhyInvalid, fmt.Sprintf(format, args...))
	}
	if p.Dropped > 0 && p.Cut == "" {
		invalid("%d planned hits were never sent", p.Dropped)
	}
	if ended == 0 {
		if p.Seconds > 0 {
			invalid("no hit ended in it")
		}
		return
	}
	for _, why := range audit(p) {
		invalid("%s", why)
	}
	limit, quantile := lagLimit(objectives)
	lag, _ := (&observation.Figures{Response: p.SendLag}).Metric(quantile)
	if lag > limit {
		invalid("send lag %s is %.3g ms, above %.3g ms: %s", quantile, lag, limit, lagCause(p))
	}
}

// lagLimit is the send lag in ms that is allowed, and at which quantile.
func lagLimit(objectives []scenarios.Objective) (limit float64, quantile string) {
	limit, quantile = lagAlone, "p99"
	tightest := math.Inf(1)
	for _, o := range objectives {
		if o.Unit() != scenarios.UnitMillis || o.Value >= tightest {
			continue
		}
		tightest = o.Value
		limit = max(lagFloor, LagShare*o.Value)
		quantile = o.Metric
	}
	if quantile == "max" || quantile == "mean" {
		quantile = "p99"
	}
	return limit, quantile
}

// lagCause names what made hits late, and what to do about it.
func lagCause(p *observation.Point) string {
	if float64(p.Waited) > waitedShare*float64(p.OK+p.Failed) {
		return fmt.Sprintf("all connections were busy when %d hits came due; raise target.connections, or read the response times as those of a client with this pool", p.Waited)
	}
	if u, ok := p.Resources[GeneratorCPU]; ok && u.Limit > 0 && u.Used > busyShare*u.Limit {
		return fmt.Sprintf("the generator used %.2f of %.2f cores; give it more, or spread the load over more workers", u.Used, u.Limit)
	}
	return "the generator was not run in time, other processes may be using its cores; give it a core of its own"
}

// Needed is the number of hits without which an objective's metric is not even
// defined: fewer cannot show that it holds.
func Needed(o scenarios.Objective) uint64 {
	switch o.Metric {
	case "p90":
		return 10
	case "p95":
		return 20
	case "p99":
		return 100
	case "p999":
		return 1000
	}
	return 2
}
