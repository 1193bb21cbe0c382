package reports

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// FuzzViews feeds the views with whatever run.json may hold: none may panic, and
// the page may never hold a script but its own.
func FuzzViews(f *testing.F) {
	// Small seeds: the fuzzer spends its time on making inputs smaller.
	f.Add([]byte(`{"verdict":"pass","name":"</script><b>@x","ended":"guard","duration_s":3,"objectives":[{"text":"p99 < 50ms","unit":"ms","threshold":50,"met":true}],
"steps":[{"index":1,"kind":"search","offered_rps":50,"valid":true,"met":true,"resources":{"cpu":{"used":1,"limit":2,"unit":"cores"}},"requests":{"a|b":{"sent":3}}},{"index":2,"kind":"load","offered_rps":100,"why_invalid":["x"]}],
"timeline":[{"t":0,"step":1,"p99_ms":9},{"t":1,"step":2,"p99_ms":2}],"capacity":{"rps":{"value":70,"low":60,"high":80},"objective":"p99 < 50ms"}}`))
	f.Add([]byte(`{"verdict":"fail","saturation":{"bottlenecks":[{"resource":"pool","probability":0.5,"rps":4,"unit":"slots","per_request":0.1},{"resource":"unmeasured","probability":0.4}]},
"headroom":{"demand_rps":9,"now":{"value":-1}},"cost":{"currency":"$","at_rps":1},"capacity":{"bound":"below"},"environment":{"a":[1]},"missing":["m"],"method":["1. x"],"warnings":["- w"]}`))
	f.Add([]byte(`{"verdict":"fail","objectives":[{"text":"p99","unit":"ms","met":false}],"steps":[{"kind":"load","users":3,"valid":true}],
"flames":[{"type":"cpu","unit":"bytes","rps":1,"seconds":1,"root":{"name":"a/b.(*T).c","value":9,"children":[{"name":"x","value":4}]},"functions":[{"name":"a/b.c","self":1}]}]}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"steps":[{"offered_rps":1e308},{"offered_rps":-1e308}],"timeline":[{"t":1e300},{"t":-1}],"duration_s":1e300}`))
	f.Add([]byte(`{"flames":[{"root":{"value":9223372036854775807,"children":[null,{"value":-1}]}}],"capacity":{"rps":{"value":-0}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		var r Run
		if json.Unmarshal(data, &r) != nil {
			return
		}
		var page strings.Builder
		if err := HTML(&page, &r); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(page.String(), "<script"); n != 2 {
			t.Errorf("the page has %d scripts", n)
		}
		if err := Markdown(io.Discard, &r); err != nil {
			t.Fatal(err)
		}
		if err := Text(io.Discard, &r, TextOptions{Width: 40}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(Sentence(&r), "\n\r\x1b") {
			t.Error("the sentence is not one line")
		}
	})
}
