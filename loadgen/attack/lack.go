package attack

import (
	"errors"
	"syscall"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// lack is what this machine had too little of, so that a connection could not be
// opened.
type lack uint8

const (
	lackNone lack = iota
	lackFiles
	lackPorts
	lacks // how many there are
)

var lackNames = [lacks]string{lackFiles: observation.LackFiles, lackPorts: observation.LackPorts}

// lackOf says what was lacking when a connection could not be opened.
func lackOf(err error) lack {
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return lackFiles
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return lackPorts
	}
	return lackNone
}

// lacked names what was lacking, and how often; nil if nothing was.
func lacked(counts [lacks]uint64) map[string]uint64 {
	var out map[string]uint64
	for i, n := range counts {
		if n > 0 {
			if out == nil {
				out = map[string]uint64{}
			}
			out[lackNames[i]] = n
		}
	}
	return out
}
