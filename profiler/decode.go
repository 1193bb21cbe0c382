package profiler

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/protowire"
)

// bounds limit a profile that is decoded into memory: an attack is small when
// compressed, and when encoded, where two bytes can stand for a struct of a
// hundred.
type bounds struct {
	decoded  int // bytes, decompressed
	messages int // samples, locations, lines, functions, labels ...
	frames   int // locations over all samples
}

// usualBounds are far above real profiles: that of a large service's CPU is
// about 1 MB, of its heap some 10 MB. They keep memory below a gigabyte or so.
var usualBounds = bounds{decoded: 128 << 20, messages: 4 << 20, frames: 16 << 20}

// errTooLarge is wrapped when a bound is broken.
var errTooLarge = errors.New("the profile is too large to be shown")

// decode reads a profile, gzip-compressed or not.
func decode(pprof []byte) (*profile.Profile, error) {
	return decodeWithin(pprof, usualBounds)
}

func decodeWithin(pprof []byte, most bounds) (*profile.Profile, error) {
	raw, err := decompress(pprof, most.decoded)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	if err := measure(raw, most); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	p, err := profile.ParseUncompressed(raw)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	if err := p.CheckValid(); err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	if len(p.SampleType) == 0 {
		return nil, errors.New("read profile: it declares no sample types")
	}
	return p, nil
}

func decompress(pprof []byte, most int) ([]byte, error) {
	raw := pprof
	if bytes.HasPrefix(pprof, []byte{0x1f, 0x8b}) {
		zr, err := gzip.NewReader(bytes.NewReader(pprof))
		if err != nil {
			return nil, err
		}
		if raw, err = io.ReadAll(io.LimitReader(zr, int64(most)+1)); err != nil {
			return nil, err
		}
	}
	if len(raw) > most {
		return nil, fmt.Errorf("%w: more than %d bytes", errTooLarge, most)
	}
	return raw, nil
}

// Fields of profile.proto.
const (
	fieldSample   = 2
	fieldLocation = 4

	fieldSampleLocations = 1
	fieldSampleLabel     = 3
	fieldLocationLine    = 4
)

// measure counts what a message would become in memory, without building it.
func measure(raw []byte, most bounds) error {
	messages, frames := 0, 0
	err := EachField(raw, func(field protowire.Number, body []byte) error {
		messages++
		if field != fieldSample && field != fieldLocation {
			return nil
		}
		return EachField(body, func(inner protowire.Number, content []byte) error {
			switch {
			case field == fieldSample && inner == fieldSampleLocations:
				// Packed, one byte at least for each; an unpacked one is a field
				// of its own, whose content is nil here.
				frames += max(len(content), 1)
			case field == fieldSample && inner == fieldSampleLabel,
				field == fieldLocation && inner == fieldLocationLine:
				messages++
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case messages > most.messages:
		return fmt.Errorf("%w: %d entries", errTooLarge, messages)
	case frames > most.frames:
		return fmt.Errorf("%w: %d stack frames", errTooLarge, frames)
	}
	return nil
}
