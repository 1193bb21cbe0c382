package resources

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// scraped stands for a server in tests of time: how a real one answers is tested
// against one. Its counter grows by 0.5 a second in steps of even number, by 2 in
// others, of a minute each.
type scraped struct {
	began   time.Time
	queries []string
	down    int // requests that are left to fail
	answer  string
}

func (s *scraped) Do(req *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	s.queries = append(s.queries, req.PostForm.Get("query"))
	if s.down > 0 {
		s.down--
		return &http.Response{StatusCode: 503, Status: "503 Service Unavailable", Body: http.NoBody}, nil
	}
	if s.answer != "" {
		return &http.Response{StatusCode: 200, Status: "200 OK", Body: io.NopCloser(strings.NewReader(s.answer))}, nil
	}
	var start, end, step float64
	if _, err := fmt.Sscan(req.PostForm.Get("start")+" "+req.PostForm.Get("end")+" "+req.PostForm.Get("step"), &start, &end, &step); err != nil {
		return nil, err
	}
	var values [][2]any
	for at := start; at <= end+1e-6; at += step {
		values = append(values, [2]any{at, fmt.Sprint(s.rate(at))})
	}
	text, err := json.Marshal(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix",
		"result": []any{map[string]any{"metric": map[string]string{}, "values": values}}}})
	return &http.Response{StatusCode: 200, Status: "200 OK", Body: io.NopCloser(strings.NewReader(string(text)))}, err
}

// rate is the mean over the 10 s window before at.
func (s *scraped) rate(at float64) float64 {
	sum := 0.0
	for k := range 100 {
		t := at - s.since() - 0.05 - float64(k)/10
		if int(t/60)%2 == 0 {
			sum += 0.5 / 100
		} else {
			sum += 2.0 / 100
		}
	}
	return sum
}

func (s *scraped) since() float64 { return float64(s.began.UnixMilli()) / 1000 }

// ran runs two steps of a minute against a server, and returns what it handed on.
func ran(t *testing.T, s *scraped, cfg PromConfig) (samples []observation.Sample, warnings []string) {
	s.began = time.Now()
	cfg.URL, cfg.HTTP, cfg.Match = "http://prometheus:9090/base", s, `job="shop"`
	began := time.Now()
	cfg.Now, cfg.Wall = func() time.Duration { return time.Since(began) }, time.Now
	cfg.Skip = func(time.Duration) time.Duration { return 3 * time.Second }
	cfg.OnSample = func(list []observation.Sample) { samples = append(samples, list...) }
	cfg.OnWarning = func(text string) { warnings = append(warnings, text) }
	p, err := NewProm(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	for step := range 2 {
		p.BeginStep(ctx, step, time.Minute)
		time.Sleep(time.Minute)
		p.EndStep(step)
	}
	cancel()
	<-done
	return samples, warnings
}

var oneQuery = []Query{{Resource: "cpu", Unit: UnitCores, Used: `rate(x{$match}[$window])`, Limit: "4"}}

// Each figure is of one step alone, once, and in time for guards.
func TestPromSteps(t *testing.T) {
	for _, down := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := &scraped{down: down}
			got, warnings := ran(t, s, PromConfig{Queries: oneQuery, Interval: 4 * time.Second})
			if (len(warnings) > 0) != (down > 0) {
				t.Errorf("warnings %q", warnings)
			}
			if s.queries[0] != `rate(x{job="shop"}[9s])` {
				t.Errorf("asked %s", s.queries[0])
			}
			count := map[int]int{}
			at := map[time.Duration]bool{}
			for _, x := range got {
				count[x.Step]++
				begin := time.Duration(x.Step) * time.Minute
				if x.At-x.Over < begin+3*time.Second || x.At > begin+time.Minute+time.Millisecond || at[x.At] {
					t.Errorf("sample at %v over %v in step %d", x.At, x.Over, x.Step)
				}
				at[x.At] = true
				if want := []float64{0.5, 2}[x.Step]; x.Used < want*0.999 || x.Used > want*1.001 || x.Limit != 4 || x.Source != SourcePrometheus {
					// The stand-in's window is 10 s, the reader's 9 s.
					if x.At-10*time.Second >= begin {
						t.Errorf("sample %+v, want %g", x, want)
					}
				}
			}
			// From 12 s on, every 4 s up to 60 s.
			if count[0] != 13 || count[1] != 13 {
				t.Errorf("%v samples by step, want 13 each", count)
			}
		})
	}
}

func TestPromWarnings(t *testing.T) {
	const head = `{"status":"success","data":{"resultType":`
	for _, c := range []struct {
		name, answer string
		cfg          PromConfig
		want         string
	}{
		{"several series", head + `"matrix","result":[{"values":[[1,"1"]]},{"values":[[1,"2"]]}]}}`, PromConfig{}, "gives 2 series; hint: put sum() or max()"},
		{"nothing", head + `"matrix","result":[]}}`, PromConfig{}, `no figures of {job="shop"}; hint:`},
		{"a page", "<html>", PromConfig{}, "not that of its API; hint:"},
		{"a scalar", head + `"scalar","result":[1,"1"]}}`, PromConfig{}, "gives a scalar"},
		{"values that are none", head + `"matrix","result":[{"values":[[1,2,3]]}]}}`, PromConfig{}, "no pair of time and number"},
		{"too large", head + `"matrix","result":[` + strings.Repeat(" ", maxPromAnswer) + `]}}`, PromConfig{}, "larger than 8 MiB"},
		{"short steps", "", PromConfig{Interval: time.Minute}, "scrapes the target every 1m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.cfg.Queries = oneQuery
				if c.cfg.Interval == 0 {
					c.cfg.Interval = 4 * time.Second
				}
				samples, warnings := ran(t, &scraped{answer: c.answer}, c.cfg)
				if len(samples) != 0 || len(warnings) != 1 || !strings.Contains(warnings[0], c.want) {
					t.Errorf("%d samples, warnings %q, want %q", len(samples), warnings, c.want)
				}
			})
		})
	}
}

// What another source accounts for is not asked for.
func TestPromTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scraped{}
		samples, warnings := ran(t, s, PromConfig{Queries: oneQuery, Interval: time.Second, Taken: func(name string) bool { return name == "cpu" }})
		if len(samples)+len(warnings)+len(s.queries) != 0 {
			t.Errorf("%d samples, %d queries, %q", len(samples), len(s.queries), warnings)
		}
	})
}

func FuzzPromAnswer(f *testing.F) {
	f.Add(200, []byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1435781430.781,"1"],[2,"NaN"]]}]}}`))
	f.Add(400, []byte(`{"status":"error","errorType":"bad_data","error":"parse error"}`))
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		series, err := parsePromAnswer(code, "status", body)
		if err != nil && len(series) > 0 {
			t.Error("series and an error")
		}
	})
}
