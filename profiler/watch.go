package profiler

import (
	"context"
	"sync"
	"time"

	"github.com/headroom-project/headroom/profiler/resources"
)

// readTime bounds one look. A saturated target may take seconds to answer with
// its metrics; a look that late says little.
const readTime = 5 * time.Second

// look is what a reader saw.
type look struct {
	reader   int
	at       time.Duration
	readings []resources.Reading
	err      error
}

// watch starts a goroutine for each reader, so that a slow one does not hold up
// the others. They end with ctx.
func (s *Session) watch(ctx context.Context, out chan<- look) *sync.WaitGroup {
	var wg sync.WaitGroup
	for i := range s.cfg.Readers {
		wg.Go(func() { s.watchOne(ctx, i, out) })
	}
	return &wg
}

// watchOne looks every interval, and whenever it is nudged, from when the next
// interval then counts.
func (s *Session) watchOne(ctx context.Context, i int, out chan<- look) {
	timer := time.NewTimer(s.cfg.Every)
	defer timer.Stop()
	for {
		began := time.Now()
		l := s.look(ctx, i)
		if ctx.Err() != nil {
			return // what was cut short is no failure of the reader
		}
		select {
		case out <- l:
		case <-ctx.Done():
			return
		}
		// A reader slower than the interval gets a pause all the same.
		timer.Reset(max(s.cfg.Every-time.Since(began), s.cfg.Every/10))
		select {
		case <-timer.C:
		case <-s.nudges[i]:
		case <-ctx.Done():
			return
		}
	}
}

// look reads once. The target's counters were read at some time between the
// request and the answer; the middle is off by half of that at most.
func (s *Session) look(ctx context.Context, i int) look {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	began := s.cfg.Now()
	readings, err := s.cfg.Readers[i].Read(ctx)
	ended := s.cfg.Now()
	return look{reader: i, at: began + (ended-began)/2, readings: readings, err: err}
}
