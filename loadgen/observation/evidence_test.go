package observation_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// recorded writes a small drill and returns its folder and windows.
func recorded(t *testing.T) (string, []*observation.Window) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	rec, err := observation.Record(dir, []byte("version: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(rec.Note(observation.Entry{Kind: observation.EntryDrill, Drill: &observation.DrillRecord{ID: "x", Name: "n"}}))
	must(rec.Note(observation.Entry{Kind: observation.EntryStep, Step: &observation.StepRecord{Index: 0, From: 10, To: 10, Lasts: 20 * time.Second}}))
	var hits []hit
	for s := range 20 {
		for i := range 10 {
			hits = append(hits, hit{worker: "w", second: s, us: int64(1000 + 37*i*s)})
		}
	}
	windows := windowsOf(hits, 10)
	for _, w := range windows {
		must(rec.Window(w))
		must(rec.Flush())
	}
	must(rec.Samples([]observation.Sample{{At: 1500 * time.Millisecond, Over: time.Second, Step: 0, Source: "process", Resource: "cpu", Used: 0.123456789, Limit: 2, Unit: "cores"}}))
	must(rec.Capture(time.Second, observation.Capture{Step: 0, Type: "cpu", File: "profiles/step-00.cpu.pb.gz", Samples: 7}, []byte("profile")))
	must(rec.Note(observation.Entry{Kind: observation.EntryEnd, End: &observation.EndRecord{How: observation.EndDone}}))
	must(rec.Close())
	return dir, windows
}

func open(t *testing.T, dir string) *observation.Evidence {
	t.Helper()
	e, err := observation.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEvidenceReadsBackAsWritten(t *testing.T) {
	dir, windows := recorded(t)
	e := open(t, dir)
	var got []*observation.Window
	e.Windows(func(w *observation.Window) { got = append(got, w) })
	if len(got) != len(windows) {
		t.Fatalf("%d windows, want %d", len(got), len(windows))
	}
	for i := range got {
		if g, w := observation.QuantilesOf(got[i].Requests["a"].Response), observation.QuantilesOf(windows[i].Requests["a"].Response); g != w {
			t.Errorf("window %d: %+v, want %+v", i, g, w)
		}
	}
	var samples []observation.Sample
	e.Samples(func(x observation.Sample) { samples = append(samples, x) })
	want := observation.Sample{At: 1500 * time.Millisecond, Over: time.Second, Source: "process", Resource: "cpu", Used: 0.123456789, Limit: 2, Unit: "cores"}
	if len(samples) != 1 || samples[0] != want {
		t.Errorf("samples %+v, want %+v", samples, want)
	}
	if b, err := e.Profile("profiles/step-00.cpu.pb.gz", 100); err != nil || string(b) != "profile" {
		t.Errorf("profile %q, %v", b, err)
	}
	if len(e.Journal) != 4 || len(e.Damage) != 0 {
		t.Errorf("%d entries, damage %v", len(e.Journal), e.Damage)
	}
}

// A process that is killed leaves files that end anywhere.
func TestTornEvidenceReadsAsFarAsItGot(t *testing.T) {
	for _, file := range []string{observation.WindowsFile, observation.JournalFile, observation.SamplesFile} {
		whole, _ := recorded(t)
		full, err := os.ReadFile(filepath.Join(whole, file))
		if err != nil {
			t.Fatal(err)
		}
		last := -1
		for cut := 0; cut < len(full); cut += max(1, len(full)/40) {
			if err := os.WriteFile(filepath.Join(whole, file), full[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			e := open(t, whole)
			n := 0
			e.Windows(func(*observation.Window) { n++ })
			e.Samples(func(observation.Sample) {})
			if file == observation.WindowsFile {
				if n < last {
					t.Errorf("%s cut at %d of %d: %d windows, fewer than from less", file, cut, len(full), n)
				}
				last = n
				if len(e.Damage) == 0 {
					t.Errorf("%s cut at %d of %d: no damage is reported", file, cut, len(full))
				}
			}
			e.Reduce()
		}
		if file == observation.WindowsFile && last < 18 {
			t.Errorf("only %d of 20 windows can be read when the last bytes are missing", last)
		}
	}
}

func TestRecordRefusesAUsedFolder(t *testing.T) {
	dir, _ := recorded(t)
	if _, err := observation.Record(dir, nil); err == nil {
		t.Error("a second drill was recorded into the same folder")
	}
}

func TestProfileStaysInTheFolder(t *testing.T) {
	dir, _ := recorded(t)
	for _, file := range []string{"../x", "/etc/passwd", "profiles/../../x"} {
		if _, err := open(t, dir).Profile(file, 100); err == nil {
			t.Errorf("%q was read", file)
		}
	}
}

func TestAFullDiskIsOneErrorAndNothingMoreIsWritten(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full on this system to stand for a full disk")
	}
	dir := filepath.Join(t.TempDir(), "run")
	rec, err := observation.Record(dir, []byte("version: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	rec.FillDisk(t)
	w := windowsOf([]hit{{worker: "w", us: 5}}, 1)[0]
	var first error
	for range 100 {
		_ = rec.Window(w)
		if err := rec.Flush(); err != nil && first == nil {
			first = err
		}
	}
	if first == nil || !strings.Contains(first.Error(), "no space left") {
		t.Fatalf("error %v, want that there is no space", first)
	}
	if err := rec.Close(); err == nil || err.Error() != first.Error() {
		t.Errorf("close says %v, want the first error %v", err, first)
	}
}

func FuzzWindow(f *testing.F) {
	b, err := json.Marshal(windowsOf([]hit{{worker: "w", second: 3, us: 77}}, 1)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"worker":"w","seq":1,"requests":{"a":{"ok":1,"response":"HISTFAAAAA=="}}}`))
	f.Add([]byte(`{"requests":{"a":null}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var w observation.Window
		if json.Unmarshal(b, &w) != nil {
			return
		}
		again, err := json.Marshal(&w)
		if err != nil {
			t.Fatalf("a window that was read cannot be written: %v", err)
		}
		var w2 observation.Window
		if err := json.Unmarshal(again, &w2); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if len(w.Requests) != len(w2.Requests) || !reflect.DeepEqual(w.Planned, w2.Planned) {
			t.Fatal("it changed on the way")
		}
	})
}

// The journal says which scenario was written beside it; the entry of the caller stays as it is.
func TestJournalKnowsItsScenario(t *testing.T) {
	dir, scenario := filepath.Join(t.TempDir(), "bundle"), []byte("version: 1\nname: x\n")
	r, err := observation.Record(dir, scenario)
	if err != nil {
		t.Fatal(err)
	}
	drill := observation.DrillRecord{ID: "x"}
	if err := r.Note(observation.Entry{Kind: observation.EntryDrill, Drill: &drill}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := observation.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Journal[0].Drill.ScenarioDigest; got != observation.Digest(scenario) || got == observation.Digest([]byte("version: 1\nname: y\n")) || len(got) != 64 {
		t.Errorf("digest %q", got)
	}
	if drill.ScenarioDigest != "" {
		t.Error("the caller's record was changed")
	}
}
