package reports

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// requireAll turns tests that are left out for want of a program into failures.
const requireAll = "HEADROOM_TEST_REQUIRE_ALL"

// browserTime bounds one page in the browser, which on a busy machine may take
// many times the second that it takes on an idle one.
const browserTime = 90 * time.Second

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	why := "chromium is not installed: apt-get install chromium, or put Chrome on PATH"
	if os.Getenv(requireAll) == "1" {
		t.Fatal(why)
	}
	t.Skip("left out: " + why)
	return ""
}

// browser starts one chromium for a test and ends it with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WSURLReadTimeout(browserTime),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-extensions", true), chromedp.Flag("disable-dev-shm-usage", true),
	}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		// Cancel waits for the process to end, so that its files can be removed.
		_ = chromedp.Cancel(ctx)
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// visit is a page as a browser saw it.
type visit struct {
	ctx context.Context
	url string

	mu       sync.Mutex
	requests []string
	trouble  []string
}

type screen struct {
	width, height int64
	dark          bool
}

func (s screen) String() string {
	return fmt.Sprintf("%d-%s", s.width, map[bool]string{true: "dark", false: "light"}[s.dark])
}

// open shows r in a tab of its own, from a file, and waits until it is drawn.
func open(t *testing.T, parent context.Context, r *Run, s screen) *visit {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(rendered(t, HTML, r)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, browserTime)
	t.Cleanup(cancel)
	v := &visit{ctx: ctx, url: "file://" + file}
	if err := chromedp.Listen(ctx, v.listen); err != nil {
		t.Fatal(err)
	}
	v.do(t,
		command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}),
		chromedp.EmulateViewport(s.width, s.height), prefers(s.dark), chromedp.Navigate(v.url),
	)
	await(t, v, `document.documentElement.classList.contains("js")`)
	// Two frames later everything that was due is painted.
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatal(err)
	}
	return v
}

func command[P any](cmd cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, cmd, params)
		return err
	})
}

func prefers(dark bool) chromedp.Action[chromedp.Void] {
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// script runs statements in the page.
func script(s string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("(() => {"+s+"; return true })()"))
		return err
	})
}

func (v *visit) listen(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		v.requests = append(v.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		said := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			said += ": " + x.Description
		}
		v.trouble = append(v.trouble, said)
	case *runtime.EventConsoleAPICalled:
		for _, a := range e.Args { // the page has nothing to say, at any level
			v.trouble = append(v.trouble, fmt.Sprintf("console %s: %s", e.Type, a.Value))
		}
	case *log.EventEntryAdded:
		v.trouble = append(v.trouble, "log: "+e.Entry.Text)
	case *cdppage.EventJavascriptDialogOpening:
		v.trouble = append(v.trouble, "dialog: "+e.Message)
	}
}

func (v *visit) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(v.ctx, steps...); err != nil {
		v.fatal(t, err)
	}
}

func (v *visit) fatal(t *testing.T, err error) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	t.Fatalf("%v (the page said: %q)", err, v.trouble)
}

// await waits until an expression holds in the page.
func await(t *testing.T, v *visit, expression string) {
	t.Helper()
	if _, err := chromedp.Run(v.ctx, chromedp.Poll[bool](expression)); err != nil {
		v.fatal(t, err)
	}
}

func value[T any](t *testing.T, v *visit, expression string) T {
	t.Helper()
	out, err := chromedp.Run(v.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		v.fatal(t, err)
	}
	return out
}

// quiet fails if the page asked for anything but itself or complained.
func (v *visit) quiet(t *testing.T) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, url := range v.requests {
		if url != v.url {
			t.Errorf("the page asked for %s", url)
		}
	}
	if len(v.requests) == 0 {
		t.Error("not even the page itself was seen to be asked for: the test is blind")
	}
	for _, s := range v.trouble {
		t.Errorf("the page said: %s", s)
	}
}

// drawnCharts gives, for each chart that is to be drawn, the number of colours
// in it: a blank one has one colour, a chart has dozens, with antialiasing.
const drawnCharts = `Object.fromEntries([...document.querySelectorAll("[data-chart]")].map((place) => {
	const canvas = place.querySelector("canvas");
	if (!canvas || !canvas.width || !canvas.height) return [place.dataset.chart, 0];
	const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
	return [place.dataset.chart, new Set(pixels).size];
}))`

const pageOverflow = `document.documentElement.scrollWidth - document.documentElement.clientWidth`

func TestBrowserDrawsEveryReport(t *testing.T) {
	parent := browser(t)
	charts := map[string][]string{
		"pool": {"response", "throughput", "resources", "time"}, "huge": {"response", "throughput", "resources", "time"},
		"hostile": {"response", "throughput", "resources", "time"}, "ambiguous": {"response", "throughput", "resources", "time"},
		"predicted": {"response", "throughput", "resources", "time"},
		"minimal":   {"time"}, "closed": {"time"}, "invalid": {"time"}, "below": {"time"}, "empty": {},
	}
	for name, want := range charts {
		t.Run(name, func(t *testing.T) {
			r := variants()[name]
			v := open(t, parent, r, screen{width: 360, height: 740})
			got := value[map[string]int](t, v, drawnCharts)
			if len(got) != len(want) {
				t.Errorf("charts %v, want %v", got, want)
			}
			for _, chart := range want {
				if got[chart] < 20 {
					t.Errorf("chart %s has %d colours: it is blank", chart, got[chart])
				}
			}
			frames := value[int](t, v, `document.querySelectorAll("#flame svg rect").length`)
			if flames := len(flamesOf(r)); flames > 0 && frames < 15 || flames == 0 && frames > 0 {
				t.Errorf("the flame graph has %d frames", frames)
			}
			if over := value[int](t, v, pageOverflow); over > 0 {
				t.Errorf("at 360 pixels the page scrolls sideways by %d", over)
			}
			if n := value[int](t, v, `document.querySelectorAll("h1").length`); n != 1 {
				t.Errorf("%d headings of the first level", n)
			}
			v.quiet(t)
		})
	}
}

// An attack in every string neither runs nor becomes an element.
func TestBrowserRunsNoAttack(t *testing.T) {
	v := open(t, browser(t), hostileRun(), screen{width: 1280, height: 900})
	if n := value[int](t, v, `document.querySelectorAll("img, iframe, object, a[href], main script").length`); n != 0 {
		t.Errorf("strings of the run became %d elements", n)
	}
	if n := value[int](t, v, `document.scripts.length`); n != 2 {
		t.Errorf("the page has %d scripts", n)
	}
	for range 2 { // each of its profiles, and their difference
		v.do(t, script(`const s = document.getElementById("flame-step"); s.selectedIndex = s.options.length - 1; s.dispatchEvent(new Event("change"))`))
		v.do(t, script(`const s = document.getElementById("flame-base"); s.selectedIndex = s.options.length - 1; s.dispatchEvent(new Event("change"))`))
	}
	if n := value[int](t, v, `document.querySelectorAll("img, iframe, object, a[href], main script").length`); n != 0 {
		t.Errorf("strings of the flame graphs became %d elements", n)
	}
	v.quiet(t)
}

func TestBrowserFlameGraph(t *testing.T) {
	v := open(t, browser(t), sampleRun(), screen{width: 1280, height: 900})
	lead := func() string { return value[string](t, v, `document.getElementById("flame-lead").textContent`) }
	if s := lead(); !strings.HasPrefix(s, "cpu profile of step 4, 400 req/s") {
		t.Errorf("the first profile is %q", s)
	}
	v.do(t, choose("flame-type", "allocs"))
	if s := lead(); !strings.HasPrefix(s, "allocs profile of step 9") {
		t.Errorf("after the choice, the profile is %q", s)
	}
	if s := value[string](t, v, `document.querySelector("#functions tbody tr").textContent`); !strings.Contains(s, "demo.priceOrder") || !strings.Contains(s, "KiB") {
		t.Errorf("after the choice, the first function is %q", s)
	}
	v.do(t, chromedp.SendKeys(chromedp.CSS("#flame-find"), "priceOrder"))
	if s := value[string](t, v, `document.getElementById("flame-detail").textContent`); !strings.Contains(s, "2 matching frames") {
		t.Errorf("the search says %q", s)
	}
	before := value[float64](t, v, `document.querySelectorAll("#flame g.frame").length`)
	v.do(t, script(`[...document.querySelectorAll("#flame g.frame")].find((g) => g.getAttribute("name").includes("gcDrain")).dispatchEvent(new MouseEvent("click"))`))
	if after := value[float64](t, v, `document.querySelectorAll("#flame g.frame").length`); after >= before {
		t.Errorf("%v frames before the zoom and %v after it", before, after)
	}
	v.do(t, chromedp.Click(chromedp.CSS("#flame-reset")))
	if after := value[float64](t, v, `document.querySelectorAll("#flame g.frame").length`); after != before {
		t.Errorf("%v frames before the zoom and %v after its reset", before, after)
	}
	v.quiet(t)
}

// choose picks an option of a selector by what it is called.
func choose(id, text string) chromedp.Action[chromedp.Void] {
	return script(fmt.Sprintf(`const s = document.getElementById(%q); s.value = [...s.options].find((o) => o.textContent.startsWith(%q)).value; s.dispatchEvent(new Event("change"))`, id, text))
}

// Two steps are compared for each request: what grew beyond chance is red, what
// shrank blue, and the rest grey, in a graph that both have a part in.
func TestBrowserFlameDifference(t *testing.T) {
	r := sampleRun()
	r.Flames = []Flame{sampleFlame(9, "cpu", 392)}
	before := sampleFlame(3, "cpu", 100)
	before.Requests, before.Samples = 500, 1100
	r.Flames[0].Requests, r.Flames[0].Samples = 2000, 5000
	scaleFrames(before.Root, 1, 4) // the same for each request ...
	r.Flames[0].Root.Children = append(r.Flames[0].Root.Children, &Frame{Name: "main.added", Value: 2e9})
	r.Flames[0].Root.Value += 2e9 // ... but for one that is new
	before.Root.Children = append(before.Root.Children, &Frame{Name: "main.removed", Value: 5e8})
	before.Root.Value += 5e8 // ... and one that is gone
	r.StepFlames = []Flame{before}
	v := open(t, browser(t), r, screen{width: 1280, height: 900})
	v.do(t, choose("flame-base", "step 3"))
	fill := func(name string) string {
		return value[string](t, v, fmt.Sprintf(`[...document.querySelectorAll("#flame g.frame")].find((g) => g.getAttribute("name") === %q).querySelector("rect").getAttribute("fill")`, name))
	}
	for name, hue := range map[string]string{"main.added": "hsl(4", "main.removed": "hsl(215", "http.(*conn).serve": "#"} {
		if got := fill(name); !strings.HasPrefix(got, hue) {
			t.Errorf("%s is %s, want %s...", name, got, hue)
		}
	}
	if s := value[string](t, v, `document.querySelector("#functions tbody tr").textContent`); !strings.Contains(s, "main.added0 ns1 ms+1 ms") && !strings.Contains(s, "main.removed1 ms0 ns−1 ms") {
		t.Errorf("the first function is %q", s)
	}
	if s := value[string](t, v, `document.getElementById("flame-lead").textContent`); !strings.Contains(s, "against step 3") {
		t.Errorf("the lead is %q", s)
	}
	v.do(t, choose("flame-base", "nothing"))
	if s := value[string](t, v, `document.querySelector("#functions thead").textContent`); !strings.Contains(s, "With its calls") {
		t.Errorf("after the comparison, the table is headed %q", s)
	}
	v.quiet(t)
}

// scaleFrames multiplies all values by a fraction.
func scaleFrames(f *Frame, times, over int64) {
	f.Value = f.Value * times / over
	for _, c := range f.Children {
		scaleFrames(c, times, over)
	}
}

// The pointer shows the figures of the step under it.
func TestBrowserTooltip(t *testing.T) {
	v := open(t, browser(t), sampleRun(), screen{width: 1280, height: 900})
	v.do(t, script(`
		const over = document.querySelector('[data-chart="response"] .u-over');
		over.scrollIntoView();
		const box = over.getBoundingClientRect();
		over.dispatchEvent(new MouseEvent("mousemove", { bubbles: true, clientX: box.left + box.width * 0.52, clientY: box.top + 50 }))`))
	await(t, v, `!document.querySelector('[data-chart="response"] .tip').hidden`)
	if s := value[string](t, v, `document.querySelector('[data-chart="response"] .tip').textContent`); !strings.Contains(s, "step 6, 300 req/s") || !strings.Contains(s, "p99") {
		t.Errorf("the tip says %q", s)
	}
	v.quiet(t)
}

// Dark and light differ in the page and in the charts; a change while the page
// is open redraws them; paper is always light.
func TestBrowserFollowsTheScheme(t *testing.T) {
	v := open(t, browser(t), sampleRun(), screen{width: 1280, height: 900, dark: true})
	if b := brightness(t, v); b > 0.3 {
		t.Errorf("in the dark, the page has a brightness of %.2f", b)
	}
	charts := value[map[string]int](t, v, drawnCharts)
	for name, colours := range charts {
		if colours < 20 {
			t.Errorf("in the dark, chart %s is blank", name)
		}
	}
	dark := value[string](t, v, `document.querySelector('[data-chart="time"] canvas').toDataURL()`)
	v.do(t, prefers(false))
	await(t, v, `!matchMedia("(prefers-color-scheme: dark)").matches`)
	if b := brightness(t, v); b < 0.7 {
		t.Errorf("in the light, the page has a brightness of %.2f", b)
	}
	if value[string](t, v, `document.querySelector('[data-chart="time"] canvas').toDataURL()`) == dark {
		t.Error("the charts kept their dark colours")
	}
	v.quiet(t)
}

func brightness(t *testing.T, v *visit) float64 {
	t.Helper()
	shot, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	sum, n := 0.0, 0
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += 7 {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += 7 {
			r, g, b, _ := img.At(x, y).RGBA()
			sum += (0.299*float64(r) + 0.587*float64(g) + 0.114*float64(b)) / 0xffff
			n++
		}
	}
	return sum / float64(n)
}

func TestBrowserPrints(t *testing.T) {
	v := open(t, browser(t), sampleRun(), screen{width: 1280, height: 900, dark: true})
	// What is laid out for paper is there at once, in light colours.
	frameWidth := `document.querySelector("#flame rect").getAttribute("width")`
	canvas := `document.querySelector('[data-chart="time"] canvas').toDataURL()`
	dark, wide := value[string](t, v, canvas), value[string](t, v, frameWidth)
	if got := value[string](t, v, `dispatchEvent(new Event("beforeprint")), `+frameWidth); got != "660" {
		t.Errorf("on paper, the flame graph is %s wide", got)
	}
	if value[string](t, v, canvas) == dark {
		t.Error("on paper, the charts keep their dark colours")
	}
	if got := value[string](t, v, `dispatchEvent(new Event("afterprint")), `+frameWidth); got != wide {
		t.Errorf("after printing, the flame graph is %s wide, not %s", got, wide)
	}
	pdf, err := chromedp.Run(v.ctx, chromedp.PrintToPDF(func(p *cdppage.PrintToPDFParams) { p.PrintBackground = new(true) }))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) || len(pdf) < 20000 {
		t.Errorf("a PDF of %d bytes cannot hold the charts", len(pdf))
	}
	if dir := os.Getenv("HEADROOM_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "pool.pdf"), pdf, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v.quiet(t)
}

// Without its script, the page still has every figure, and no empty frames.
func TestBrowserReadsWithoutScript(t *testing.T) {
	parent := browser(t)
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(rendered(t, HTML, sampleRun())), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(parent, browserTime)
	defer cancel()
	v := &visit{ctx: ctx}
	v.do(t, command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate("file://"+file))
	text := strings.ReplaceAll(value[string](t, v, `document.body.innerText`), "\u00a0", " ")
	empty := value[int](t, v, `[...document.querySelectorAll(".chart, .flame, .flame-tools")].filter((e) => e.offsetHeight > 0).length`)
	for _, want := range []string{"Meets p99 < 50 ms", "pool.shop", "Figures as a table", "demo.priceOrder", "checkout"} {
		if !strings.Contains(text, want) {
			t.Errorf("without script, the page lacks %q", want)
		}
	}
	if empty != 0 {
		t.Errorf("without script, %d empty frames are shown", empty)
	}
}

// TestScreenshots writes pictures for people into the folder that the variable
// HEADROOM_SCREENSHOTS names.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("HEADROOM_SCREENSHOTS")
	if dir == "" {
		t.Skip("left out: set HEADROOM_SCREENSHOTS to a folder to get pictures of the page")
	}
	parent := browser(t)
	for _, name := range []string{"pool", "minimal", "closed", "invalid", "ambiguous", "hostile", "huge", "below"} {
		screens := []screen{{1280, 900, false}}
		if name == "pool" {
			screens = append(screens, screen{1280, 900, true}, screen{390, 844, false}, screen{390, 844, true})
		}
		for _, s := range screens {
			v := open(t, parent, variants()[name], s)
			shot, err := chromedp.Run(v.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name+"-"+s.String()+".png"), shot, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
