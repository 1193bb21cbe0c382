package profiler

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/pprof/profile"
)

// instanceLabel is the label by which samples of a merged profile tell the
// instance that they are from.
const instanceLabel = "instance"

// Instance is one of several instances of a target.
type Instance struct {
	Name     string // such as its host and port
	Profiles Profiles
}

// Instances captures from all instances of a target at once, as one: the
// profiles are merged, each sample with a label "instance".
type Instances []Instance

// PartialError comes with a profile in which some instances are missing.
type PartialError struct {
	Have, Of int
	Err      error // of those that are missing
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("%d of %d instances: %v", e.Have, e.Of, e.Err)
}

// Unwrap gives the errors of the instances.
func (e *PartialError) Unwrap() error { return e.Err }

// Capture fetches a profile from each instance and merges them. If some fail it
// returns what there is with a *PartialError; if all do, their errors alone. A trace
// cannot be merged: it is of the first instance that gives one, and partial.
func (x Instances) Capture(ctx context.Context, typ string, seconds int) ([]byte, error) {
	if typ == traceType {
		return x.trace(ctx, seconds)
	}
	profiles := make([]*profile.Profile, len(x))
	errs := make([]error, len(x))
	var wg sync.WaitGroup
	for i, one := range x {
		wg.Go(func() {
			data, err := one.Profiles.Capture(ctx, typ, seconds)
			if err == nil {
				profiles[i], err = labelled(data, one.Name)
			}
			if err != nil {
				errs[i] = fmt.Errorf("%s: %w", one.Name, err)
			}
		})
	}
	wg.Wait()
	var have []*profile.Profile
	var longest int64
	for _, p := range profiles {
		if p != nil {
			have = append(have, p)
			longest = max(longest, p.DurationNanos)
		}
	}
	missing := errors.Join(errs...)
	if len(have) == 0 {
		return nil, missing
	}
	merged, err := merge(have)
	if err != nil {
		return nil, err
	}
	merged.DurationNanos = longest // they were taken side by side
	data, err := encode(merged)
	if err != nil {
		return nil, err
	}
	if missing != nil {
		return data, &PartialError{Have: len(have), Of: len(x), Err: missing}
	}
	return data, nil
}

// trace captures an execution trace of one instance.
func (x Instances) trace(ctx context.Context, seconds int) ([]byte, error) {
	var errs []error
	for _, one := range x {
		data, err := one.Profiles.Capture(ctx, traceType, seconds)
		if err == nil {
			errs = append(errs, fmt.Errorf("execution traces cannot be merged, this one is of %s", one.Name))
			return data, &PartialError{Have: 1, Of: len(x), Err: errors.Join(errs...)}
		}
		errs = append(errs, fmt.Errorf("%s: %w", one.Name, err))
	}
	return nil, errors.Join(errs...)
}

// labelled decodes a profile whose samples say where they are from.
func labelled(data []byte, name string) (*profile.Profile, error) {
	p, err := decode(data)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Sample {
		if s.Label == nil {
			s.Label = map[string][]string{}
		}
		s.Label[instanceLabel] = []string{name}
	}
	return p, nil
}

// CounterSum adds up the counters of several instances.
type CounterSum []Counter

// Counters reads all at once; it fails if one does, since the sum is then none.
func (x CounterSum) Counters(ctx context.Context) (map[string]float64, error) {
	all := make([]map[string]float64, len(x))
	errs := make([]error, len(x))
	var wg sync.WaitGroup
	for i, one := range x {
		wg.Go(func() { all[i], errs[i] = one.Counters(ctx) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sum := map[string]float64{}
	for _, one := range all {
		for name, v := range one {
			sum[name] += v
		}
	}
	return sum, nil
}
