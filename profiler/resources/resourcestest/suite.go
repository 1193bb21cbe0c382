// Package resourcestest is the conformance suite of resources.Reader: every
// implementation runs it.
package resourcestest

import (
	"context"
	"errors"
	"math"
	"reflect"
	"sync"
	"testing"

	"github.com/headroom-project/headroom/profiler/resources"
)

// Run checks a reader of something that is there and answers at once.
func Run(t *testing.T, r resources.Reader) {
	t.Run("source", func(t *testing.T) { source(t, r) })
	t.Run("readings", func(t *testing.T) { readings(t, r) })
	t.Run("counters", func(t *testing.T) { counters(t, r) })
	t.Run("ownership", func(t *testing.T) { ownership(t, r) })
	t.Run("context", func(t *testing.T) { ended(t, r) })
	t.Run("concurrency", func(t *testing.T) { concurrency(t, r) })
}

// RunGone checks a reader of something that is no longer there.
func RunGone(t *testing.T, r resources.Reader) {
	got, err := r.Read(t.Context())
	if err == nil || len(got) != 0 {
		t.Errorf("Read of what is gone = %v, %v; want an error and no readings", got, err)
	}
}

func read(t *testing.T, r resources.Reader) []resources.Reading {
	t.Helper()
	got, err := r.Read(t.Context())
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return got
}

func source(t *testing.T, r resources.Reader) {
	switch r.Source() {
	case resources.SourceProcess, resources.SourceCgroup, resources.SourceMetrics:
	default:
		t.Errorf("Source = %q", r.Source())
	}
}

func readings(t *testing.T, r resources.Reader) {
	got := read(t, r)
	if len(got) == 0 {
		t.Fatal("neither readings nor an error")
	}
	seen := map[string]bool{}
	for _, reading := range got {
		if reading.Resource == "" || seen[reading.Resource] {
			t.Errorf("resource %q: empty or twice", reading.Resource)
		}
		seen[reading.Resource] = true
		for _, v := range []float64{reading.Value, reading.Limit} {
			if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%+v: a value or limit that is impossible", reading)
			}
		}
		switch reading.Unit {
		case resources.UnitCores, resources.UnitBytes, resources.UnitSlots, resources.UnitCount, resources.UnitByteRate, resources.UnitRate:
		default:
			t.Errorf("%+v: unknown unit", reading)
		}
	}
}

// counters never fall, and what is a counter once is one always.
func counters(t *testing.T, r resources.Reader) {
	before := map[string]resources.Reading{}
	for _, reading := range read(t, r) {
		before[reading.Resource] = reading
	}
	for _, now := range read(t, r) {
		then, ok := before[now.Resource]
		if !ok {
			continue
		}
		if now.Counter != then.Counter || now.Unit != then.Unit {
			t.Errorf("%s changed from %+v to %+v", now.Resource, then, now)
		}
		if now.Counter && now.Value < then.Value {
			t.Errorf("counter %s fell from %g to %g", now.Resource, then.Value, now.Value)
		}
	}
}

// ownership: what the caller does to its slice, the reader does not see.
func ownership(t *testing.T, r resources.Reader) {
	names := func(rs []resources.Reading) (list []string) {
		for _, reading := range rs {
			list = append(list, reading.Resource)
		}
		return list
	}
	first := read(t, r)
	want := names(first)
	for i := range first {
		first[i] = resources.Reading{Resource: "overwritten"}
	}
	if got := names(read(t, r)); !reflect.DeepEqual(got, want) {
		t.Errorf("resources = %v after the caller's change, %v before", got, want)
	}
}

func ended(t *testing.T, r resources.Reader) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Read with a context that ended: %v, want context.Canceled", err)
	}
}

func concurrency(t *testing.T, r resources.Reader) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := r.Read(t.Context()); err != nil {
				t.Errorf("concurrent Read: %v", err)
			}
		})
	}
	wg.Wait()
}
