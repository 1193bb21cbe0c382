package reports

import (
	"testing"

	"github.com/headroom-project/headroom/capacity/scaleout"
)

// How surely more replicas carry less is said with the count.
func TestPeakSentence(t *testing.T) {
	for _, c := range []struct {
		fit  scaleout.Fit
		want string
	}{
		{scaleout.Fit{}, ""},
		{scaleout.Fit{PeakAt: 7, PeakBetween: []int{7, 7}, PeakSure: 1}, " Beyond 7 more replicas carry less."},
		{scaleout.Fit{PeakAt: 10, PeakBetween: []int{9, 12}, PeakSure: 1}, " Beyond 10 (9-12) more replicas carry less."},
		{scaleout.Fit{PeakAt: 8, PeakBetween: []int{5, 40}, PeakSure: 0.97}, " Beyond some 8 more replicas probably carry less (97% sure), but that may begin anywhere from 5 to 40."},
		{scaleout.Fit{PeakAt: 8, PeakBetween: []int{5, 0}, PeakSure: 0.94}, " Beyond some 8 more replicas may carry less (94% sure): that may begin from 5 on, or not at all."},
	} {
		if got := peakSentence(&c.fit); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
