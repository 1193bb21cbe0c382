package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/scenarios"
)

// BundleProfiles are the profiles in a bundle, with the loads that they were taken
// under.
type BundleProfiles struct{ c *computation }

// ProfilesOf reads what a bundle says of its profiles; these are read when they
// are asked for. It fails if no drill has begun in it.
func ProfilesOf(e *observation.Evidence) (*BundleProfiles, error) {
	s, err := scenarios.Load(observation.ScenarioFile, e.Scenario, scenarios.LoadOptions{})
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	c := &computation{evidence: e, scenario: s, reducer: e.Reduce()}
	if err := c.journal(); err != nil {
		return nil, err
	}
	c.judge()
	return &BundleProfiles{c}, nil
}

// Name is that of the drill.
func (b *BundleProfiles) Name() string { return clean(b.c.run.Name) }

// Warnings say what could not be read so far.
func (b *BundleProfiles) Warnings() []string {
	warnings := slices.Clone(b.c.run.Warnings)
	if text := b.c.absentText(); text != "" {
		warnings = append(warnings, text)
	}
	return warnings
}

// Types are the types of which there are captures, in the usual order.
func (b *BundleProfiles) Types() []string {
	var out []string
	for _, typ := range scenarios.ProfileTypes() {
		if len(b.Steps(typ)) > 0 {
			out = append(out, typ)
		}
	}
	return out
}

// Steps are those that have captures of a type, in order.
func (b *BundleProfiles) Steps(typ string) []int {
	var out []int
	for i := range b.c.points {
		if len(b.files(&b.c.points[i], typ)) > 0 {
			out = append(out, b.c.points[i].Step)
		}
	}
	return out
}

// files are the captures of a type in a step, those without samples too.
func (b *BundleProfiles) files(p *observation.Point, typ string) []string {
	_, _, captures := b.c.reducer.Record(p.Step)
	var out []string
	for _, x := range captures {
		if x.Type == typ && x.File != "" {
			out = append(out, x.File)
		}
	}
	return out
}

// Files are the captures of a type in a step, inside the bundle.
func (b *BundleProfiles) Files(typ string, step int) ([]string, error) {
	for i := range b.c.points {
		if p := &b.c.points[i]; p.Step == step {
			if files := b.files(p, typ); len(files) > 0 {
				return files, nil
			}
		}
	}
	return nil, b.absent(typ, step)
}

// Read reads one of the files.
func (b *BundleProfiles) Read(file string) ([]byte, error) {
	return b.c.evidence.Profile(file, maxProfile)
}

// absent says that there is no capture, and which there are.
func (b *BundleProfiles) absent(typ string, step int) error {
	steps := b.Steps(typ)
	switch {
	case len(b.Types()) == 0:
		return fmt.Errorf("the bundle has no profiles; hint: let the target serve net/http/pprof, or name a source under profiles")
	case len(steps) == 0:
		return fmt.Errorf("the bundle has no %s profile; hint: it has %s", clean(typ), strings.Join(b.Types(), ", "))
	case step < 0:
		why := "no requests were served while they were taken"
		if b.empty(typ) {
			why = "they hold no samples" + map[string]string{
				"mutex": "; hint: call runtime.SetMutexProfileFraction(1) in the target",
				"block": "; hint: call runtime.SetBlockProfileRate(10_000) in the target",
			}[typ]
		}
		return fmt.Errorf("the %s profiles of the bundle do not say what a request takes: %s", clean(typ), why)
	}
	return fmt.Errorf("step %d has no %s profile; hint: steps %s have", step, clean(typ), strings.Trim(fmt.Sprint(steps), "[]"))
}

// empty says whether no capture of a type has samples.
func (b *BundleProfiles) empty(typ string) bool {
	for i := range b.c.points {
		if b.c.taken(&b.c.points[i], typ) != nil {
			return false
		}
	}
	return true
}

// Load is what was captured of a type in a step. Requests is 0 if none were
// served meanwhile.
func (b *BundleProfiles) Load(typ string, step int) (profiler.Load, error) {
	for i := range b.c.points {
		p := &b.c.points[i]
		if p.Step != step {
			continue
		}
		l := profiler.Load{Step: step, RPS: p.Throughput}
		t := b.c.taken(p, typ)
		if t == nil {
			// What holds no samples, or little of the step, can still be looked at.
			files := b.files(p, typ)
			if len(files) == 0 {
				break
			}
			t = &taken{point: p, typ: typ, files: files, missing: 1}
		}
		if l.Pprofs = b.c.profile(t); len(l.Pprofs) == 0 {
			return l, fmt.Errorf("step %d: %s", step, strings.Join(b.Warnings(), "; "))
		}
		l.Seconds, l.Requests = t.seconds(), b.c.requests(t)
		return l, nil
	}
	return profiler.Load{}, b.absent(typ, step)
}

// Highest is the step with captures of a type that had the highest throughput,
// preferring those that are valid.
func (b *BundleProfiles) Highest(typ string) (int, error) {
	if t := b.c.highest(typ); t != nil {
		return t.point.Step, nil
	}
	if steps := b.Steps(typ); len(steps) > 0 {
		return slices.Max(steps), nil
	}
	return 0, b.absent(typ, -1)
}

// Lowest is the step with captures of a type that had the lowest throughput, of
// those that count.
func (b *BundleProfiles) Lowest(typ string) (int, error) {
	loads := b.c.loads(typ)
	if len(loads) == 0 {
		return 0, b.absent(typ, -1)
	}
	return slices.MinFunc(loads, func(a, b profiler.Load) int {
		if a.RPS < b.RPS {
			return -1
		}
		return 1
	}).Step, nil
}

// Loads are what was captured of a type at each load that counts.
func (b *BundleProfiles) Loads(typ string) ([]profiler.Load, error) {
	if loads := b.c.loads(typ); len(loads) > 0 {
		return loads, nil
	}
	return nil, b.absent(typ, -1)
}

// DemandOf computes what a request takes of one kind of value, from loads of the
// type of capture that has it.
func DemandOf(kind, value string, loads []profiler.Load) (ProfileDemand, error) {
	d, err := profiler.Demands(value, loads)
	if err != nil {
		return ProfileDemand{}, err
	}
	return profileDemand(kind, d, loads), nil
}

// DemandKind returns the kind of demand and of value that a type of capture is
// about; false for one that costs requests nothing.
func DemandKind(typ string) (kind, value string, ok bool) {
	for _, k := range demandKinds {
		if k.capture == typ || k.kind == typ {
			return k.kind, k.value, true
		}
	}
	if typ == "block" {
		return "block_wait", "delay", true
	}
	return "", "", false
}
