package profiler

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/pprof/profile"

	"github.com/headroom-project/headroom/loadgen/observation"
)

func TestInstancesAreMerged(t *testing.T) {
	one := fakePprof{t: t}
	broken := fakePprof{t: t, fail: map[string]error{"cpu": errors.New("no such profile")}}
	synctest.Test(t, func(t *testing.T) {
		data, err := Instances{{"a:1", one}, {"b:2", one}}.Capture(t.Context(), "cpu", 3)
		if err != nil {
			t.Fatal(err)
		}
		p, err := profile.ParseData(data)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := Summarise(data)
		if err != nil || sum.Samples != 50 || sum.Duration != 3*time.Second {
			t.Errorf("%+v, %v; want 50 samples in 3 s", sum, err)
		}
		if len(p.Sample) != 2 || p.Sample[0].Label[instanceLabel][0] == p.Sample[1].Label[instanceLabel][0] {
			t.Errorf("samples do not tell where they are from: %v", p.Sample)
		}

		data, err = Instances{{"a:1", one}, {"b:2", broken}}.Capture(t.Context(), "cpu", 3)
		var partial *PartialError
		if !errors.As(err, &partial) || partial.Have != 1 || partial.Of != 2 || !strings.Contains(err.Error(), "b:2") {
			t.Errorf("%v, want one about b:2", err)
		}
		if sum, err := Summarise(data); err != nil || sum.Samples != 25 {
			t.Errorf("what was good is lost: %+v, %v", sum, err)
		}
		if data, err = (Instances{{"b:2", broken}}).Capture(t.Context(), "cpu", 3); err == nil || data != nil {
			t.Errorf("%d bytes, %v", len(data), err)
		}
	})
}

// The record of a capture says how many instances are in it.
func TestCapturesOfInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := fakePprof{t: t}
		broken := fakePprof{t: t, fail: map[string]error{"allocs": errors.New("no such profile")}}
		b := newBench(t, Config{Pprof: Instances{{"a:1", one}, {"b:2", broken}}, Instances: 2, Types: []string{"cpu", "allocs"}})
		b.run(t, func(ctx context.Context) {
			b.BeginStep(ctx, 0, 8*time.Second)
			time.Sleep(8 * time.Second)
			b.EndStep(0)
			synctest.Wait()
		})
		have := map[string]observation.Capture{}
		for _, c := range b.captures {
			have[c.Type] = c
		}
		if c := have["cpu"]; c.Instances != 2 || c.Of != 2 || c.Note != "" {
			t.Errorf("%+v, want two of two", c)
		}
		if c := have["allocs"]; c.Instances != 1 || c.Of != 2 || !strings.Contains(c.Note, "b:2") || c.File == "" {
			t.Errorf("%+v, want one of two", c)
		}
	})
}
