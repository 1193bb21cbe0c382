package demo

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBegins(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1_000_000 + ms)) }
	for _, tt := range []struct {
		name                      string
		arrived, free, now, begin int // ms
	}{
		{"idle", 10, 0, 10, 10},
		{"busy, granted late", 0, 10, 12, 10},
		{"freed late, arrived between plan and wake-up", 11, 10, 12, 11},
		{"far behind", 0, 10, 1000, 750},
		{"as far behind as is made up for", 0, 750, 1000, 750},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := begins(at(tt.arrived), at(tt.free), at(tt.now)); !got.Equal(at(tt.begin)) {
				t.Errorf("begins at %v, want %v", got.Sub(at(0)), at(tt.begin).Sub(at(0)))
			}
		})
	}
}

func TestSleepUntilEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := sleepUntil(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v, want DeadlineExceeded", err)
		}
		if err := sleepUntil(ctx, time.Now().Add(-time.Hour)); err == nil {
			t.Error("a past instant hides that the context has ended")
		}
	})
}
