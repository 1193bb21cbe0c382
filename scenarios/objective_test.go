package scenarios

import (
	"encoding/json"
	"math"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestParseObjective(t *testing.T) {
	tests := []struct {
		text, canonical, unit string
		value                 float64
	}{
		{"p99<50ms", "p99 < 50ms", "ms", 50},
		{"p99 < 0.05s", "p99 < 50ms", "ms", 50},
		{"p999 <= 2s", "p999 <= 2s", "ms", 2000},
		{"p99.9 <= 2s", "p999 <= 2s", "ms", 2000},
		{"browse.p99.9 < 2s", "browse.p999 < 2s", "ms", 2000},
		{"max < 1500ms", "max < 1500ms", "ms", 1500},
		{" mean <  250us ", "mean < 0.25ms", "ms", 0.25},
		{"errors < 0.1%", "errors < 0.1%", "ratio", 0.001},
		{"errors < 0.7 %", "errors < 0.7%", "ratio", 0.007},
		{"errors < 0.01", "errors < 1%", "ratio", 0.01},
		{"errors <= 0%", "errors <= 0%", "ratio", 0},
		{"browse.p99 < 20ms", "browse.p99 < 20ms", "ms", 20},
		{"/v1.2/items.p50 < 20ms", "/v1.2/items.p50 < 20ms", "ms", 20},
		{"throughput > 100", "throughput > 100", "rps", 100},
		{"throughput >= 12.5/s", "throughput >= 12.5", "rps", 12.5},
	}
	for _, tt := range tests {
		o, err := ParseObjective(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if o.String() != tt.canonical || o.Value != tt.value || o.Unit() != tt.unit {
			t.Errorf("%s: got %s, %v %s", tt.text, o, o.Value, o.Unit())
		}
	}
	for _, bad := range []string{"", "p99", "p99 <", "p99 < 50", "p99 < -5ms", "p99 < 0ms", "p99 = 5ms", "p99 > 5ms", "p98 < 5ms", "errors < 5",
		"errors < -1%", "errors < 101%", "errors < NaN", "errors < 0%", "throughput < 5", "throughput > inf", ".p99 < 5ms", "target.cpu < 80%", "p99 << 5ms"} {
		if o, err := ParseObjective(bad); err == nil {
			t.Errorf("%q became %s", bad, o)
		}
	}
}

func TestParseGuard(t *testing.T) {
	for text, canonical := range map[string]string{
		"errors > 20% for 5s":               "errors > 20% for 5s",
		"p99>2s for 90s":                    "p99 > 2s for 1m30s",
		"target.cpu > 95% for 10s":          "target.cpu > 95% for 10s",
		"target.pool.shop > 0.5":            "target.pool.shop > 50%",
		"throughput < 10 for 3s":            "throughput < 10 for 3s",
		"wait for it.errors > 1% for 2m":    "wait for it.errors > 1% for 2m",
		"errors > 20%":                      "errors > 20%",
		"for.each for all.p99 > 1s for 60m": "for.each for all.p99 > 1s for 1h",
	} {
		g, err := ParseGuard(text)
		if err != nil || g.String() != canonical {
			t.Errorf("%s: got %s, %v", text, g, err)
		}
	}
	for _, bad := range []string{"errors > 20% for", "errors > 20% for x", "errors > 20% for -5s", "errors < 20% for 5s", "target. > 5%", "target.CPU > 5%", "throughput > 5 for 1s"} {
		if g, err := ParseGuard(bad); err == nil {
			t.Errorf("%q became %s", bad, g)
		}
	}
}

func TestHolds(t *testing.T) {
	tests := []struct {
		text     string
		observed float64
		want     bool
	}{
		{"p99 < 50ms", 49.9, true}, {"p99 < 50ms", 50, false}, {"p99 <= 50ms", 50, true},
		{"throughput > 100", 100, false}, {"throughput >= 100", 100, true},
		{"errors < 1%", math.NaN(), false}, {"throughput > 1", math.NaN(), false},
	}
	for _, tt := range tests {
		o, err := ParseObjective(tt.text)
		if err != nil || o.Holds(tt.observed) != tt.want {
			t.Errorf("%s of %v: want %v (%v)", tt.text, tt.observed, tt.want, err)
		}
	}
	if (Objective{}).Holds(0) {
		t.Error("the empty objective holds")
	}
}

func TestConditionsAreTextInYAMLAndJSON(t *testing.T) {
	type both struct {
		O Objective `yaml:"o" json:"o"`
		G Guard     `yaml:"g" json:"g"`
	}
	var fromYAML, fromJSON both
	if err := yaml.Unmarshal([]byte("o: p99<5ms\ng: errors>2% for 3s\n"), &fromYAML); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(fromYAML)
	if err != nil || string(text) != `{"o":"p99 \u003c 5ms","g":"errors \u003e 2% for 3s"}` {
		t.Errorf("JSON is %s, %v", text, err)
	}
	if err := json.Unmarshal(text, &fromJSON); err != nil || fromJSON != fromYAML {
		t.Errorf("read back %+v, %v", fromJSON, err)
	}
}

// Whatever is written in nanoseconds or parts per million is read back exactly.
func TestConditionRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := genObjective([]string{"", "browse", "a.b c"}).Draw(t, "objective")
		back, err := ParseObjective(o.String())
		if err != nil || back != o {
			t.Fatalf("%+v is %q, read back as %+v, %v", o, o, back, err)
		}
	})
}

func genObjective(requests []string) *rapid.Generator[Objective] {
	return rapid.Custom(func(t *rapid.T) Objective {
		o := Objective{Request: rapid.SampledFrom(requests).Draw(t, "request"), Metric: rapid.SampledFrom(metrics()).Draw(t, "metric"), Op: "<"}
		switch o.Unit() {
		case UnitMillis:
			o.Value = float64(rapid.Int64Range(1, 1e15).Draw(t, "ns")) / 1e6
		case UnitRatio:
			o.Value = float64(rapid.Int64Range(1, 1e6).Draw(t, "ppm")) / 1e6
		default:
			o.Value, o.Op = rapid.Float64Range(1e-9, 1e9).Draw(t, "rps"), ">"
		}
		return o
	})
}

func TestValuesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Duration(rapid.Int64().Draw(t, "duration"))
		var back Duration
		if err := back.UnmarshalText([]byte(d.String())); err != nil || back != d {
			t.Fatalf("%d is %q, read back as %d, %v", d, d, back, err)
		}
		size := Size(rapid.Int64Range(0, 1<<52).Draw(t, "size"))
		var sizeBack Size
		if err := sizeBack.UnmarshalText([]byte(size.String())); err != nil || sizeBack != size {
			t.Fatalf("%d is %q, read back as %d, %v", size, size, sizeBack, err)
		}
	})
	for d, want := range map[Duration]string{90e9: "1m30s", 120e9: "2m", 3600e9: "1h", 5e9: "5s", 0: "0s", 10e9: "10s", 600e9: "10m"} {
		if d.String() != want {
			t.Errorf("%d is %s, want %s", d, d, want)
		}
	}
}
