package scenarios

import (
	"errors"
	"fmt"
	"io"

	"github.com/headroom-project/headroom/scenarios/recording"
)

// Limits of a recording that is replayed.
const (
	maxArrivals  = 5_000_000
	maxTraceFile = 1 << 30 // bytes
)

// replays reads the recordings of a plan, each file once.
type replays struct {
	*complaints
	plan   *Plan
	in     Inputs
	maxRPS float64
	known  map[string]int // index of the trace by file; -1 if it is broken
}

// read is the index of a recording in the plan, and whether it is sound.
func (r *replays) read(l *ReplayLoad, path string) (int, bool) {
	if i, ok := r.known[l.File]; ok {
		return i, i >= 0 && r.paced(i, l, path)
	}
	r.known[l.File] = -1
	trace, err := r.file(l.File)
	if err != nil {
		message, hint := parts(err)
		var line *recording.LineError
		if errors.As(err, &line) {
			r.list = append(r.list, Problem{File: l.File, Line: line.Line, Column: 1, Message: line.Err.Error(),
				Hint: "remove the line, if the arrival does not matter"})
			return 0, false
		}
		r.quote(path+".file", l.File, path+".file: "+message, hint)
		return 0, false
	}
	i := len(r.plan.Traces)
	r.known[l.File] = i
	r.plan.Traces = append(r.plan.Traces, *trace)
	return i, r.paced(i, l, path)
}

// paced complains about a recording that is busier than safety allows.
func (r *replays) paced(i int, l *ReplayLoad, path string) bool {
	busiest := r.plan.Traces[i].busiest(l.Speed)
	if lasts := r.plan.Traces[i].length(l.Speed); lasts > maxDuration {
		r.quote(path+".file", l.File, fmt.Sprintf("%s takes %s, more than %s", path, Duration(lasts), Duration(maxDuration)), "cut the file, or raise the speed")
		return false
	}
	if float64(busiest) > r.maxRPS {
		r.quote(path+".file", l.File, fmt.Sprintf("%s offers %d requests in its busiest second, above safety.max_rps, which is %s", path, busiest, number(r.maxRPS)),
			"lower the speed, or raise safety.max_rps if the target may be given that much")
		return false
	}
	return true
}

func (r *replays) file(name string) (*Recording, error) {
	if r.in.Open == nil {
		return nil, fmt.Errorf("cannot read the file: open %s: files are not available here", name)
	}
	f, err := r.in.Open(name)
	if err != nil {
		return nil, hinted("names are relative to the scenario's folder", "cannot read the file: %v", err)
	}
	defer f.Close()
	limited := &io.LimitedReader{R: f, N: maxTraceFile + 1}
	offsets, err := recording.Times(recording.FormatOf(name), limited, maxArrivals)
	switch {
	case limited.N <= 0:
		return nil, hinted("cut it to the hours that matter", "file is larger than %s, the limit", Size(maxTraceFile))
	case errors.Is(err, recording.ErrTooMany):
		return nil, hinted("cut it to the hours that matter", "file has more than %d arrivals, the limit", maxArrivals)
	case err != nil:
		return nil, err
	}
	return &Recording{offsets: offsets}, nil
}
