package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/profiler/pprofhttp"
	"github.com/headroom-project/headroom/scenarios"
)

// captureSource is where the profiles of a target come from; profiles is nil if
// there are none.
type captureSource struct {
	profiles  profiler.Profiles
	counters  profiler.Counter
	instances int
	types     []string
}

// profiles probes for net/http/pprof, at its usual place if none is named. That
// there is none at the usual place is no error. What makes the drill impossible
// is bad input; any other error says why there are no profiles.
func (j *job) profiles(ctx context.Context, client *http.Client) (captureSource, error) {
	spec := j.scenario.Profiles
	// A target that sends its CPU profiles cannot have another taken.
	if spec.Pprof.None() || len(spec.Pprof) == 0 && (j.route != nil || spec.Pyroscope != nil) {
		return captureSource{}, nil
	}
	auth, err := scenarios.Authorization(spec.Auth, j.env)
	if err != nil {
		return captureSource{}, badInput("", "profiles.auth: %w", err)
	}
	bases := spec.Pprof
	if len(bases) == 0 {
		base, err := j.onTarget("/debug/pprof")
		if err != nil {
			return captureSource{}, err
		}
		bases = scenarios.Endpoints{base}
	}
	var found []*pprofhttp.Client
	var instances profiler.Instances
	for _, base := range bases {
		c, err := pprofhttp.New(pprofhttp.Config{URL: base, HTTP: client, Auth: auth})
		if err != nil {
			return captureSource{}, badInput("", "profiles.pprof: %w", err)
		}
		found = append(found, c)
		instances = append(instances, profiler.Instance{Name: hostOf(base), Profiles: c})
	}
	types, err := offered(ctx, found, instances, spec.Types)
	if err != nil {
		if len(spec.Pprof) == 0 && (errors.Is(err, pprofhttp.ErrAbsent) || errors.Is(err, pprofhttp.ErrNotProfile)) {
			err = nil
		}
		return captureSource{}, err
	}
	return assemble(ctx, found, instances, types), nil
}

// hostOf names an instance without what may be secret in its address.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Host
}

// offered are the types that are asked for and that every instance has. It fails
// if an instance cannot be profiled: a part of a target would pass for the whole.
func offered(ctx context.Context, found []*pprofhttp.Client, instances profiler.Instances, asked []string) ([]string, error) {
	types := asked
	if len(types) == 0 {
		types = profiler.DefaultTypes()
	}
	for i, c := range found {
		has, err := c.Probe(ctx)
		if err != nil && len(found) > 1 {
			err = fmt.Errorf("%s: %w", instances[i].Name, err)
		}
		if err != nil {
			return nil, err
		}
		if len(asked) > 0 {
			continue // a capture says if it was wrong
		}
		types = slices.DeleteFunc(slices.Clone(types), func(t string) bool { return !has.Has(t) })
	}
	return types, nil
}

// assemble makes one source of all instances. Exact counters are taken if the
// target has them.
func assemble(ctx context.Context, found []*pprofhttp.Client, instances profiler.Instances, types []string) captureSource {
	source := captureSource{types: types, instances: len(found)}
	if len(found) == 1 {
		source.profiles, source.counters = found[0], found[0]
	} else {
		sum := make(profiler.CounterSum, len(found))
		for i, c := range found {
			sum[i] = c
		}
		source.profiles, source.counters = instances, sum
	}
	if _, err := source.counters.Counters(ctx); err != nil {
		source.counters = nil
	}
	return source
}
