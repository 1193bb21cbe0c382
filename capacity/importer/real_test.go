package importer

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
)

// realFile reads a file that a real tool wrote; testdata/README.md says how.
func realFile(t *testing.T, name string) []observation.Point {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Read(name, f, Config{Discard: func(lasts time.Duration) time.Duration { return time.Second }})
	if err != nil {
		t.Fatal(err)
	}
	if r.Tool != Vegeta {
		t.Errorf("%s is taken for a file of %s", name, r.Tool)
	}
	return r.Points
}

// What vegeta wrote of 30, 60 and 90 requests/s for 6 s each reads as that, in each of
// its encodings, although each attack begins and ends within a second.
func TestRealVegeta(t *testing.T) {
	var apart []observation.Point
	for _, name := range []string{"vegeta-30.gob.gz", "vegeta-60.gob.gz", "vegeta-90.gob.gz"} {
		apart = append(apart, realFile(t, name)...)
	}
	for name, points := range map[string][]observation.Point{"gob": apart, "JSON": realFile(t, "vegeta.json.gz"), "CSV": realFile(t, "vegeta.csv.gz")} {
		if len(points) != 3 {
			t.Fatalf("%s: %d steps, want 3", name, len(points))
		}
		for i, p := range points {
			if want := float64(30 * (i + 1)); math.Abs(p.Offered-want) > 0.02*want {
				t.Errorf("%s: step %d at %.1f/s, want %g", name, i, p.Offered, want)
			}
			if p.Requests["GET /items"].OK < p.Requests["GET /buy"].OK || p.Response.P50 < 5 || p.Response.P50 > 60 {
				t.Errorf("%s: %+v", name, p.Figures)
			}
		}
		if last := points[2]; last.Errors["status"] == 0 || last.Errors["status"] != last.Failed {
			t.Errorf("%s: failed %d, by class %v", name, last.Failed, last.Errors)
		}
	}
}

// Attacks that were put into one file byte after byte are no gob; the error says so.
func TestAttacksInOneFile(t *testing.T) {
	var all []byte
	for range 2 {
		all = append(all, written()["vegeta gob"].text...)
	}
	if _, err := Read("all.gob", bytes.NewReader(all), Config{}); err == nil || !strings.Contains(err.Error(), "give each as a file") {
		t.Errorf("%v", err)
	}
}
