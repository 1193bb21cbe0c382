package forecast

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/capacity/table"
)

func TestReadCSV(t *testing.T) {
	zone := time.FixedZone("x", 3600)
	got, err := ReadCSV("h.csv", strings.NewReader("\ufeffTime,Value,host\n# scraped\n2026-03-02T15:00:00Z,100,a\n2026-03-02 17:00:00,\"200\",a\n1772467200,300,a\n1772470800000,400,a\n2026-03-02,5,a\n2026-03-02T20:00:00Z,NaN,a\n2026-03-02T21:00:00Z,,a\n"), zone)
	if err != nil {
		t.Fatal(err)
	}
	want := []Reading{
		{time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC), 100}, {time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC), 200},
		{time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC), 300}, {time.Date(2026, 3, 2, 17, 0, 0, 0, time.UTC), 400},
		{time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC), 5},
	}
	if len(got) != len(want) {
		t.Fatalf("%d readings: %v", len(got), got)
	}
	for i, x := range got {
		if !x.At.Equal(want[i].At) || x.RPS != want[i].RPS {
			t.Errorf("%v, want %v", x, want[i])
		}
	}
}

func TestHistoryWithCommasAtTheEnd(t *testing.T) {
	for _, text := range []string{"time,rps\n2026-03-02,1,\n2026-03-03,2,,\n", "time,rps,\n2026-03-02,1\n2026-03-03,2,\n", "time,rps,note\n2026-03-02,1\n2026-03-03,2,x\n"} {
		if x, err := ReadCSV("h.csv", strings.NewReader(text), time.UTC); err != nil || len(x) != 2 || x[1].RPS != 2 {
			t.Errorf("%q: %+v, %v", text, x, err)
		}
	}
}

func TestHistoryProblems(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "no header",
		"a,b\n1,2\n":                      "no column of times",
		"time,rps\n":                      "no row",
		"time,rps\nsoon,1\n":              "h.csv:2:1: \"soon\" is no time",
		"time,rps\n2026-03-02,-1\n":       "h.csv:2:2: a load of -1 is negative",
		"time,rps\n2026-03-02,many\n":     "h.csv:2:2",
		"time,rps\n2026-03-02,1e300\n":    "above 1e+09",
		"time,rps\n0202-03-02,1\n":        "the year 202",
		"time,rps\n2026-03-02\n":          "1 fields",
		"time,rps\n2026-03-02,0,298\n":    "h.csv:2: 3 fields, and the header has 2",
		"time,rps,rps\n2026-03-02,1,2\n":  "h.csv:1:3: the column \"rps\" is there twice",
		"time,rps\n2026-03-02,1\n\"x,1\n": "h.csv:3",
	} {
		_, err := ReadCSV("h.csv", strings.NewReader(text), time.UTC)
		var p *table.Problems
		if !errors.As(err, &p) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestParsePrometheus(t *testing.T) {
	got, err := ParsePrometheus([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1772467200,"100.5"],[1772470800.5,"NaN"],[1772474400,"0"]]}]}}`))
	if err != nil || len(got) != 2 || got[0].RPS != 100.5 || got[1].RPS != 0 {
		t.Errorf("%v %v", got, err)
	}
	for text, want := range map[string]string{
		`{`:                                     "read answer",
		`{"status":"error","error":"bad_data"}`: "bad_data",
		`{"status":"success","data":{"resultType":"vector","result":[]}}`:                            "not a matrix",
		`{"status":"success","data":{"resultType":"matrix","result":[]}}`:                            "no data",
		`{"status":"success","data":{"resultType":"matrix","result":[{"values":[]},{"values":[]}]}}`: "sum(...)",
		`{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"x"]]}]}}`:        "no number",
		`{"status":"success","data":{"resultType":"matrix","result":[{"values":[["a","1"]]}]}}`:      "is not",
		`{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"-5"]]}]}}`:       "-5",
		`{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"NaN"]]}]}}`:      "no data",
	} {
		if _, err := ParsePrometheus([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("time,rps\n2026-03-02T15:00:00Z,100\n1772467200,1\n")
	f.Add("ts,value\n1e400,1\n-1,NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadCSV("h.csv", strings.NewReader(text), time.UTC)
		if err != nil {
			return
		}
		for _, x := range got {
			if !(x.RPS >= 0) || math.IsInf(x.RPS, 0) {
				t.Fatal(x)
			}
		}
		if f, err := Make(got, Config{Horizon: week, Paths: 10}); err == nil && !(f.Peak.Value >= 0) {
			t.Fatalf("%+v", f.Peak)
		}
	})
}

func FuzzParsePrometheus(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1772467200,"100.5"]]}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ParsePrometheus(b)
		for _, x := range got {
			if err != nil || !(x.RPS >= 0) {
				t.Fatal(x, err)
			}
		}
	})
}
