package scenarios

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const hintTime = "write a number with a unit, such as 10s, 250ms or 1m30s"

// String is the canonical text: 1m30s, 2h, 250ms.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a time with its unit, such as 10s or 1m30s.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return hinted(hintTime, "not a time")
	}
	*d = Duration(v)
	return nil
}

// sizeUnit is a unit of Size.
type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are the units of Size, the longest names first, as they are looked
// for at the end of the text.
func sizeUnits() []sizeUnit {
	return []sizeUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}
}

// String is the canonical text: 16MiB, 100kB, 17B.
func (s Size) String() string {
	for _, u := range sizeUnits() {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a number of bytes with its unit, such as 16MiB or 100kB.
func (s *Size) UnmarshalText(text []byte) error {
	t := strings.TrimSpace(string(text))
	for _, u := range sizeUnits() {
		number, ok := cutSuffixFold(t, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(math.Abs(v)*float64(u.bytes) < 1<<62) {
			break
		}
		*s = Size(v * float64(u.bytes))
		return nil
	}
	return hinted("write a number with a unit, such as 16MiB, 100kB or 512B", "not a size")
}

func cutSuffixFold(s, suffix string) (string, bool) {
	cut := len(s) - len(suffix)
	if cut < 0 || !strings.EqualFold(s[cut:], suffix) {
		return s, false
	}
	return s[:cut], true
}

// UnmarshalText reads the name of an arrival process.
func (a *Arrivals) UnmarshalText(text []byte) error {
	switch v := Arrivals(text); v {
	case Poisson, Constant, Trace:
		*a = v
		return nil
	default:
		return hinted(suggest(string(text), []string{string(Poisson), string(Constant), string(Trace)}), "unknown arrivals")
	}
}
