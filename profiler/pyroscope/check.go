package pyroscope

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headroom-project/headroom/profiler"
)

// Limits bound what a Router admits. A field that is 0 has its default, which
// for size, samples and labels is that of Pyroscope servers.
type Limits struct {
	// Uncompressed bounds one profile after decompression, in bytes: 4 MiB.
	Uncompressed int
	// Samples bounds the stacks of one profile: 16,000.
	Samples int
	// Entries bounds its functions, locations, mappings and strings each: 200,000.
	Entries int
	// Frames bounds the locations and labels over all samples: 500,000.
	Frames int
	// Labels bounds the labels that a profile comes with: 30, each of at most
	// 1 KiB for the name and 2 KiB for the value.
	Labels int
	// Profiles bounds what one push may bring: 100.
	Profiles int
	// Rate and Burst bound the requests per second: 50 and 200.
	Rate, Burst float64
	// Concurrent bounds the requests that are worked on at once: 4.
	Concurrent int
}

const (
	maxLabelName  = 1 << 10
	maxLabelValue = 2 << 10
	// maxOverhead is what a request may have besides the profile, in bytes:
	// boundaries, headers of the parts, the types of its samples.
	maxOverhead = 256 << 10
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&l.Uncompressed, 4<<20)
	set(&l.Samples, 16_000)
	set(&l.Entries, 200_000)
	set(&l.Frames, 500_000)
	set(&l.Labels, 30)
	set(&l.Profiles, 100)
	set(&l.Concurrent, 4)
	if l.Rate <= 0 {
		l.Rate = 50
	}
	if l.Burst <= 0 {
		l.Burst = 200
	}
	return l
}

// check reads a profile that was sent, gzip-compressed or not, within the limits.
// Its errors are refusals.
func (l Limits) check(data []byte) (*profile.Profile, error) {
	raw, err := l.decompress(data)
	if err != nil {
		return nil, err
	}
	if err := l.measure(raw); err != nil {
		return nil, err
	}
	p, err := profile.ParseUncompressed(raw)
	if err == nil {
		err = p.CheckValid()
	}
	if err == nil && len(p.SampleType) == 0 {
		err = errors.New("it declares no sample types")
	}
	if err == nil {
		err = sensible(p)
	}
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "the profile is not valid: %w", err)
	}
	return p, nil
}

var gzipMagic = []byte{0x1f, 0x8b}

// decompress gives up as soon as the limit is passed: a bomb costs no memory.
func (l Limits) decompress(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, gzipMagic) {
		if len(data) > l.Uncompressed {
			return nil, l.large()
		}
		return data, nil
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "the profile is not valid gzip: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(zr, int64(l.Uncompressed)+1))
	if err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "the profile is cut off or damaged: %w", err)
	}
	if len(raw) > l.Uncompressed {
		return nil, l.large()
	}
	return raw, nil
}

func (l Limits) large() error {
	return refuse(http.StatusRequestEntityTooLarge, "the profile is larger than %d bytes when decompressed", l.Uncompressed)
}

// Fields of profile.proto.
const (
	fieldSample   = 2
	fieldMapping  = 3
	fieldLocation = 4
	fieldFunction = 5
	fieldString   = 6

	fieldSampleLocations = 1
	fieldSampleLabel     = 3
	fieldLocationLine    = 4
)

// measure counts what a profile would become in memory, without building it:
// two bytes can stand for a struct of a hundred.
func (l Limits) measure(raw []byte) error {
	var samples, frames, other int
	counts := map[protowire.Number]int{}
	err := profiler.EachField(raw, func(field protowire.Number, body []byte) error {
		switch field {
		case fieldSample:
			samples++
			return profiler.EachField(body, func(inner protowire.Number, content []byte) error {
				switch {
				case inner == fieldSampleLocations && content != nil:
					frames += varints(content)
				case inner == fieldSampleLocations, inner == fieldSampleLabel:
					frames++
				}
				return nil
			})
		case fieldLocation:
			counts[field]++
			return profiler.EachField(body, func(inner protowire.Number, _ []byte) error {
				if inner == fieldLocationLine {
					counts[fieldLocation]++
				}
				return nil
			})
		case fieldMapping, fieldFunction, fieldString:
			counts[field]++
		default:
			other++
		}
		return nil
	})
	switch {
	case err != nil:
		return refuse(http.StatusUnprocessableEntity, "the profile is cut off, or no pprof profile: %w", err)
	case samples > l.Samples:
		return refuse(http.StatusUnprocessableEntity, "the profile has %d samples, more than %d", samples, l.Samples)
	case frames > l.Frames:
		return refuse(http.StatusUnprocessableEntity, "the stacks of the profile have %d frames and labels, more than %d", frames, l.Frames)
	case other > l.Entries:
		return refuse(http.StatusUnprocessableEntity, "the profile has %d fields besides its samples, more than %d", other, l.Entries)
	}
	for field, n := range counts {
		if n > l.Entries {
			return refuse(http.StatusUnprocessableEntity, "the profile has %d entries of field %d, more than %d", n, field, l.Entries)
		}
	}
	return nil
}

// varints is how many numbers a packed field holds: each ends with a byte whose
// highest bit is clear.
func varints(packed []byte) (n int) {
	for _, b := range packed {
		if b < 0x80 {
			n++
		}
	}
	return n
}

// sensible refuses negative values and times. What is in use may be negative:
// some agents send its change.
func sensible(p *profile.Profile) error {
	if p.TimeNanos < 0 || p.DurationNanos < 0 || p.Period < 0 {
		return errors.New("a time or period is negative")
	}
	for i, st := range p.SampleType {
		if strings.HasPrefix(st.Type, "inuse_") || st.Type == "goroutine" {
			continue
		}
		sum := int64(0)
		for _, s := range p.Sample {
			if s.Value[i] < 0 {
				return fmt.Errorf("a sample has %d %s", s.Value[i], harmless(st.Type))
			}
			if sum > math.MaxInt64-s.Value[i] {
				return fmt.Errorf("the samples have more %s than there can be", harmless(st.Type))
			}
			sum += s.Value[i]
		}
	}
	return nil
}
