package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/headroom-project/headroom/capacity"
	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/search"
	"github.com/headroom-project/headroom/profiler/pyroscope"
	"github.com/headroom-project/headroom/reports"
	"github.com/headroom-project/headroom/scenarios"
	"github.com/headroom-project/headroom/scenarios/demo"
)

func drillCommand(s streams, quit func(code int)) *cli.Command {
	return &cli.Command{
		Name:      "drill",
		Usage:     "load a target and find its capacity",
		ArgsUsage: "SCENARIO.yaml | URL | --demo",
		Description: `Runs a scenario file, or a search for the capacity of a URL with defaults (over
within two minutes), or the built-in demo target in a process of its own.

   headroom drill http://127.0.0.1:8080/ --slo 'p99<50ms'
   headroom drill checkout.yaml --set capacity.demand.peak=300 --json
   headroom drill http://127.0.0.1:8080/ --rate 200 --duration 20s --slo 'p99<50ms'`,
		OnUsageError: usageError,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "demo", Usage: "start the demo shop and drill it"},
			&cli.StringSliceFlag{Name: "slo", Usage: "an `OBJECTIVE` such as 'p99<50ms' or 'errors<0.1%'; may be repeated"},
			&cli.StringSliceFlag{Name: "set", Usage: "override a `KEY=VALUE` of the scenario, such as load.arrivals=constant; may be repeated"},
			&cli.StringSliceFlag{Name: "allow", Usage: "an `ADDRESS`, prefix or host name that may be hit besides loopback; may be repeated"},
			&cli.StringFlag{Name: "out", Usage: "the `DIR` for the bundle (default runs/<time>-<name>)"},
			&cli.BoolFlag{Name: "attribute", Usage: "after the search, vary the mix on purpose, so that cost and demand can be told by request"},
			&cli.StringFlag{Name: "controller", Usage: "run over the workers of the controller at `URL`, or of the access.json of its store"},
			&cli.StringFlag{Name: "token", Usage: "the controller's `TOKEN`, if the URL or file does not have it", EnvVars: []string{"HEADROOM_TOKEN"}},
			&cli.IntFlag{Name: "workers", Usage: "with --controller: `N` workers take part (default all that are free)"},
			&cli.StringFlag{Name: "max-utilisation", Usage: "bound the load so that no step takes a resource whose use is read from the target, or a lock in its mutex profiles, above `SHARE`, such as 60%, chance allowed for; a step that is seen above ends, and the drill does where nothing is read"},
			&cli.Float64Flag{Name: "rate", Usage: "a fixed load of `RPS` instead of the search"},
			&cli.IntFlag{Name: "closed", Usage: "a closed load of `N` users instead of the search"},
			&cli.DurationFlag{Name: "duration", Value: 20 * time.Second, Usage: "how long a fixed load lasts"},
			&cli.StringFlag{Name: "arrivals", Usage: "poisson or constant"},
			&cli.IntFlag{Name: "connections", Usage: "use at most `N` connections"},
			&cli.StringFlag{Name: "receive", Usage: "take the profiles that the target's pyroscope-go, or another agent, sends to `ADDR`"},
			calibrationFlag("what headroom calibrate has measured"),
			&cli.StringFlag{Name: "raw", Usage: "keep every hit's result in `FILE`, for vegeta report and plot: .csv, .json, else gob"},
			selfProfileFlag(),
			&cli.BoolFlag{Name: "json", Usage: "print run.json"},
		},
		Action: func(c *cli.Context) error {
			ctx, restore := drains(c.Context, s, quit)
			defer restore()
			c.Context = ctx
			stop, err := profileSelf(c, s)
			if err != nil {
				return err
			}
			defer stop()
			return drill(c, s)
		},
	}
}

// job is a drill that is ready to run.
type job struct {
	scenario *scenarios.Scenario
	plan     *scenarios.Plan
	requests *scenarios.Requests
	allow    *attack.AllowList
	// demoPID is the process of the demo target, 0 if there is none.
	demoPID int
	maxUse  float64
	// attribute varies the mix after the search.
	attribute bool
	// busiest is the CPU use of the fleet's busiest worker; nil if this process is
	// the worker.
	busiest func() (used, limit float64)
	// history is the text of capacity.demand.history, nil if there is none.
	history []byte
	// route leads what the target's profiler sends to intake on to this drill; nil if
	// it does not.
	route  *pyroscope.Route
	intake *intake
	// env looks up the variables of authorizations.
	env func(name string) (value string, ok bool)
}

func drill(c *cli.Context, s streams) error {
	j := &job{env: os.LookupEnv, attribute: c.Bool("attribute")}
	if err := notRemote(c); err != nil {
		return err
	}
	source := c.Args().First()
	dir := "."
	var err error
	switch {
	case c.Args().Len() > 1:
		return badInput("quote arguments with spaces; flags have a leading --", "drill: unexpected argument %q", c.Args().Get(1))
	case c.Bool("demo") && source != "":
		return badInput("leave one of the two out", "drill: both --demo and %q are given", source)
	case c.Bool("demo"):
		target, err := startDemo(c.Context, s.err)
		if err != nil {
			return cannotRunUnlessCoded(err)
		}
		defer target.stop()
		fmt.Fprintf(s.err, "demo target: process %d on %s\n", target.cmd.Process.Pid, target.url)
		j.demoPID = target.cmd.Process.Pid
		j.scenario, err = scenarios.Load("demo", []byte(demo.ShopScenario(target.url)), scenarios.LoadOptions{Set: c.StringSlice("set")})
		if err != nil {
			return err
		}
	case source == "":
		return badInput("headroom drill --demo needs neither", "drill: no scenario file and no URL")
	case strings.Contains(source, "://"):
		j.scenario, err = fromURL(source, c)
	default:
		dir = filepath.Dir(source)
		j.scenario, err = fromFile(source, c)
	}
	if err != nil {
		return err
	}
	if err := j.apply(c); err != nil {
		return err
	}
	if c.IsSet("controller") {
		return j.runRemote(c, s, dir)
	}
	if c.IsSet("workers") {
		return badInput("--workers goes with --controller; a drill without one has one worker", "drill: --workers without --controller")
	}
	if err := j.compile(dir); err != nil {
		return err
	}
	if err := j.attributable(j.attribute); err != nil {
		return err
	}
	return j.run(c, s)
}

func cannotRunUnlessCoded(err error) error {
	var verdict errVerdict
	if errors.As(err, &verdict) {
		return err
	}
	return cannotRun(err, "")
}

func fromURL(url string, c *cli.Context) (*scenarios.Scenario, error) {
	s, err := scenarios.ForURL(url, c.StringSlice("slo"))
	if err != nil {
		return nil, badInput("", "drill: %w", err)
	}
	if len(c.StringSlice("set")) == 0 {
		return s, nil
	}
	// Overrides apply to the text. It is made from the URL as given, since the
	// scenario's own text has its credentials redacted.
	quoted := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("quote %v: %v", v, err)) // strings can be quoted
		}
		return string(b)
	}
	var objectives, guards []string
	for _, o := range s.Objectives {
		objectives = append(objectives, o.String())
	}
	for _, g := range s.Guards {
		guards = append(guards, g.String())
	}
	src := fmt.Sprintf("version: 1\nname: %s\ntarget: {url: %s}\nload: {search: {}}\nobjectives: %s\nguards: %s\n",
		quoted(s.Name), quoted(url), quoted(objectives), quoted(guards))
	return scenarios.Load("defaults for "+s.Redacted().Target.URL, []byte(src), scenarios.LoadOptions{Set: c.StringSlice("set")})
}

func fromFile(name string, c *cli.Context) (*scenarios.Scenario, error) {
	src, err := readFile(name, maxScenarioFile)
	if err != nil {
		return nil, err
	}
	return scenarios.Load(name, src, scenarios.LoadOptions{Set: c.StringSlice("set")})
}

// maxScenarioFile is a little above what scenarios.Load takes, so that Load says
// what is wrong with a larger one.
const maxScenarioFile = 2 << 20

// apply lets the flags override the scenario.
func (j *job) apply(c *cli.Context) error {
	s := j.scenario
	if err := j.objectives(c.StringSlice("slo")); err != nil {
		return err
	}
	if c.IsSet("rate") && c.IsSet("closed") {
		return badInput("a fixed load is one of the two", "drill: both --rate and --closed are given")
	}
	lasts := scenarios.Duration(c.Duration("duration"))
	if c.IsSet("duration") && !c.IsSet("rate") && !c.IsSet("closed") {
		return badInput("--duration goes with --rate or --closed; a search has load.search.budget", "drill: --duration without a fixed load")
	}
	keep := scenarios.LoadSpec{Arrivals: s.Load.Arrivals, Seed: s.Load.Seed, Warmup: s.Load.Warmup}
	if keep.Arrivals == scenarios.Trace {
		keep.Arrivals = scenarios.Poisson // a recording's own; a rate has none
	}
	switch {
	case c.IsSet("rate"):
		s.Load = keep
		s.Load.Constant = &scenarios.ConstantLoad{Rate: c.Float64("rate"), Duration: lasts}
	case c.IsSet("closed"):
		s.Load = keep
		s.Load.Warmup = 0
		s.Load.Closed = &scenarios.ClosedLoad{Users: c.Int("closed"), Duration: lasts}
	}
	if c.IsSet("arrivals") {
		s.Load.Arrivals = scenarios.Arrivals(c.String("arrivals"))
	}
	if c.IsSet("connections") {
		s.Target.Connections = c.Int("connections")
		if s.Target.Connections <= 0 {
			return badInput("leave it out for no bound", "drill: --connections %d is not positive", s.Target.Connections)
		}
	}
	s.Safety.Allow = append(s.Safety.Allow, c.StringSlice("allow")...)
	if text := c.String("max-utilisation"); text != "" {
		if s.Load.Search == nil {
			return badInput("leave one of the two out; a guard such as 'target.cpu > 60%' ends a fixed load", "drill: --max-utilisation bounds a search, and the load is fixed")
		}
		v, err := share(text)
		if err != nil {
			return badInput("write it as 60% or 0.6", "--max-utilisation: %w", err)
		}
		j.maxUse = v
	}
	if s.Load.Seed == 0 {
		seed, err := drawSeed()
		if err != nil {
			return err
		}
		s.Load.Seed = seed
	}
	return s.Validate()
}

// objectives replaces the scenario's objectives by those of the command line,
// but keeps what it says of errors unless these do: quick failures would
// otherwise meet any latency objective.
func (j *job) objectives(slos []string) error {
	if len(slos) == 0 {
		return nil
	}
	aboutErrors := func(o scenarios.Objective) bool { return o.Metric == "errors" }
	var list []scenarios.Objective
	for _, text := range slos {
		o, err := scenarios.ParseObjective(text)
		if err != nil {
			return badInput("", "--slo: %w", err)
		}
		list = append(list, o)
	}
	if !slices.ContainsFunc(list, aboutErrors) {
		for _, o := range j.scenario.Objectives {
			if aboutErrors(o) {
				list = append(list, o)
			}
		}
	}
	j.scenario.Objectives = list
	return nil
}

func share(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no share", text)
	}
	if percent {
		v /= 100
	}
	if !(v > 0 && v <= 1) {
		return 0, fmt.Errorf("%q is not above 0%% and at most 100%%", text)
	}
	return v, nil
}

// drawSeed is small enough for every JSON and YAML reader to keep exactly.
func drawSeed() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw seed: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:])>>12 | 1, nil
}

func (j *job) compile(dir string) error { return j.compileWith(inputs(dir), dir) }

// compileWith compiles with other inputs than the files in dir and the environment.
func (j *job) compileWith(in scenarios.Inputs, dir string) error {
	var err error
	if j.plan, err = scenarios.CompileWith(j.scenario, in); err != nil {
		return badInput("", "%w", err)
	}
	if j.requests, err = scenarios.CompileRequests(j.scenario, in); err != nil {
		return badInput("", "%w", err)
	}
	if j.history, err = demandHistory(j.scenario, dir); err != nil {
		return err
	}
	if j.allow, err = attack.NewAllowList(j.scenario.Safety.Allow); err != nil {
		return badInput("", "safety.allow: %w", err)
	}
	return nil
}

// run runs the drill and reports on it.
func (j *job) run(c *cli.Context, s streams) error {
	ctx := c.Context
	if j.scenario.Profiles.Receive != nil && c.String("receive") == "" {
		return badInput("--receive 127.0.0.1:4040, or another address that they can be sent to", "drill: profiles.receive is set, and there is no --receive")
	}
	if err := j.preflight(ctx); err != nil {
		return err
	}
	if addr := c.String("receive"); addr != "" {
		in, err := openIntake(ctx, addr)
		if err != nil {
			return err
		}
		defer in.close()
		j.intake = in
		if j.route, err = in.router.Open(j.scenario.Name, j.senders()); err != nil {
			return err
		}
		fmt.Fprintf(s.err, "receiving profiles: http://%s\n", in.addr)
	}
	watch, err := j.observe(ctx, func(text string) { fmt.Fprintln(s.err, "note: "+text) })
	if ctx.Err() != nil {
		return errVerdict(exitInterrupted)
	}
	if err != nil {
		return err
	}
	pushTo, err := j.pushServer()
	if err != nil {
		return err
	}
	started := time.Now()
	now := func() time.Duration { return time.Since(started) }
	dir := c.String("out")
	if dir == "" {
		dir = freeFolder(filepath.Join("runs", started.UTC().Format("20060102T150405Z")+"-"+fileName(j.scenario.Name)))
	}
	src, err := j.scenario.YAML()
	if err != nil {
		return fmt.Errorf("drill: %w", err)
	}
	record, err := observation.Record(dir, src)
	if err != nil {
		return cannotRun(err, "choose a new or empty folder that can be written with --out")
	}
	defer record.Close()
	if j.history != nil {
		if err := record.History(j.history); err != nil {
			return cannotRun(err, "")
		}
	}
	calibration, err := readCalibration(c.String("calibration"), attack.EngineFor(j.requests))
	if err != nil {
		return err
	}
	raw, err := createRaw(c.String("raw"), j.requests, started)
	if err != nil {
		return err
	}
	id := started.UTC().Format("20060102T150405Z") + "-" + fileName(j.scenario.Name)
	j.requests.SetRun(id)
	sending, sent := j.push(pushTo, record, id, now)
	defer sent()
	fleet, err := j.fleet(ctx, now, raw.raw, dir)
	if err != nil {
		return err
	}
	defer fleet.Close()
	cfg := loadgen.Config{
		ID: id, Search: j.searcher(), Scenario: j.scenario, Plan: j.plan,
		Fleet: fleet, Lead: bus.InProcessLead,
		Record: sending, Now: now, Started: started, Wall: time.Now, Environment: j.environment(calibration), MaxUtilisation: j.maxUse, Calibration: calibration, Progress: j.progress(s),
		Watch: watch,
	}
	outcome, err := loadgen.Run(ctx, cfg)
	err = cmp.Or(err, record.Close(), raw.close())
	return j.report(c, s, dir, outcome, err)
}

// fleet is this process as the only worker of its own controller.
func (j *job) fleet(ctx context.Context, now func() time.Duration, raw *attack.Raw, dir string) (*bus.InProcess, error) {
	f, err := bus.NewInProcess(ctx, bus.InProcessConfig{
		Run: "local", Name: "local", Now: now, Raw: raw, Dir: dir,
		Compiled: &bus.Compiled{Scenario: j.scenario, Plan: j.plan, Requests: j.requests, Allow: j.allow},
	})
	if err != nil {
		return nil, cannotRun(fmt.Errorf("drill: %w", err), "the folder for temporary files (TMPDIR), or that of the bundle, must be writable")
	}
	return f, nil
}

// searcher decides what is offered next; nil for a fixed load.
func (j *job) searcher() loadgen.Searcher {
	switch {
	case j.plan.Search == nil:
		return nil
	case j.attribute:
		return search.NewAttribute(j.searchConfig(), j.plan.Names, j.plan.Weights)
	}
	return search.New(j.searchConfig())
}

// searchConfig is what the scenario and the flags say of the search.
func (j *job) searchConfig() search.Config {
	return search.Config{
		Load: *j.plan.Search, Objectives: j.scenario.Objectives, MaxRPS: j.scenario.Safety.MaxRPS,
		MaxUtilisation: j.maxUse, Estimator: capacity.Estimator(j.scenario.Objectives, j.plan.Seed),
	}
}

// report computes the run from the evidence just written, as anyone else would.
func (j *job) report(c *cli.Context, s streams, dir string, outcome loadgen.Outcome, failed error) error {
	r, err := computeBundle(dir)
	if err == nil {
		werr := writeReports(dir, r)
		failed = cmp.Or(failed, werr)
		if perr := printRun(s, r, c.Bool("json")); perr != nil {
			return perr
		}
		if werr == nil {
			fmt.Fprintf(s.err, "report: %s\n", filepath.Join(dir, "report.html"))
		}
	}
	if failed != nil {
		return cannotRun(fmt.Errorf("drill: %w", failed), hintFor(failed, dir))
	}
	if err != nil {
		return cannotRun(err, "")
	}
	if r.Totals.Sent == 0 && r.Totals.Failed > 0 && outcome.How != observation.EndInterrupted {
		return cannotRun(fmt.Errorf("drill: no request reached the target: %v", r.Totals.Errors), "check that it is up and accepts connections: curl -v "+r.Target)
	}
	return verdictCode(outcome.How, r.Verdict)
}

// verdictCode is nil for a drill that passed.
func verdictCode(how, verdict string) error {
	switch {
	case how == observation.EndInterrupted:
		return errVerdict(exitInterrupted)
	case how == observation.EndGuard:
		return errVerdict(exitGuard)
	case how == observation.EndFailed:
		return errVerdict(exitCannotRun)
	case verdict == reports.Fail:
		return errVerdict(exitFail)
	case verdict == reports.Invalid:
		return errVerdict(exitInvalid)
	}
	return nil
}

// freeFolder appends a number to a name that is taken.
func freeFolder(name string) string {
	free := name
	for i := 2; ; i++ {
		if _, err := os.Lstat(free); err != nil {
			return free
		}
		free = fmt.Sprintf("%s-%d", name, i)
	}
}

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// fileName makes a name that every file system takes.
func fileName(name string) string {
	name = strings.Trim(notInFileNames.ReplaceAllString(name, "-"), "-.")
	if len(name) > 60 {
		name = name[:60]
	}
	if name == "" {
		name = "drill"
	}
	return name
}

// preflight connects once, as the load will, so that a target that is down is an
// error and not a drill of failures.
func (j *job) preflight(ctx context.Context) error {
	addr, err := attack.Preflight(ctx, j.requests, j.allow)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errVerdict(exitInterrupted)
	}
	return unreachable(addr, err)
}

func hintFor(err error, dir string) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return "free space or choose another folder with --out; what was measured so far: headroom report " + dir
	}
	return "what was measured so far: headroom report " + dir
}
