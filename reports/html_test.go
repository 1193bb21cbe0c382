package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var element = regexp.MustCompile(`(?s)<(script|style)([^>]*)>(.*?)</(?:script|style)>`)

// partsOf takes a page apart as a browser does: it is the hostile run's only
// way to get a script of its own in.
func partsOf(t *testing.T, doc string) (data string, scripts, styles []string) {
	t.Helper()
	for _, m := range element.FindAllStringSubmatch(doc, -1) {
		switch {
		case m[1] == "style":
			styles = append(styles, m[3])
		case strings.Contains(m[2], "application/json"):
			data = m[3]
		default:
			scripts = append(scripts, m[3])
		}
	}
	return data, scripts, styles
}

// The page draws the response that is predicted up to the capacity.
func TestChartOfAPrediction(t *testing.T) {
	r := predictedRun()
	c := chartsOf(r).Capacity
	if c == nil || len(c.X) != len(r.Capacity.Curve) || len(c.P99) != len(c.X) || c.Bound != "predicted" || float64(c.P99[len(c.P99)-1]) < 90 {
		t.Errorf("got %+v", c)
	}
	if c := chartsOf(sampleRun()).Capacity; c == nil || len(c.X) != 0 {
		t.Errorf("a measured capacity has a predicted curve: %+v", c)
	}
}

func TestHTMLHoldsNoScriptButItsOwn(t *testing.T) {
	for name, r := range variants() {
		doc := rendered(t, HTML, r)
		data, scripts, styles := partsOf(t, doc)
		if len(scripts) != 1 || scripts[0] != pageScript || len(styles) != 1 || styles[0] != pageStyle {
			t.Errorf("%s: %d scripts and %d styles, or not as built", name, len(scripts), len(styles))
		}
		if strings.ContainsAny(data, "<>&\u2028\u2029") {
			t.Errorf("%s: the data holds characters that can end an element", name)
		}
		if !json.Valid([]byte(data)) {
			t.Errorf("%s: the data is not JSON", name)
		}
		body := element.ReplaceAllString(doc, "")
		for _, live := range []string{"<script", "</script", "<img", "<!--", "onerror=\"", "\x1b", "\u202e"} {
			if strings.Contains(body, live) {
				t.Errorf("%s: %q is live in the page", name, live)
			}
		}
	}
}

func TestHTMLShowsTheAttackAsText(t *testing.T) {
	doc := html.UnescapeString(rendered(t, HTML, hostileRun()))
	for _, where := range []string{"shop</script><script>alert(1)", "browse</script>", "pool.shop</script>", "priceOrder</script>"} {
		if !strings.Contains(doc, where) {
			t.Errorf("%q is not shown", where)
		}
	}
}

// The policy allows exactly the script and the style of the page, by hash.
func TestHTMLPolicyFitsThePage(t *testing.T) {
	doc := rendered(t, HTML, sampleRun())
	m := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(doc)
	if m == nil {
		t.Fatal("the page has no policy")
	}
	policy := html.UnescapeString(m[1])
	_, scripts, styles := partsOf(t, doc)
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	for _, want := range []string{"default-src 'none'", "script-src " + hash(scripts[0]) + ";", "style-src " + hash(styles[0]) + ";"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q allows something unsafe", policy)
	}
	if regexp.MustCompile(`<[^>]* style=`).MatchString(element.ReplaceAllString(doc, "")) {
		t.Error("the page has a style attribute, which the policy forbids")
	}
}

func TestHTMLSections(t *testing.T) {
	for _, c := range []struct {
		run        string
		with, none []string
	}{
		{"pool", []string{"figures", "warnings", "response", "throughput", "resources", "time", "bottlenecks", "profile", "requests", "steps", "missing", "method"}, nil},
		{"minimal", []string{"figures", "time", "requests", "steps", "missing", "method"}, []string{"response", "throughput", "resources", "profile", "bottlenecks", "warnings"}},
		{"closed", []string{"figures", "resources", "time", "steps"}, []string{"response", "throughput"}},
		{"invalid", []string{"steps", "time"}, []string{"figures", "bottlenecks"}},
		{"below", []string{"figures", "steps"}, []string{"response", "profile"}},
		{"empty", nil, []string{"figures", "response", "time", "steps", "profile"}},
	} {
		doc := rendered(t, HTML, variants()[c.run])
		for _, id := range c.with {
			if !strings.Contains(doc, `id="`+id+`"`) {
				t.Errorf("%s lacks the section %s", c.run, id)
			}
		}
		for _, id := range c.none {
			if strings.Contains(doc, `id="`+id+`"`) {
				t.Errorf("%s has a section %s without anything to show", c.run, id)
			}
		}
	}
}

// An hour of seconds, 60 steps, 50 names and profiles of any size make a page
// that can still be mailed.
func TestHTMLOfHugeRunIsBounded(t *testing.T) {
	r := hugeRun()
	doc := rendered(t, HTML, r)
	if len(doc) > 2<<20 {
		t.Errorf("the page has %d bytes", len(doc))
	}
	for _, f := range flamesOf(r) {
		frames, depth := 0, 0
		var walk func(frameData, int)
		walk = func(d frameData, at int) {
			frames++
			depth = max(depth, at)
			for _, c := range d.Children {
				walk(c, at+1)
			}
		}
		walk(f.Root, 0)
		if frames > mostFrames || depth > mostDepth {
			t.Errorf("%s at step %d: %d frames, %d deep", f.Type, f.Step, frames, depth)
		}
	}
}

// What is left out of a flame graph is never wider than what is kept.
func TestFlameKeepsTheWidestFrames(t *testing.T) {
	root := &Frame{Name: "root"}
	for i := range 3 * mostFrames {
		root.Children = append(root.Children, &Frame{Name: "f", Value: int64(i)})
		root.Value += int64(i)
	}
	keep, left := widest(root)
	if len(keep)+left != 3*mostFrames { // the frame without a value does not count, the root does
		t.Errorf("%d kept and %d left of %d", len(keep), left, 3*mostFrames)
	}
	narrowest := int64(math.MaxInt64)
	for f := range keep {
		narrowest = min(narrowest, f.Value)
	}
	if want := int64(3*mostFrames - len(keep) + 1); narrowest < want {
		t.Errorf("a frame of %d is kept, wider ones are not", narrowest)
	}
}

// The flame graph that opens is the CPU profile of the highest valid step.
func TestFlameOrder(t *testing.T) {
	r := sampleRun()
	if f := flamesOf(r)[0]; f.Step != 4 || f.Type != "cpu" {
		t.Errorf("%s of step %d is first; step 4 offered the most", f.Type, f.Step)
	}
	r.Steps[4].Valid = false
	if f := flamesOf(r)[0]; f.Step != 9 || f.Type != "cpu" {
		t.Errorf("%s of step %d is first; step 4 is not valid", f.Type, f.Step)
	}
}

// A second of the chart over time may stand for others, but only the worst may.
func TestTimeKeepsTheWorstSecond(t *testing.T) {
	r := &Run{}
	for i := range 3*mostSeconds + 7 {
		r.Timeline = append(r.Timeline, Tick{T: float64(i), P50: 5, P99: 10 + float64(i%3)})
	}
	d := timeOf(r)
	if len(d.T) > mostSeconds || d.Every != 4 {
		t.Fatalf("%d entries of %d s", len(d.T), d.Every)
	}
	for i, v := range d.P99 {
		if v != 12 {
			t.Fatalf("entry %d has a p99 of %v, the worst is 12", i, v)
		}
	}
}

func TestChartsLeaveOutTheWarmUp(t *testing.T) {
	r := sampleRun()
	r.Steps[0].OfferedRPS = 7777
	for _, x := range loadOf(r).X {
		if x == 7777 {
			t.Error("the warm-up is in the charts against load")
		}
	}
	if !slices.IsSorted(loadOf(r).X) {
		t.Error("loads are not in order")
	}
}

func TestViewsSurviveFiguresThatAreNone(t *testing.T) {
	r := sampleRun()
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		r.Steps[i+1].Response.P99 = v
		r.Steps[i+1].OfferedRPS = v
		r.Timeline[i].P99 = v
	}
	r.Capacity.RPS.Value = math.NaN()
	data, _, _ := partsOf(t, rendered(t, HTML, r))
	if !json.Valid([]byte(data)) {
		t.Error("the data of the page is not JSON")
	}
	for _, out := range []string{rendered(t, text(TextOptions{}), r), rendered(t, Markdown, r)} {
		if strings.Contains(out, "NaN") || strings.Contains(out, "Inf") {
			t.Errorf("a figure that is none is shown as one:\n%s", out)
		}
	}
	if err := JSON(&bytes.Buffer{}, r); err == nil {
		t.Error("run.json was written with a figure that is none")
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for name, r := range variants() {
		if name == "hostile" {
			continue // JSON cannot hold its bytes that are no UTF-8
		}
		var back Run
		first := rendered(t, JSON, r)
		if err := json.Unmarshal([]byte(first), &back); err != nil {
			t.Fatal(err)
		}
		if second := rendered(t, JSON, &back); second != first {
			t.Errorf("%s changes when it is read and written", name)
		}
	}
}

// web/dist must be what web/src builds.
func TestDistIsUpToDate(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("left out: node is not installed; install Node.js 20 or later and run npm ci in reports/web")
	}
	if _, err := os.Stat(filepath.Join("web", "node_modules", "esbuild")); err != nil {
		t.Skip("left out: reports/web/node_modules is not there; run npm ci in reports/web")
	}
	cmd := exec.Command(node, "build.mjs", "--check")
	cmd.Dir = "web"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: run npm run build in reports/web\n%s", err, out)
	}
}

// The lock file must not name the registry that somebody happened to use.
func TestLockFileNamesNoRegistry(t *testing.T) {
	lock, err := os.ReadFile("web/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(lock, []byte(`"resolved"`)) || bytes.Contains(lock, []byte("://")) {
		t.Error("package-lock.json holds addresses; reports/web/.npmrc must keep them out")
	}
}
