package reports

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/scenarios"
)

// runFile is what the drill itself computed, and maxRunFile up to what size it is read.
const (
	runFile    = "run.json"
	maxRunFile = 64 << 20
)

// recorded compares the scenario in the bundle with the one that the drill was run with:
// one that was changed since would silently change the verdict. The journal knows its digest
// and its objectives. One of before it did is helped out by run.json, which knows the
// objectives; a bundle without either is taken at its word.
func (c *computation) recorded(own []scenarios.Objective) {
	was, file, now := c.drill.Objectives, observation.JournalFile, texts(own)
	if c.drill.ScenarioDigest == "" {
		was, file = objectivesOf(c.evidence.Dir), runFile
	}
	changed := len(was) > 0 && !same(was, now)
	switch {
	case changed:
		c.warn(fmt.Sprintf("%s has the objectives %s, but %s of the drill was made for %s: the scenario was changed or damaged since, and the figures are not those of the drill",
			observation.ScenarioFile, orElse(strings.Join(now, ", "), "none"), file, strings.Join(was, ", ")))
	case c.drill.ScenarioDigest != "" && c.drill.ScenarioDigest != observation.Digest(c.evidence.Scenario):
		c.warn(observation.ScenarioFile + " is not the file that the drill wrote: it was changed or damaged since, and figures may not be those of the drill")
	}
	if !changed {
		was = now
	}
	c.others = !same(was, texts(c.scenario.Objectives))
}

// objectivesOf are those in the run.json of a bundle; none if it has none that can be read.
func objectivesOf(dir string) []string {
	if dir == "" {
		return nil
	}
	path := filepath.Join(dir, runFile)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxRunFile {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var run struct {
		Objectives []struct {
			Text string `json:"text"`
		} `json:"objectives"`
	}
	if json.Unmarshal(data, &run) != nil {
		return nil
	}
	var out []string
	for _, o := range run.Objectives {
		out = append(out, o.Text)
	}
	return out
}

func texts(objectives []scenarios.Objective) []string {
	out := make([]string, 0, len(objectives))
	for _, o := range objectives {
		out = append(out, o.String())
	}
	return out
}

// same says whether the texts are the same, in whichever order.
func same(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// unread is how many seconds at the end of a step may have no window: the last of them is a
// part of one, and a low load plans nothing in some.
const unread = 2

// torn says which hits are missing from evidence that can be read only in part; empty if none
// are. A step that has fewer seconds of windows than it lasted has lost what came in the rest.
func (c *computation) torn() string {
	if c.evidence == nil || len(c.evidence.Damage) == 0 {
		return ""
	}
	for i := range c.points {
		p := &c.points[i]
		_, end, _ := c.reducer.Record(p.Step)
		last := 0
		for _, s := range c.reducer.AllSeconds(p.Step) {
			last = max(last, s.Second+s.Width)
		}
		if end != nil && float64(last)+unread < end.Lasted.Seconds() || p.OK+p.Failed+p.Dropped == 0 {
			return fmt.Sprintf("hits of step %d and after it are missing from it", p.Step)
		}
	}
	if lost := c.lost(); lost > 0 {
		return fmt.Sprintf("%d planned hits have no outcome in it", lost)
	}
	return ""
}
