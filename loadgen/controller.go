package loadgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/scenarios"
)

// Searcher decides what a search offers next; search.Search is one.
type Searcher interface {
	// Next returns the next step, or that there is none, given the points so far
	// and the drill time.
	Next(points []observation.Point, elapsed time.Duration) search.Decision
	// Cut reports whether a running step can be ended because its outcome is
	// certain; planned is the number of hits that the whole step will have.
	Cut(p observation.Point, planned uint64) (reason string, cut bool)
	// Above reports whether a running step uses more of the target than it may, so that
	// it is to end; whole is for how many seconds it is to last, without its warm-up.
	Above(p observation.Point, whole float64) (reason string, above bool)
}

// Recorder keeps the evidence; observation.Recorder is one. Its errors end the
// drill.
type Recorder interface {
	Note(observation.Entry) error
	Window(*observation.Window) error
	Samples([]observation.Sample) error
	Capture(at time.Duration, c observation.Capture, data []byte) error
	Flush() error
}

// Watcher observes the target while steps run; profiler.Session is one.
type Watcher interface {
	// Run reads resources until ctx ends, and returns when nothing of it runs.
	Run(ctx context.Context) error
	// BeginStep and EndStep bound the captures of a step; they do not block.
	BeginStep(ctx context.Context, step int, lasts time.Duration)
	EndStep(step int)
}

// Config is what a controller needs.
type Config struct {
	ID       string
	Scenario *scenarios.Scenario
	Plan     *scenarios.Plan
	Fleet    Fleet
	// Search is nil for a fixed load.
	Search Searcher
	Record Recorder
	// Watch makes the watcher with the functions that take what it sees; nil for none.
	Watch func(WatchConfig) Watcher
	// Now is the drill clock: monotonic, 0 at about the call of Run.
	Now func() time.Duration
	// Started is the wall-clock time of drill time 0, for display only.
	Started time.Time
	// Wall is the wall clock, which is looked at for jumps; nil for no look.
	Wall        func() time.Time
	Progress    Progress
	Environment map[string]any
	// MaxUtilisation is the bound of Search, for the record; 0 for none.
	MaxUtilisation float64
	// Calibration is what the generator can do here, nil if that is not known.
	Calibration *Calibration
	// Lead is how far ahead a step is ordered, so that its first hits are not
	// late; 0 is what one machine needs. Over a network it is more than a round
	// trip.
	Lead time.Duration
	// Resume goes on with a drill that another controller began; nil begins one.
	Resume *Resume
}

// WatchConfig is what a controller hands to its watcher.
type WatchConfig struct {
	Now      func() time.Duration
	OnSample func([]observation.Sample)
	// OnCapture returns when the capture is recorded. All three may be called
	// from several goroutines, until the watcher's Run returns.
	OnCapture func(observation.Capture, []byte)
	OnWarning func(string)
}

// Outcome is how a drill ended.
type Outcome struct {
	// How is one of the End constants of observation.
	How    string
	Detail string
	Points []observation.Point
}

// Run runs a drill to its end. When ctx ends, no more load is offered, hits in
// flight may end, and the outcome is an interrupted drill. The error is nil
// unless the drill could not be run or recorded; the evidence then reads as far
// as it got.
func Run(ctx context.Context, cfg Config) (Outcome, error) {
	c := &controller{
		cfg: cfg, reducer: observation.NewReducer(), guards: newGuardWatch(cfg.Scenario.Guards),
		observed: make(chan func(), 256), over: make(chan struct{}), warned: map[string]bool{}, targetCPU: -1, step: -1, share: 1,
	}
	if c.cfg.Lead <= 0 {
		c.cfg.Lead = lead
	}
	c.wall.wall = cfg.Wall
	c.wall.look(cfg.Now())
	return c.run(ctx)
}

// controller is the state of one drill; its one goroutine is the caller's.
type controller struct {
	cfg     Config
	reducer *observation.Reducer
	guards  *guardWatch
	// observed brings what the watcher sees into the controller's goroutine.
	observed chan func()
	// over is closed when nothing is observed any more.
	over    chan struct{}
	watch   Watcher
	workers []string

	points    []observation.Point
	numbers   numbering
	predicted search.Estimate          // that the next confirmation is to prove
	step      int                      // being offered, -1 between steps
	idle      map[string]time.Duration // by worker: since when it has been idle
	targetCPU float64
	shown     *observation.Tally       // what ended since the last progress
	last      map[string]time.Duration // by worker: up to when it has told all
	inFlight  map[string]int
	lastShown time.Duration
	ended     *observation.EndRecord // set as soon as the drill is to end
	share     float64                // of the plan that the workers left offer
	ahead     *ordered               // was ordered to follow the present step
	open      []*ordered             // over, but not all of their hits have ended
	warned    map[string]bool        // of what comes near the calibration
	aborted   bool                   // a worker was lost that must not be
	first     int                    // the number of the first step to offer
	redone    int                    // steps of the plan that are offered again
	wall      wallWatch
}

// errFleetLost says that the workers ended before the drill did.
var errFleetLost = errors.New("the workers ended before the drill did")

func (c *controller) run(ctx context.Context) (Outcome, error) {
	c.idle, c.last = map[string]time.Duration{}, map[string]time.Duration{}
	c.inFlight, c.shown = map[string]int{}, observation.NewTally()
	workers, err := c.cfg.Fleet.Begin(ctx, Assignment{Plan: c.cfg.Plan, Scenario: c.cfg.Scenario, Notify: c.notify})
	if err != nil {
		return Outcome{How: observation.EndFailed}, err
	}
	c.workers, c.numbers.slices = workers, len(workers)
	defer c.close()
	if err = c.begin(); err == nil {
		stop := c.watchTarget(ctx)
		err = c.drill(ctx)
		stop()
	}
	if err != nil && c.ended == nil {
		c.ended = &observation.EndRecord{How: observation.EndFailed, Detail: err.Error()}
	}
	if c.ended == nil {
		c.ended = &observation.EndRecord{How: observation.EndDone}
	}
	c.ended.PredictedRPS, c.ended.PredictedLow, c.ended.PredictedHigh = c.foretold()
	err = cmp.Or(err, c.note(observation.Entry{Kind: observation.EntryEnd, End: c.ended}), c.cfg.Record.Flush())
	return Outcome{How: c.ended.How, Detail: c.ended.Detail, Points: c.points}, err
}

// foretold is what was predicted before the last confirmation. The ends of an estimate that
// is bounded on one side only are no interval.
func (c *controller) foretold() (rps, low, high float64) {
	e := c.predicted
	if (e.Bound == "" || e.Predicted) && e.Low > 0 && e.High > e.Low && !math.IsInf(e.High, 1) {
		return e.Value, e.Low, e.High
	}
	return e.Value, 0, 0
}

// begin notes what is run, or what was lost of what is gone on with.
func (c *controller) begin() error {
	if c.cfg.Resume != nil {
		return c.resume()
	}
	return c.note(observation.Entry{Kind: observation.EntryDrill, Drill: &observation.DrillRecord{
		ID: c.cfg.ID, Name: c.cfg.Plan.Name, Started: c.cfg.Started, Target: c.cfg.Scenario.Redacted().Target.URL,
		Seed: c.cfg.Plan.Seed, Workers: len(c.workers), Environment: c.cfg.Environment, Objectives: objectiveTexts(c.cfg.Scenario.Objectives),
		MaxUtilisation: c.cfg.MaxUtilisation,
	}})
}

func objectiveTexts(objectives []scenarios.Objective) []string {
	out := make([]string, 0, len(objectives))
	for _, o := range objectives {
		out = append(out, o.String())
	}
	return out
}

// watchTarget starts the watcher; the returned function ends it and takes what
// it saw last.
func (c *controller) watchTarget(ctx context.Context) (stop func()) {
	if c.cfg.Watch == nil {
		return func() {}
	}
	post := func(f func()) { c.observed <- f }
	c.watch = c.cfg.Watch(WatchConfig{
		Now:      c.cfg.Now,
		OnSample: func(xs []observation.Sample) { post(func() { c.samples(xs) }) },
		OnCapture: func(x observation.Capture, data []byte) {
			// Not before it is recorded does the caller go on: profiles are large,
			// and who sent one is told that it is kept.
			kept := make(chan struct{})
			post(func() {
				defer close(kept)
				c.reducer.Capture(x)
				c.fail(c.cfg.Record.Capture(c.cfg.Now(), x, data))
			})
			<-kept
		},
		OnWarning: func(text string) { post(func() { c.warn(text) }) },
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.watch.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			post(func() { c.warn(err.Error()) })
		}
	}()
	return func() {
		cancel()
		for {
			select {
			case f := <-c.observed:
				f()
			case <-done:
				for len(c.observed) > 0 {
					(<-c.observed)()
				}
				return
			}
		}
	}
}

// drill offers steps until there are no more, then lets the workers end.
func (c *controller) drill(ctx context.Context) error {
	for i := c.first; c.ended == nil; i++ {
		step, reason, ok := c.next(i)
		if !ok {
			break
		}
		if err := c.runStep(ctx, step, reason); err != nil {
			c.cfg.Fleet.Kill()
			c.rest()
			settled := c.settle(true)
			if errors.Is(err, errFleetLost) {
				// The fleet knows why.
				if why := c.close(); why != nil {
					err = fmt.Errorf("%w: %w", err, why)
				}
			}
			return cmp.Or(c.recordErr(), err, settled)
		}
	}
	if err := c.abandon(ctx); err != nil {
		return err
	}
	if err := c.cfg.Fleet.Steer(ctx, Order{Finish: true}); err != nil {
		return fmt.Errorf("finish drill: %w", err)
	}
	c.rest()
	if err := c.settle(true); err != nil {
		return err
	}
	return c.close()
}

// close closes the fleet. What it still has to tell is not waited for.
func (c *controller) close() error {
	select {
	case <-c.over:
	default:
		close(c.over)
	}
	return c.cfg.Fleet.Close()
}

// rest takes what the workers still report, until they have ended. What is in
// flight may end in the time that a request has; then it is cancelled.
func (c *controller) rest() {
	limit := time.NewTimer(c.longest() + time.Second)
	defer limit.Stop()
	for {
		select {
		case w, ok := <-c.cfg.Fleet.Windows():
			if !ok {
				for len(c.observed) > 0 {
					(<-c.observed)()
				}
				return
			}
			c.window(w)
		case f := <-c.observed:
			f()
		case <-limit.C:
			c.cfg.Fleet.Kill()
		}
	}
}

// longest is how long a hit may take.
func (c *controller) longest() time.Duration {
	longest := c.cfg.Scenario.Target.Timeout
	for _, r := range slices.Concat(c.cfg.Scenario.Target.Requests, c.cfg.Scenario.Target.Flow) {
		longest = max(longest, r.Timeout)
	}
	return time.Duration(longest)
}

// next returns the step that follows, with its number filled in.
func (c *controller) next(i int) (step scenarios.Step, reason string, ok bool) {
	if c.ahead != nil {
		return c.ahead.step, "", true
	}
	if k := i - c.redone; k < len(c.cfg.Plan.Steps) {
		step = c.cfg.Plan.Steps[k]
	} else if c.cfg.Search != nil {
		for k := range c.points { // a profile may arrive after its step was reduced
			c.points[k].Locks, c.points[k].LockSeconds = c.reducer.Locks(c.points[k].Step)
		}
		d := c.cfg.Search.Next(c.points, c.cfg.Now())
		// What was predicted before a confirmation, and not what is known after it.
		if d.Predicted != nil && !d.Done {
			c.predicted = *d.Predicted
		}
		if d.Done {
			switch {
			case d.Failed != "":
				c.fail(errors.New(d.Failed))
			case d.Reason != "":
				c.say(d.Reason)
			}
			return step, "", false
		}
		step, reason = d.Step, d.Reason
	} else {
		return step, "", false
	}
	step.Index = i
	return c.number(step), reason, true
}

// lead is how far ahead a step is ordered, so that its first hits are not late.
const lead = 20 * time.Millisecond

// runStep offers one step. It returns when its hits have ended, or when it is over if
// the next one was ordered to follow it without a gap. Where a search is to choose the
// next one, the load may then still be held.
func (c *controller) runStep(ctx context.Context, step scenarios.Step, reason string) error {
	o := c.ahead
	c.ahead = nil
	if o == nil {
		var err error
		if o, err = c.order(ctx, step, reason, c.cfg.Now()+c.cfg.Lead); err != nil {
			return err
		}
	}
	if c.cfg.Progress != nil {
		c.cfg.Progress.StepBegins(o.step, reason)
	}
	c.step = o.step.Index
	c.shown, c.lastShown = observation.NewTally(), o.rec.Start
	if c.watch != nil {
		c.watch.BeginStep(ctx, o.step.Index, o.step.Lasts)
	}
	end, err := c.offered(ctx, o)
	if c.watch != nil {
		c.watch.EndStep(o.step.Index)
	}
	c.step = -1
	o.end = end
	c.open = append(c.open, o)
	if err != nil || c.ahead != nil {
		return cmp.Or(err, c.settle(err != nil))
	}
	if o.held > 0 && end.Cut == "" && end.Short == "" {
		if done, err := c.held(ctx, o); done || err != nil {
			return cmp.Or(err, c.settle(true))
		}
	}
	err = c.drained(ctx, o.rec.Start+end.Lasted)
	return cmp.Or(err, c.settle(true))
}

// beyond says what a step asks of the generator that it cannot do, and warns once
// of what comes near to that.
func (c *controller) beyond(step scenarios.Step) []string {
	if c.cfg.Calibration == nil {
		return nil
	}
	near, beyond := c.cfg.Calibration.Concerns(c.cfg.Scenario.Objectives, step, len(c.workers))
	for _, text := range near {
		if !c.warned[text] {
			c.warned[text] = true
			c.warn(text)
		}
	}
	return beyond
}

// offered returns when the step is over, or was cut.
func (c *controller) offered(ctx context.Context, o *ordered) (observation.StepEnd, error) {
	step, rec := o.step, o.rec
	soon := time.NewTimer(rec.Start + step.Lasts - c.leadTime() - c.cfg.Now())
	defer soon.Stop()
	over := time.NewTimer(rec.Start + step.Lasts - c.cfg.Now())
	defer over.Stop()
	interrupt := ctx.Done()
	planned := uint64((step.From + step.To) / 2 * (step.Lasts - rec.Discard).Seconds())
	looked := 0
	for {
		cut, short := "", ""
		select {
		case w, ok := <-c.cfg.Fleet.Windows():
			if !ok {
				return observation.StepEnd{Index: step.Index, Lasted: c.since(rec.Start), Cut: "the workers ended"}, errFleetLost
			}
			c.window(w)
			// One look a second, once all workers have told of it.
			if second := int((c.told() - rec.Start) / time.Second); second > looked {
				looked = second
				cut, short = c.look(step, rec, w.At, time.Duration(looked)*time.Second, planned)
			}
			c.fail(c.settle(false))
		case f := <-c.observed:
			f()
		case <-interrupt:
			interrupt = nil
			c.ended = &observation.EndRecord{How: observation.EndInterrupted}
			cut = "interrupted"
		case <-soon.C:
			if err := c.orderAhead(ctx, o); err != nil {
				return observation.StepEnd{Index: step.Index, Lasted: c.since(rec.Start), Cut: "the next step could not be ordered"}, err
			}
		case <-over.C:
			return observation.StepEnd{Index: step.Index, Lasted: step.Lasts}, c.recordErr()
		}
		if err := c.recordErr(); err != nil {
			cut = "the evidence could not be written"
		}
		if c.aborted {
			cut = "a worker was lost"
		}
		if cut != "" || short != "" {
			end := observation.StepEnd{Index: step.Index, Lasted: min(c.since(rec.Start), step.Lasts), Cut: cut}
			if cut == "" {
				end.Short = short
			}
			if err := c.cfg.Fleet.Steer(ctx, Order{Cut: &step.Index}); err != nil {
				return end, fmt.Errorf("cut step %d: %w", step.Index, err)
			}
			if end.Short != "" { // its rate counts: workers end it about when it is ordered
				end.Lasted = min(c.since(rec.Start), step.Lasts)
			}
			return end, c.recordErr()
		}
	}
}

func (c *controller) since(start time.Duration) time.Duration { return max(c.cfg.Now()-start, 0) }

// recordErr is the error of the evidence, which ends the drill.
func (c *controller) recordErr() error {
	if c.ended != nil && c.ended.How == observation.EndFailed {
		return errors.New(c.ended.Detail)
	}
	return nil
}

// worthEnding is how much of a step must be left for ending it to spare something.
const worthEnding = 1500 * time.Millisecond

// look is made once a second: shall the step go on? It says why not, be it that its outcome is
// known or that it is to be a shorter one. told is how much of the step every worker told of.
func (c *controller) look(step scenarios.Step, rec observation.StepRecord, at, told time.Duration, planned uint64) (cut, short string) {
	c.show(step, rec, at)
	if why := c.guarded(at); why != "" {
		return "guard: " + why, ""
	}
	if c.cfg.Search == nil || step.Kind == scenarios.KindWarmup {
		return "", ""
	}
	p, err := c.reducer.Point(step.Index)
	if err != nil {
		return "", ""
	}
	if why, ok := c.cfg.Search.Cut(p, planned); ok {
		return why, ""
	}
	if step.Lasts-told < worthEnding {
		return "", ""
	}
	p.Seconds = min(p.Seconds, (told - rec.Discard).Seconds()) // a second that has just begun is none
	if why, ok := c.cfg.Search.Above(p, (step.Lasts - rec.Discard).Seconds()); ok {
		return "", why
	}
	return "", ""
}

// guarded ends the drill if a guard has tripped by drill time at, and says why.
func (c *controller) guarded(at time.Duration) (why string) {
	why, tripped := c.guards.tripped(int(at / time.Second))
	if !tripped || c.ended != nil {
		return ""
	}
	c.ended = &observation.EndRecord{How: observation.EndGuard, Detail: why}
	c.fail(c.note(observation.Entry{Kind: observation.EntryGuard, Text: why}))
	return why
}

// drained waits until every worker has been idle since the end of the step. The
// guards go on looking: what hangs shows as it times out.
func (c *controller) drained(ctx context.Context, end time.Duration) error {
	limit := time.NewTimer(c.longest() + time.Second)
	defer limit.Stop()
	interrupt := ctx.Done()
	for !c.allIdle(end) {
		select {
		case w, ok := <-c.cfg.Fleet.Windows():
			if !ok {
				return errFleetLost
			}
			c.window(w)
			c.guarded(c.told())
		case f := <-c.observed:
			f()
		case <-interrupt:
			interrupt = nil
			c.ended = &observation.EndRecord{How: observation.EndInterrupted}
		case <-limit.C:
			c.warn("hits were still in flight when the next step began")
			return nil
		}
		if err := c.recordErr(); err != nil {
			return err
		}
	}
	return nil
}

// told is the instant up to which every worker has told all that it observed.
func (c *controller) told() time.Duration {
	told := time.Duration(math.MaxInt64)
	for _, w := range c.workers {
		told = min(told, c.last[w])
	}
	return told
}

func (c *controller) allIdle(since time.Duration) bool {
	for _, w := range c.workers {
		if at, ok := c.idle[w]; !ok || at < since-lead {
			return false
		}
	}
	return true
}

// window takes in what a worker observed: evidence first.
func (c *controller) window(w *observation.Window) {
	c.fail(c.cfg.Record.Window(w))
	if text := c.wall.look(c.cfg.Now()); text != "" {
		c.warn(text)
	}
	if !c.reducer.Add(w) {
		return
	}
	c.guards.window(w)
	c.numbers.planned(w.Worker, w.Planned)
	c.inFlight[w.Worker] = w.InFlight
	if w.Last {
		c.last[w.Worker] = w.At
	}
	delete(c.idle, w.Worker)
	if w.Idle {
		c.idle[w.Worker] = w.At
	}
	for _, t := range w.Requests {
		c.shown.MergeResponse(t)
	}
}

// samples takes in what the watcher read.
func (c *controller) samples(xs []observation.Sample) {
	for i := range xs {
		xs[i].Step = c.step
		c.reducer.Sample(xs[i])
		c.guards.sample(xs[i])
		if xs[i].Resource == "cpu" {
			c.targetCPU = xs[i].Used
		}
	}
	c.fail(c.cfg.Record.Samples(xs))
}

// show tells the progress of the last second, and makes the evidence readable.
func (c *controller) show(step scenarios.Step, rec observation.StepRecord, at time.Duration) {
	c.fail(c.cfg.Record.Flush())
	over := at - c.lastShown
	t := c.shown
	c.shown, c.lastShown = observation.NewTally(), at
	if c.cfg.Progress == nil || over <= 0 {
		return
	}
	s := Status{Elapsed: at, Step: step, Achieved: float64(t.OK) / over.Seconds(), TargetCPU: c.targetCPU, Left: c.left(step, rec)}
	q := observation.QuantilesOf(t.Response)
	s.P50, s.P99 = q.P50, q.P99
	if n := t.Ended(); n > 0 {
		s.ErrorRatio = float64(t.Failed) / float64(n)
	}
	for _, n := range c.inFlight {
		s.InFlight += n
	}
	c.cfg.Progress.Second(s)
}

// left is how long the drill may still take.
func (c *controller) left(step scenarios.Step, rec observation.StepRecord) time.Duration {
	now := c.cfg.Now()
	if c.cfg.Search != nil && c.cfg.Plan.Search != nil {
		return max(time.Duration(c.cfg.Plan.Search.Budget)-now, 0)
	}
	left := rec.Start + rec.Lasts - now
	for _, s := range c.cfg.Plan.Steps {
		if s.Index > step.Index {
			left += s.Lasts
		}
	}
	return max(left, 0)
}

// note appends to the journal, at the present drill time.
func (c *controller) note(e observation.Entry) error {
	e.At = c.cfg.Now()
	return c.cfg.Record.Note(e)
}

func (c *controller) warn(text string) {
	c.fail(c.note(observation.Entry{Kind: observation.EntryWarning, Text: text}))
	c.say(text)
}

func (c *controller) say(text string) {
	if c.cfg.Progress != nil {
		c.cfg.Progress.Says(text)
	}
}

// fail ends the drill with the first error of the evidence.
func (c *controller) fail(err error) {
	if err != nil && (c.ended == nil || c.ended.How != observation.EndFailed) {
		c.ended = &observation.EndRecord{How: observation.EndFailed, Detail: err.Error()}
	}
}
