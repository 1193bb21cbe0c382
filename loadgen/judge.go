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
	// atItsEnd is the share of a step's hits, one in so many, that may be dropped by its
	// being ended early.
	atItsEnd = 500
)

// Judge marks a point as invalid when its figures do not speak of the target,
// and says why and what to do. It is a pure function of the point and the
// objectives, so that a report comes to the same result.
func Judge(p *observation.Point, objectives []scenarios.Objective) {
	ended := p.OK + p.Failed
	invalid := func(format string, args ...any) {
		p.Valid = false
		p.WhyInvalid = append(p.WhyInvalid, fmt.Sprintf(format, args...))
	}
	// Of a step that was ended, those that came due at that moment are not sent; were it more
	// of them, they waited in the generator for longer than that.
	if p.Dropped > 0 && p.Cut == "" && (p.Short == "" || p.Dropped > 1+ended/atItsEnd) {
		invalid("%d planned hits were never sent", p.Dropped)
	}
	if ended == 0 {
		if p.Seconds > 0 {
			invalid("no hit ended in it")
		}
		return
	}
	for _, why := range append(lacking(p), audit(p)...) {
		invalid("%s", why)
	}
	limit, quantile := lagLimit(objectives)
	lag, _ := (&observation.Figures{Response: p.SendLag}).Metric(quantile)
	if lag > limit {
		invalid("send lag %s is %.3g ms, above %.3g ms%s: %s", quantile, lag, limit, late(p, limit), lagCause(p))
	} else if why, is := saturated(p); is {
		invalid("%s", why)
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
