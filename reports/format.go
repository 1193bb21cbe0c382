package reports

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// none stands where there is no figure.
const none = "–"

// most is from where figures are written with a power of ten: nobody reads 300 digits.
const most = 1e12

// perSecond writes a rate in requests/s, without its unit: three digits that
// mean something, and every digit before the point.
func perSecond(v float64) string {
	switch a := math.Abs(v); {
	case !finite(v):
		return none
	case a >= most:
		return fmt.Sprintf("%.3g", v)
	case a >= 99.95:
		return grouped(v)
	case a >= 9.995:
		return trimmed(v, 1)
	default:
		return trimmed(v, 2)
	}
}

// millis writes a duration given in milliseconds, with its unit.
func millis(v float64) string {
	switch a := math.Abs(v); {
	case !finite(v):
		return none
	case a >= 9995:
		return trimmed(v/1000, 1) + " s"
	case a >= 999.5:
		return trimmed(v/1000, 2) + " s"
	case a >= 99.95:
		return trimmed(v, 0) + " ms"
	case a >= 9.995:
		return trimmed(v, 1) + " ms"
	default:
		return trimmed(v, 2) + " ms"
	}
}

// percent writes a ratio as a percentage. A ratio that is not zero is never
// written as 0%.
func percent(v float64) string {
	switch a := math.Abs(v) * 100; {
	case !finite(v):
		return none
	case a >= most:
		return fmt.Sprintf("%.3g%%", v*100)
	case a == 0:
		return "0%"
	case a < 0.005:
		return "<0.01%"
	case a < 0.995:
		return trimmed(v*100, 2) + "%"
	case a < 9.95:
		return trimmed(v*100, 1) + "%"
	default:
		return trimmed(v*100, 0) + "%"
	}
}

// money writes an amount with three significant digits at least.
func money(v float64, currency string) string {
	if !finite(v) {
		return none
	}
	digits := 2
	if a := math.Abs(v); a > 0 && a < 1 {
		digits = min(2-int(math.Floor(math.Log10(a))), 8)
	}
	return strings.TrimSpace(strconv.FormatFloat(v, 'f', digits, 64) + " " + clean(currency))
}

// lasting writes a duration given in seconds.
func lasting(s float64) string {
	switch {
	case !finite(s) || math.Abs(s) > 1e9:
		return none
	case s < 9.95:
		return trimmed(s, 1) + " s"
	case s < 120:
		return trimmed(s, 0) + " s"
	}
	return strings.TrimSuffix((time.Duration(s) * time.Second).String(), "0s")
}

// scaled writes a quantity in its unit.
func scaled(v float64, unit string) string {
	switch {
	case !finite(v):
		return none
	case unit == "bytes":
		return binary(v)
	case unit == "bytes/s":
		return binary(v) + "/s"
	case unit == "nanoseconds":
		return nanos(v)
	case unit == "ratio":
		return percent(v)
	case unit == "count":
		return perSecond(v)
	}
	return strings.TrimSpace(perSecond(v) + " " + clean(unit))
}

func nanos(v float64) string {
	switch a := math.Abs(v); {
	case a >= 999.5e6:
		return trimmed(v/1e9, 2) + " s"
	case a >= 999.5e3:
		return trimmed(v/1e6, 2) + " ms"
	case a >= 999.5:
		return trimmed(v/1e3, 1) + " µs"
	default:
		return trimmed(v, 0) + " ns"
	}
}

func binary(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for math.Abs(v) >= 1023.5 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	digits := 0
	if i > 0 && math.Abs(v) < 99.95 {
		digits = 1
	}
	return trimmed(v, digits) + " " + units[i]
}

// share is the use as a ratio of its limit; false if no limit is known.
func share(u observation.Use) (float64, bool) {
	if !(u.Limit > 0) || !finite(u.Used) || !finite(u.Limit) {
		return 0, false
	}
	return u.Used / u.Limit, true
}

// useShort fits a table: the share of the limit, or what was used.
func useShort(u observation.Use) string {
	if s, ok := share(u); ok {
		return percent(s)
	}
	return scaled(u.Used, u.Unit)
}

// useLong says both, what was used and the limit.
func useLong(u observation.Use) string {
	if u.Unit == "ratio" || !(u.Limit > 0) {
		return scaled(u.Used, u.Unit)
	}
	if u.Unit == "bytes" || u.Unit == "bytes/s" {
		return scaled(u.Used, u.Unit) + " of " + scaled(u.Limit, u.Unit)
	}
	return perSecond(u.Used) + " of " + scaled(u.Limit, u.Unit)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// trimmed has at most digits decimals and no zeros at the end.
func trimmed(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

// grouped writes an integer with its thousands apart.
func grouped(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	if len(s) > 15 {
		return sign + strconv.FormatFloat(math.Abs(v), 'g', 4, 64)
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func count(n uint64) string { return grouped(float64(n)) }

// joined writes a list as a sentence does: a, b and c.
func joined(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " and " + items[last]
}

// longest bounds a string of the Run on one line of a view, in runes.
const longest = 400

// clean makes an untrusted string fit for one line: no control characters, no
// characters that turn the writing direction, no line breaks, no endless text.
func clean(s string) string {
	if len(s) > 4*longest {
		s = s[:4*longest]
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Cf, c):
			return -1
		}
		return c
	}, s)
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return s
}

var unitAfterDigit = regexp.MustCompile(`(\d)(ns|us|µs|ms|s|rps)\b`)

// spaced sets the unit of an objective apart: p99 < 50ms becomes p99 < 50 ms.
func spaced(objective string) string {
	return unitAfterDigit.ReplaceAllString(clean(objective), "$1 $2")
}

var unitAfterFigure = regexp.MustCompile(`([<>=\d]) (\d|ms\b|s\b|req/s\b)`)

// glued keeps a figure together with its unit and its comparison when a browser
// breaks the line.
func glued(s string) string {
	return unitAfterFigure.ReplaceAllString(unitAfterFigure.ReplaceAllString(s, "$1\u00a0$2"), "$1\u00a0$2")
}

// shortName drops the import path of a Go function and keeps its package.
func shortName(name string) string {
	name = clean(name)
	head := name
	if i := strings.IndexAny(name, "(["); i >= 0 {
		head = name[:i]
	}
	if i := strings.LastIndex(head, "/"); i >= 0 && i+1 < len(name) {
		return name[i+1:]
	}
	return name
}

// sentenceCase makes sure that a reason ends as a sentence does.
func sentenceCase(s string) string {
	s = clean(s)
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
