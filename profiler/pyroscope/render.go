package pyroscope

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// rendered asks a server by the HTTP interface that it had before Connect. It
// gives a flame graph, which is turned into a profile of functions.
func (s *Server) rendered(ctx context.Context, sel selection) (*profile.Profile, error) {
	query := url.Values{
		"query": {sel.typeID + sel.selector}, "format": {"json"},
		"from": {strconv.FormatInt(sel.from.UnixMilli(), 10)}, "until": {strconv.FormatInt(sel.until.UnixMilli(), 10)},
	}
	var answer []byte
	var err error
	for _, path := range []string{"/pyroscope/render", "/render"} {
		u := s.base.JoinPath(path)
		u.RawQuery = query.Encode()
		if answer, err = s.send(ctx, http.MethodGet, u, nil, nil); !absent(err) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	p, err := fromFlamebearer(answer, sel.typeID)
	if err != nil && !errors.Is(err, errNothing) {
		err = fmt.Errorf("read the server's flame graph: %w", err)
	}
	return p, err
}

// flamebearer is a flame graph by levels, as /render gives it. A bar is four
// numbers: its distance from the bar to its left, its total, what of that is its
// own, and the index of its name.
type flamebearer struct {
	Flamebearer struct {
		Names  []string  `json:"names"`
		Levels [][]int64 `json:"levels"`
	} `json:"flamebearer"`
	Metadata struct {
		Format string `json:"format"`
	} `json:"metadata"`
}

// bar is one frame of a flame graph.
type bar struct {
	begin, end int64
	parent     int // in the level above
	name       int64
}

const (
	maxLevels = 1000
	maxBars   = 1_000_000
	maxFrames = 16_000_000 // over all stacks
)

// fromFlamebearer makes a profile with one sample for each bar that has a share
// of its own. typeID names its values.
func fromFlamebearer(data []byte, typeID string) (*profile.Profile, error) {
	var f flamebearer
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if f.Metadata.Format != "single" && f.Metadata.Format != "" {
		return nil, fmt.Errorf("its format is %q, not single", harmless(f.Metadata.Format))
	}
	levels := f.Flamebearer.Levels
	if len(levels) > maxLevels {
		return nil, fmt.Errorf("it has %d levels, more than %d", len(levels), maxLevels)
	}
	b := graphBuilder{names: f.Flamebearer.Names, profile: typed(typeID)}
	for _, level := range levels {
		if err := b.level(level); err != nil {
			return nil, err
		}
	}
	if len(b.profile.Sample) == 0 {
		return nil, errNothing
	}
	return b.profile, nil
}

// typed is an empty profile whose values are those of a type id.
func typed(typeID string) *profile.Profile {
	part := strings.SplitN(typeID+"::::", ":", 6)
	return &profile.Profile{
		SampleType: []*profile.ValueType{{Type: part[1], Unit: part[2]}},
		PeriodType: &profile.ValueType{Type: part[3], Unit: part[4]},
	}
}

type graphBuilder struct {
	names     []string
	profile   *profile.Profile
	above     [][]bar // all levels so far
	bars      int
	frames    int
	locations map[int64]*profile.Location
}

// level adds the bars of one level.
func (b *graphBuilder) level(numbers []int64) error {
	if len(numbers)%4 != 0 {
		return errors.New("a level is cut off")
	}
	if b.bars += len(numbers) / 4; b.bars > maxBars {
		return fmt.Errorf("it has more than %d bars", maxBars)
	}
	var level []bar
	depth := len(b.above)
	at, parent := int64(0), 0
	for i := 0; i < len(numbers); i += 4 {
		gap, total, self, name := numbers[i], numbers[i+1], numbers[i+2], numbers[i+3]
		if gap < 0 || total < 0 || self < 0 || self > total || name < 0 || name >= int64(len(b.names)) || at > 1<<62-gap-total {
			return errors.New("a bar has numbers that cannot be")
		}
		x := bar{begin: at + gap, end: at + gap + total, name: name}
		at = x.end
		if depth > 0 {
			upper := b.above[depth-1]
			for parent < len(upper) && upper[parent].end <= x.begin && x.end > upper[parent].end {
				parent++
			}
			if parent == len(upper) || x.begin < upper[parent].begin || x.end > upper[parent].end {
				return errors.New("a bar has none above it")
			}
			x.parent = parent
		}
		level = append(level, x)
		if self > 0 {
			if b.frames += depth; b.frames > maxFrames {
				return fmt.Errorf("its stacks have more than %d frames", maxFrames)
			}
			b.sample(append(b.above, level), depth, len(level)-1, self)
		}
	}
	b.above = append(b.above, level)
	return nil
}

// sample adds the stack of a bar. The topmost bar is the total, no function.
func (b *graphBuilder) sample(levels [][]bar, depth, index int, self int64) {
	s := &profile.Sample{Value: []int64{self}}
	for ; depth > 0; depth-- {
		x := levels[depth][index]
		s.Location = append(s.Location, b.location(x.name))
		index = x.parent
	}
	if len(s.Location) > 0 {
		b.profile.Sample = append(b.profile.Sample, s)
	}
}

func (b *graphBuilder) location(name int64) *profile.Location {
	if l := b.locations[name]; l != nil {
		return l
	}
	if b.locations == nil {
		b.locations = map[int64]*profile.Location{}
	}
	id := uint64(len(b.locations) + 1)
	f := &profile.Function{ID: id, Name: b.names[name], SystemName: b.names[name]}
	l := &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
	b.locations[name] = l
	b.profile.Function = append(b.profile.Function, f)
	b.profile.Location = append(b.profile.Location, l)
	return l
}
