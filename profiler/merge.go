package profiler

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/pprof/profile"
)

// Merge makes one profile of several of the same type: of a target's instances,
// of the blocks of a step, of many steps. Values add up, and so do the times
// that they span. It fails if one is malformed, too large, or of another type.
// The result is gzip-compressed.
func Merge(pprofs ...[]byte) ([]byte, error) {
	p, err := decodeAll(pprofs)
	if err != nil {
		return nil, err
	}
	return encode(p)
}

// decodeAll is the sum of several profiles.
func decodeAll(pprofs [][]byte) (*profile.Profile, error) {
	list := make([]*profile.Profile, len(pprofs))
	for i, data := range pprofs {
		p, err := decode(data)
		if err != nil {
			return nil, err
		}
		list[i] = p
	}
	return merge(list)
}

func merge(list []*profile.Profile) (*profile.Profile, error) {
	switch len(list) {
	case 0:
		return nil, errors.New("merge profiles: there is none")
	case 1:
		return list[0], nil
	}
	p, err := profile.Merge(list)
	if err != nil {
		return nil, fmt.Errorf("merge profiles: %w", err)
	}
	return p, nil
}

func encode(p *profile.Profile) ([]byte, error) {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return nil, fmt.Errorf("write profile: %w", err)
	}
	return b.Bytes(), nil
}
