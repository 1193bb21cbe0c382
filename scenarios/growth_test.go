package scenarios

import (
	"math"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	g, err := ParseGrowth("100%/year")
	if err != nil {
		t.Fatal(err)
	}
	year := 8766 * time.Hour
	if v := g.After(year); math.Abs(v-2) > 1e-12 {
		t.Errorf("doubled to %g", v)
	}
	if after, ok := g.Reaches(4); !ok || (after-2*year).Abs() > time.Second {
		t.Errorf("four times after %s, %t", after, ok)
	}
	if after, ok := g.Reaches(0.5); !ok || after != 0 {
		t.Errorf("below today's: after %s, %t", after, ok)
	}
	for _, text := range []string{"0%/week", "-3%/day", "0.0001%/year"} {
		if g, err := ParseGrowth(text); err != nil {
			t.Error(err)
		} else if _, ok := g.Reaches(2); ok {
			t.Errorf("%s doubles", text)
		}
	}
	for _, text := range []string{"", "5%", "5/month", "fast", "-100%/year", "5%/decade", "NaN%/day"} {
		if g, err := ParseGrowth(text); err == nil {
			t.Errorf("%q is %+v", text, g)
		}
	}
}
