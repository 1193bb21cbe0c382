package scenarios

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Growth is how a demand grows: by a ratio in a period, compounding.
type Growth struct {
	Ratio float64 // 0.05 for 5%
	Every time.Duration
}

// periods are the lengths of those that have one, on average.
var periods = map[string]time.Duration{
	"day": 24 * time.Hour, "week": 7 * 24 * time.Hour, "month": 8766 * time.Hour / 12, "quarter": 8766 * time.Hour / 4, "year": 8766 * time.Hour,
}

// ParseGrowth reads 5%/month; day, week, month, quarter and year are known.
func ParseGrowth(text string) (Growth, error) {
	if !growthForm.MatchString(text) {
		return Growth{}, fmt.Errorf("%.40q is no growth", text)
	}
	number, period, _ := strings.Cut(text, "%/")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return Growth{}, fmt.Errorf("%.40q is no growth", text)
	}
	if v <= -100 {
		return Growth{}, fmt.Errorf("%.40q leaves nothing", text)
	}
	return Growth{Ratio: v / 100, Every: periods[period]}, nil
}

// After returns what has become of one after a time.
func (g Growth) After(t time.Duration) float64 {
	return math.Pow(1+g.Ratio, t.Hours()/g.Every.Hours())
}

// Reaches returns after how long one has become factor, and false if it never does.
func (g Growth) Reaches(factor float64) (time.Duration, bool) {
	switch {
	case factor <= 1:
		return 0, true
	case g.Ratio <= 0:
		return 0, false
	}
	hours := math.Log(factor) / math.Log1p(g.Ratio) * g.Every.Hours()
	if !(hours < 24*366*100) {
		return 0, false
	}
	return time.Duration(hours * float64(time.Hour)), true
}
