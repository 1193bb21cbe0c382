package profiler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/pprofhttp"
	"github.com/headroom-project/headroom/profiler/resources"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log collects what a session hands on. The callbacks are never concurrent, so
// it needs no lock: the race detector holds the session to that.
type log struct {
	samples  []observation.Sample
	captures []observation.Capture
	data     [][]byte
	warnings []string
}

// bench is a session in a bubble of virtual time.
type bench struct {
	*Session
	*log
	start time.Time
}

func (b *bench) now() time.Duration { return time.Since(b.start) }

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	b := &bench{log: &log{}, start: time.Now()}
	cfg.Now = b.now
	cfg.OnSample = func(s []observation.Sample) { b.samples = append(b.samples, s...) }
	cfg.OnCapture = func(c observation.Capture, data []byte) {
		b.captures = append(b.captures, c)
		b.data = append(b.data, data)
	}
	cfg.OnWarning = func(w string) { b.warnings = append(b.warnings, w) }
	var err error
	if b.Session, err = NewSession(cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs the session while f drives it.
func (b *bench) run(t *testing.T, f func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	f(ctx)
	cancel()
	wg.Wait()
}

// fakePprof takes as long as it is asked to, and then a little.
type fakePprof struct {
	t     *testing.T
	extra time.Duration
	fail  map[string]error
}

func (f fakePprof) Capture(ctx context.Context, typ string, seconds int) ([]byte, error) {
	if err := f.fail[typ]; err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Duration(seconds)*time.Second + f.extra):
	case <-ctx.Done():
		return nil, fmt.Errorf("get: %w", ctx.Err())
	}
	m := newProfile(cpuTypes...).add([]int64{25, 250}, "main")
	m.p.DurationNanos = int64(seconds) * int64(time.Second)
	return m.bytes(f.t), nil
}

// fakeReader is a resource whose counter grows by cores a second.
type fakeReader struct {
	source string
	read   func(ctx context.Context) ([]resources.Reading, error)
}

func (f fakeReader) Source() string { return f.source }
func (f fakeReader) Read(ctx context.Context) ([]resources.Reading, error) {
	return f.read(ctx)
}

// busy uses cores(t) at drill time t, integrated by the caller's function.
func busy(source string, used func() float64, limit float64) fakeReader {
	return fakeReader{source, func(context.Context) ([]resources.Reading, error) {
		return []resources.Reading{
			{Resource: "cpu", Value: used(), Counter: true, Limit: limit, Unit: resources.UnitCores},
			{Resource: "memory", Value: 5, Unit: resources.UnitBytes},
		}, nil
	}}
}

// A step's samples hold what was used in the step, and nothing else of it is
// lost, though the steps do not keep to whole seconds.
func TestSamplesBelongToSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		// 1 core in step 0 (2.3 s from 0.6), none between, 3 cores in step 1.
		used := func() float64 {
			at := time.Since(start).Seconds()
			return 1*math.Min(math.Max(at-0.6, 0), 2.3) + 3*math.Min(math.Max(at-3.3, 0), 4.5)
		}
		b := newBench(t, Config{Readers: []resources.Reader{busy("process", used, 4)}})
		b.run(t, func(ctx context.Context) {
			time.Sleep(600 * time.Millisecond)
			b.BeginStep(ctx, 0, 2300*time.Millisecond)
			time.Sleep(2300 * time.Millisecond)
			b.EndStep(0)
			time.Sleep(400 * time.Millisecond)
			b.BeginStep(ctx, 1, 4500*time.Millisecond)
			time.Sleep(4500 * time.Millisecond)
			b.EndStep(1)
			synctest.Wait()
		})
		seconds := map[int]float64{}
		for _, s := range b.samples {
			if s.Resource != "cpu" {
				continue
			}
			want := map[int]float64{-1: 0, 0: 1, 1: 3}[s.Step]
			if math.Abs(s.Used-want) > 1e-6 || s.Limit != 4 || s.Source != "process" {
				t.Errorf("%+v, want %g cores", s, want)
			}
			seconds[s.Step] += s.Over.Seconds()
		}
		if math.Abs(seconds[0]-2.3) > 1e-6 || math.Abs(seconds[1]-4.5) > 1e-6 {
			t.Errorf("samples span %v s, want 2.3 in step 0 and 4.5 in step 1", seconds)
		}
	})
}

func TestReaderFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		used := func() float64 { return time.Since(start).Seconds() }
		looks := 0
		failing := fakeReader{"metrics", func(context.Context) ([]resources.Reading, error) {
			looks++
			return nil, errors.New("connection refused")
		}}
		hanging := fakeReader{"cgroup", func(ctx context.Context) ([]resources.Reading, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		b := newBench(t, Config{Readers: []resources.Reader{failing, hanging, busy("process", used, 2)}})
		b.run(t, func(context.Context) {
			time.Sleep(20500 * time.Millisecond)
			synctest.Wait()
		})
		if len(b.warnings) != 2 || !slices.ContainsFunc(b.warnings, func(w string) bool { return strings.Contains(w, "metrics failed: connection refused") }) {
			t.Errorf("warnings = %q, want one for each that failed", b.warnings)
		}
		if looks < 20 {
			t.Errorf("%d looks in 20 s: the reader is not tried again", looks)
		}
		cpu := 0
		for _, s := range b.samples {
			if s.Resource == "cpu" {
				cpu++
			}
		}
		if cpu != 20 {
			t.Errorf("%d samples in 20.5 s, want 20: other readers hold it up", cpu)
		}
	})
}

// The runtime's limit lowers the process's, and each resource has one source.
func TestSourcesAreMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		used := func() float64 { return 0.5 * time.Since(start).Seconds() }
		b := newBench(t, Config{Readers: []resources.Reader{busy("metrics", used, 1), busy("process", used, 2)}})
		b.run(t, func(context.Context) {
			time.Sleep(3500 * time.Millisecond)
			synctest.Wait()
		})
		if len(b.samples) != 2*3 {
			t.Errorf("%d samples in 3.5 s, want 3 of cpu and memory each", len(b.samples))
		}
		for _, s := range b.samples {
			if s.Source != "process" {
				t.Errorf("%+v is from the wrong source", s)
			}
			if s.Resource == "cpu" && (s.Source != "process" || s.Limit != 1 || math.Abs(s.Used-0.5) > 1e-6) {
				t.Errorf("%+v, want the process's 0.5 of 1 core", s)
			}
		}
	})
}

// Each step is profiled in one half and left alone in the other, by turns.
func TestCapturesAlternate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Pprof: fakePprof{t: t, extra: 200 * time.Millisecond, fail: map[string]error{"block": errors.New("no such profile")}}})
		b.run(t, func(ctx context.Context) {
			time.Sleep(5 * time.Second)
			for _, step := range []int{2, 3} {
				b.BeginStep(ctx, step, 8*time.Second)
				time.Sleep(8 * time.Second)
				b.EndStep(step)
				time.Sleep(2 * time.Second)
			}
			synctest.Wait()
		})
		var types []string
		for i, c := range b.captures {
			types = append(types, c.Type)
			if c.Type == "block" {
				if c.Error != "no such profile" || c.File != "" || b.data[i] != nil {
					t.Errorf("%+v, want an error and no file", c)
				}
				continue
			}
			from := 7 * time.Second // step 2 begins at 5 s, and settles for 2 s
			if c.Step == 3 {
				from = 17*time.Second + 5750*time.Millisecond - 3*time.Second
			}
			want := observation.Capture{
				Step: c.Step, Type: c.Type, File: fmt.Sprintf("profiles/step-%02d.%s.pb.gz", c.Step, c.Type),
				From: from, To: from + 3*time.Second, Until: from + 3200*time.Millisecond, Samples: 25,
			}
			if c.Type == "heap" || c.Type == "goroutine" { // at the end of the block
				want.From = want.To
				want.To, want.Until = want.From+200*time.Millisecond, want.From+200*time.Millisecond
			}
			if !reflect.DeepEqual(c, want) || len(b.data[i]) == 0 {
				t.Errorf("got %+v, want %+v", c, want)
			}
		}
		slices.Sort(types)
		want := []string{"allocs", "allocs", "block", "block", "cpu", "cpu", "goroutine", "goroutine", "heap", "heap", "mutex", "mutex"}
		if !slices.Equal(types, want) {
			t.Errorf("captures of %v", types)
		}
	})
}

// Looks are asked for when a block begins and when all of it has arrived, so that
// no interval of the CPU counter lies astride.
func TestSamplesAreCutAtBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		used := func() float64 { return time.Since(start).Seconds() }
		b := newBench(t, Config{
			Pprof: fakePprof{t: t, extra: 300 * time.Millisecond}, Types: []string{"cpu"},
			Readers: []resources.Reader{busy("process", used, 4)},
		})
		b.run(t, func(ctx context.Context) {
			time.Sleep(500 * time.Millisecond)
			b.BeginStep(ctx, 0, 8*time.Second)
			time.Sleep(8 * time.Second)
			b.EndStep(0)
			synctest.Wait()
		})
		c := b.captures[0]
		inside := 0
		for _, s := range b.samples {
			if s.Over == 0 {
				continue
			}
			from := s.At - s.Over
			if from < c.From && s.At > c.From || from < c.Until && s.At > c.Until {
				t.Errorf("an interval from %v to %v lies astride the block from %v to %v", from, s.At, c.From, c.Until)
			}
			if c.Profiled(from, s.At) {
				inside++
			}
		}
		if inside < 3 {
			t.Errorf("%d intervals inside the block", inside)
		}
	})
}

// A server that gives a second at a time is asked again until the block is over.
func TestShortProfilesAreJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Pprof: inSeconds{fakePprof{t: t, extra: 10 * time.Millisecond}}, Types: []string{"cpu"}})
		b.run(t, func(ctx context.Context) {
			b.BeginStep(ctx, 0, 10*time.Second)
			time.Sleep(10 * time.Second)
			b.EndStep(0)
			synctest.Wait()
		})
		sum, err := Summarise(b.data[0])
		if err != nil || b.captures[0].Samples != 4*25 || sum.Samples != 4*25 || sum.Duration != 4*time.Second {
			t.Errorf("%+v: %+v, %v; want four parts of 25 samples", b.captures[0], sum, err)
		}
	})
}

// inSeconds gives a second, whatever is asked for.
type inSeconds struct{ fakePprof }

func (f inSeconds) Capture(ctx context.Context, typ string, _ int) ([]byte, error) {
	return f.fakePprof.Capture(ctx, typ, 1)
}

// fakeCounters grow by ten a second.
type fakeCounters struct{ fail error }

func (f fakeCounters) Counters(context.Context) (map[string]float64, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	return map[string]float64{"mallocs": 10 * time.Since(time.Unix(0, 0)).Seconds()}, nil
}

func TestCountersOfABlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Pprof: fakePprof{t: t}, Types: []string{"cpu"}, Counters: fakeCounters{}})
		b.run(t, func(ctx context.Context) {
			b.BeginStep(ctx, 0, 8*time.Second)
			time.Sleep(8 * time.Second)
			b.EndStep(0)
			synctest.Wait()
		})
		k := slices.IndexFunc(b.captures, func(c observation.Capture) bool { return c.Type == observation.CountersType })
		if k < 0 {
			t.Fatalf("captures: %+v", b.captures)
		}
		c := b.captures[k]
		if math.Abs(c.Counters["mallocs"]-30) > 1e-3 || c.To-c.From != 3*time.Second || c.File != "" || c.Error != "" {
			t.Errorf("%+v, want 30 in 3 s", c)
		}
	})
}

func TestCapturesThatAreCutShort(t *testing.T) {
	for _, c := range []struct {
		name    string
		extra   time.Duration
		lasts   time.Duration // as planned
		end     time.Duration // in truth
		how     string        // what ends it
		wantErr string
		by      time.Duration // Run has returned
	}{
		{"a guard ends the step", 0, 8 * time.Second, 3 * time.Second, "step", "step ended before", 3 * time.Second},
		{"the step ends before it began", 0, 8 * time.Second, 500 * time.Millisecond, "step", "step ended before", time.Second},
		{"the step's context ends", 0, 8 * time.Second, 3 * time.Second, "context", "step ended before", 3 * time.Second},
		{"the drill ends", 0, 8 * time.Second, 3 * time.Second, "run", "step ended before", 3 * time.Second},
		{"complete, but late", 700 * time.Millisecond, 2 * time.Second, 2 * time.Second, "step", "", 3 * time.Second},
		{"complete, late, and the drill ends", 700 * time.Millisecond, 2 * time.Second, 2 * time.Second, "run", "", 3 * time.Second},
		{"too late", time.Minute, 2 * time.Second, 2 * time.Second, "step", "did not arrive in time", 4 * time.Second},
		{"no room", 0, 1900 * time.Millisecond, 1900 * time.Millisecond, "step", "too short", 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Config{Pprof: fakePprof{t: t, extra: c.extra}, Types: []string{"cpu", "allocs"}})
				b.run(t, func(ctx context.Context) {
					stepCtx, cancel := context.WithCancel(ctx)
					defer cancel()
					b.BeginStep(stepCtx, 0, c.lasts)
					time.Sleep(c.end)
					switch c.how {
					case "step":
						b.EndStep(0)
						synctest.Wait()
					case "context":
						cancel()
						synctest.Wait()
					}
				})
				if got := b.now(); got > c.by {
					t.Errorf("Run returned after %v, want %v", got, c.by)
				}
				if len(b.captures) != 2 {
					t.Fatalf("%d captures, want 2: %+v", len(b.captures), b.captures)
				}
				for i, got := range b.captures {
					if c.wantErr == "" && (got.Error != "" || len(b.data[i]) == 0) {
						t.Errorf("%+v, want a profile", got)
					}
					if c.wantErr != "" && (!strings.Contains(got.Error, c.wantErr) || got.File != "" || b.data[i] != nil) {
						t.Errorf("%+v, want the error %q", got, c.wantErr)
					}
				}
			})
		})
	}
}

// A step that is late to end does not disturb the next one's captures.
func TestStepsFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Pprof: fakePprof{t: t, extra: 900 * time.Millisecond}, Types: []string{"cpu"}})
		b.run(t, func(ctx context.Context) {
			for i := range 4 {
				b.BeginStep(ctx, i, 2*time.Second)
				time.Sleep(2 * time.Second) // and the next one begins without EndStep
			}
		})
		if len(b.captures) != 4 {
			t.Fatalf("captures: %+v", b.captures)
		}
		for i, c := range b.captures {
			if c.Step != i || c.Error != "" {
				t.Errorf("capture %d: %+v", i, c)
			}
		}
	})
}

// The caller never waits, even when nothing takes its commands.
func TestTellingNeverBlocks(t *testing.T) {
	b := newBench(t, Config{Pprof: fakePprof{t: t}})
	for i := range 10 * maxCommands {
		b.BeginStep(t.Context(), i, time.Second)
		b.EndStep(i)
	}
}

func TestBlocks(t *testing.T) {
	const longest = 30 * time.Second
	for lasts := time.Duration(0); lasts < 200*time.Second; lasts += 37 * time.Millisecond {
		for step := range 2 {
			list := blocks(step, lasts, longest)
			profiled, until := 0, settle(lasts)
			for _, b := range list {
				span := time.Duration(b.seconds) * time.Second
				if b.seconds < 1 || b.wait < until || span > longestBlock {
					t.Fatalf("%v: %+v", lasts, list)
				}
				profiled += b.seconds
				until = b.wait + span
			}
			room := (lasts - settle(lasts) - reserve).Seconds()
			switch {
			case lasts < 2*time.Second:
				if len(list) > 0 {
					t.Fatalf("%v: %+v", lasts, list)
				}
			case len(list) == 0 || until > lasts || lasts >= 2250*time.Millisecond && until > lasts-reserve+time.Millisecond:
				t.Fatalf("%v: %+v leaves no reserve", lasts, list)
			case room >= 2 && (float64(profiled) > room-1+1e-6 || float64(profiled) > room/2+0.5*float64(len(list))+1e-6):
				t.Fatalf("%v: %d s of %g s are profiled", lasts, profiled, room)
			case room >= 2 && float64(profiled) < min(room/3, 29):
				t.Fatalf("%v: only %d s of %g s are profiled", lasts, profiled, room)
			}
		}
	}
	if early, late := blocks(0, 8*time.Second, longest)[0].wait, blocks(1, 8*time.Second, longest)[0].wait; early >= late {
		t.Errorf("blocks begin after %v and %v: they do not alternate", early, late)
	}
}

func TestConfigErrors(t *testing.T) {
	clock := func() time.Duration { return 0 }
	r := busy("process", func() float64 { return 0 }, 1)
	if _, err := NewSession(Config{}); err == nil {
		t.Error("no clock was accepted")
	}
	if _, err := NewSession(Config{Now: clock, Readers: []resources.Reader{r, r}}); err == nil {
		t.Error("two readers of one source were accepted")
	}
	s, err := NewSession(Config{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := s.Run(ctx); err == nil {
		t.Error("a second Run was accepted")
	}
}

// The whole way, with a real target in this process: two seconds of real time.
func TestAgainstRealTarget(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	client, err := pprofhttp.New(pprofhttp.Config{URL: srv.URL + "/debug/pprof", HTTP: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Config{Pprof: client})
	complete := make(chan struct{})
	b.cfg.OnCapture = func(c observation.Capture, data []byte) {
		b.captures, b.data = append(b.captures, c), append(b.data, data)
		if len(b.captures) == len(b.cfg.Types) {
			close(complete)
		}
	}
	b.run(t, func(ctx context.Context) {
		b.BeginStep(ctx, 0, 2500*time.Millisecond)
		stop, burning := make(chan struct{}), sync.WaitGroup{}
		burning.Go(func() { burnForTheProfile(stop) })
		<-complete
		close(stop)
		burning.Wait()
		b.EndStep(0)
	})
	for i, c := range b.captures {
		if c.Error != "" {
			t.Errorf("%+v", c)
			continue
		}
		if c.Type != "cpu" {
			continue
		}
		_, functions, err := Flame(b.data[i], "cpu", FlameOptions{})
		found := slices.ContainsFunc(functions, func(f Function) bool { return strings.Contains(f.Name, "burnForTheProfile") })
		if err != nil || !found || c.Samples < 1 || c.To-c.From < 900*time.Millisecond {
			t.Errorf("%+v, %v: the function that burns CPU is not among %v", c, err, functions)
		}
	}
}

// burnForTheProfile uses CPU until it is stopped.
func burnForTheProfile(stop <-chan struct{}) float64 {
	x := 1.0
	for {
		select {
		case <-stop:
			return x
		default:
			for range 1000 {
				x = math.Sqrt(x + 1)
			}
		}
	}
}
