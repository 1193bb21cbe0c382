package reports

import "testing"

func TestSentence(t *testing.T) {
	one := sampleRun()
	one.Objectives = one.Objectives[:1]
	unknown := sampleRun()
	unknown.Saturation.Bottlenecks = []Bottleneck{{Resource: "unmeasured", Probability: 0.95, RPS: 402}}
	three := sampleRun()
	three.Objectives = append(three.Objectives, Objective{Text: "p50 < 30ms"})
	steps := fixedRun()
	steps.Steps = sampleRun().Steps[:4]
	free := fixedRun()
	free.Objectives = nil
	refused := &Run{Verdict: Invalid, Ended: "failed", EndedDetail: "connect to 127.0.0.1:8080: connection refused"}
	mixed := fixedRun()
	mixed.Objectives[0].Met, mixed.Objectives[0].Observed = no(), 83
	predicted := aboveRun()
	predicted.Capacity = &Capacity{Bound: "predicted", RPS: Estimate{Value: 392, Low: 371, High: 410, Confidence: 0.9}, ConfirmedAtRPS: 240, Confirmed: true}
	open := fixedRun()
	open.Objectives[0].Met = nil

	for _, c := range []struct {
		name string
		run  *Run
		want string
	}{
		{"capacity", one, "Meets p99 < 50 ms up to 392 req/s (381-401). First to give out: pool.shop (98%), at 402 req/s; then cpu at 640."},
		{"two objectives", sampleRun(), "Meets p99 < 50 ms and errors < 0.1% up to 392 req/s (381-401). First to give out: pool.shop (98%), at 402 req/s; then cpu at 640."},
		{"three objectives", three, "Meets all 3 objectives up to 392 req/s (381-401). First to give out: pool.shop (98%), at 402 req/s; then cpu at 640."},
		{"ambiguous, short of the demand", ambiguousRun(), "Meets p99 < 50 ms and errors < 0.1% up to 392 req/s (381-401), short of the demand of 500 req/s. First to give out: ambiguous, pool.shop (61%) at 402 req/s or cpu (39%) at 640 req/s."},
		{"unmeasured", unknown, "Meets p99 < 50 ms and errors < 0.1% up to 392 req/s (381-401). First to give out: something unmeasured (95%), at 402 req/s."},
		{"below", belowRun(), "Capacity is below 50 req/s: p99 < 50 ms did not hold at the lowest load offered."},
		{"above", aboveRun(), "Capacity is at least 200 req/s: p99 < 50 ms and errors < 0.1% held at every load offered. First to give out: pool.shop (98%), at 402 req/s; then cpu at 640."},
		{"predicted", predicted, "Predicted to meet p99 < 50 ms and errors < 0.1% up to 392 req/s (371-410), confirmed up to 240. First to give out: pool.shop (98%), at 402 req/s; then cpu at 640."},
		{"guard", guardRun(), "A guard ended the drill after 18 s: errors > 20% for 5s. Capacity is at least 200 req/s: p99 < 50 ms and errors < 0.1% held at every load offered. First to give out: pool.shop (98%), at 402 req/s; then cpu at 640."},
		{"fixed", fixedRun(), "Meets p99 < 50 ms and errors < 0.1% at 300 req/s."},
		{"fixed, missed", mixed, "Misses p99 < 50 ms (83 ms) at 300 req/s; errors < 0.1% held."},
		{"fixed, undecided", open, "Cannot tell whether p99 < 50 ms held at 300 req/s."},
		{"steps", steps, "Meets p99 < 50 ms and errors < 0.1% at up to 200 req/s."},
		{"no objective", free, "At 300 req/s: 298 req/s served, p99 24.6 ms, 0% errors. No objective was set."},
		{"closed", closedRun(), "Misses p99 < 50 ms (212 ms) at 64 users (298 req/s); errors < 0.1% held."},
		{"invalid", invalidRun(), "Cannot tell: the generator, not the target, was slow: send lag p99 was 38 ms at 300 req/s."},
		{"interrupted", interruptedRun(), "Interrupted after 18 s. Cannot tell: interrupted before the search was over."},
		{"cut off", cutOffRun(), "The record breaks off after 18 s. Cannot tell: the journal has no end: the generator was killed or the disk was full."},
		{"could not run", refused, "Could not run: connect to 127.0.0.1:8080: connection refused."},
		{"nothing", &Run{}, "No load was measured."},
	} {
		if got := Sentence(c.run); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{perSecond(392.4), "392"}, {perSecond(12500), "12,500"}, {perSecond(1234567), "1,234,567"}, {perSecond(47.26), "47.3"}, {perSecond(0.5), "0.5"}, {perSecond(0), "0"}, {perSecond(-0.001), "0"}, {perSecond(99.96), "100"},
		{millis(0.42), "0.42 ms"}, {millis(24.23), "24.2 ms"}, {millis(212.4), "212 ms"}, {millis(999.7), "1 s"}, {millis(1240), "1.24 s"}, {millis(12400), "12.4 s"},
		{percent(0), "0%"}, {percent(0.00001), "<0.01%"}, {percent(0.0004), "0.04%"}, {percent(0.025), "2.5%"}, {percent(0.98), "98%"}, {percent(-0.276), "-28%"},
		{money(0.0393, "USD"), "0.0393 USD"}, {money(12.3, "EUR"), "12.30 EUR"}, {money(0, "USD"), "0.00 USD"},
		{lasting(62.4), "62 s"}, {lasting(3600), "1h0m"}, {lasting(125), "2m5s"}, {lasting(4.25), "4.2 s"},
		{binary(1 << 30), "1 GiB"}, {binary(512), "512 B"}, {binary(1.5e6), "1.4 MiB"},
		{nanos(1530000), "1.53 ms"}, {nanos(840), "840 ns"}, {nanos(19.9e6), "19.9 ms"},
		{spaced("p99 < 50ms"), "p99 < 50 ms"}, {spaced("p99 < 2s for 10s"), "p99 < 2 s for 10 s"}, {spaced("checkout2 p99<50ms"), "checkout2 p99<50 ms"},
		{shortName("github.com/a/b.(*T).Do"), "b.(*T).Do"}, {shortName("runtime.futex"), "runtime.futex"}, {shortName("a/b.F[go.shape/x]"), "b.F[go.shape/x]"}, {shortName("/"), "/"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
