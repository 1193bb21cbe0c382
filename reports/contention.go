package reports

import (
	"fmt"

	"github.com/headroom-project/headroom/capacity"
)

// Contention is what requests in flight cost one another: the Universal Scalability
// Law of the throughput over the mean number in flight, below saturation. It
// explains, and predicts nothing.
type Contention struct {
	// Law is linear, amdahl or usl: the simplest that the steps ask for.
	Law string `json:"law"`
	// Sigma is the share of a request during which it has the target to itself
	// (0..1), Kappa what each pair in flight costs besides, as a ratio of the time of
	// one alone. A value of 0 is not asked for by the steps, which then exclude High.
	Sigma Estimate `json:"sigma"`
	Kappa Estimate `json:"kappa"`
	// AloneRPS is the throughput of one request at a time.
	AloneRPS Estimate `json:"alone_rps"`
	// PeakInFlight is how many in flight give the greatest throughput, PeakRPS; left
	// out where throughput was not seen to fall.
	PeakInFlight float64 `json:"peak_in_flight,omitempty"`
	PeakRPS      float64 `json:"peak_rps,omitempty"`
	// FromInFlight and ToInFlight bound the mean numbers in flight that were seen.
	FromInFlight float64 `json:"from_in_flight"`
	ToInFlight   float64 `json:"to_in_flight"`
	Meaning      string  `json:"meaning"`
}

func contentionOf(x *capacity.Contention) *Contention {
	if x == nil {
		return nil
	}
	return &Contention{
		Law: x.Law, Sigma: estimate(x.Sigma), Kappa: estimate(x.Kappa), AloneRPS: estimate(x.Alone),
		PeakInFlight: x.PeakInFlight, PeakRPS: x.PeakRPS, FromInFlight: x.From, ToInFlight: x.To, Meaning: x.Meaning,
	}
}

// contentionLines say what it means, and the figures behind it.
func contentionLines(r *Run, dash string) []string {
	c := r.Contention
	if c == nil || figureless(r) {
		return nil
	}
	small := func(v float64) string { return fmt.Sprintf("%.3g", v) }
	span := func(name string, e Estimate) string {
		return fmt.Sprintf("%s %s (%s%s%s)", name, small(e.Value), small(e.Low), dash, small(e.High))
	}
	lines := []string{
		sentenceCase(clean(c.Meaning)),
		sentenceCase(fmt.Sprintf("%s, %s, of %s%s%s requests in flight; it explains, and predicts no capacity", span("sigma", c.Sigma), span("kappa", c.Kappa),
			perSecond(c.FromInFlight), dash, perSecond(c.ToInFlight))),
	}
	return nonEmpty(lines)
}
