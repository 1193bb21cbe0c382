package loadgen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/loadgen/responder"
	"github.com/headroom-project/headroom/scenarios"
)

// ordeal is an attack under circumstances that only a process of its own can have.
type ordeal struct {
	Engine      string
	Rate        float64
	Connections int
	Stall       time.Duration // of the target, always
	Files       uint64        // limit on file descriptors, 0 leaves it
	Ports       string        // range of ephemeral ports, in a network namespace of its own
}

const asOrdeal = "HEADROOM_TEST_ORDEAL"

func TestMain(m *testing.M) {
	text := os.Getenv(asOrdeal)
	if text == "" {
		os.Exit(m.Run())
	}
	var o ordeal
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run attacks, and prints why the step is invalid.
func (o ordeal) run() error {
	if o.Ports != "" {
		if err := confine(o.Ports); err != nil {
			return err
		}
	}
	target, err := responder.Start(responder.Config{Stall: o.Stall, Period: o.Stall})
	if err != nil {
		return err
	}
	defer target.Close()
	if o.Files > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: o.Files, Max: o.Files}); err != nil {
			return err
		}
	}
	p, err := o.attack(target.URL())
	if err != nil {
		return err
	}
	objective, err := scenarios.ParseObjective("p99 < 50ms")
	if err != nil {
		return err
	}
	loadgen.Judge(p, []scenarios.Objective{objective})
	return json.NewEncoder(os.Stdout).Encode(p.WhyInvalid)
}

func (o ordeal) attack(url string) (*observation.Point, error) {
	s, err := scenarios.ForURL(url, nil)
	if err != nil {
		return nil, err
	}
	s.Load = scenarios.LoadSpec{Arrivals: scenarios.Constant, Seed: 1, Constant: &scenarios.ConstantLoad{Rate: o.Rate, Duration: scenarios.Duration(1200 * time.Millisecond)}}
	s.Safety.MaxRPS = o.Rate
	plan, err := scenarios.Compile(s)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	r := observation.NewReducer()
	step := plan.Steps[0]
	r.Begin(observation.StepRecord{Kind: step.Kind, From: step.From, To: step.To, Start: 10 * time.Millisecond, Lasts: step.Lasts})
	cfg := attack.Config{Worker: "w", MaxBody: 1 << 10, Slice: plan.Slice(0, 1), Connections: o.Connections, Engine: o.Engine,
		Now: func() time.Duration { return time.Since(began) }, Emit: func(w *observation.Window) { r.Add(w) }}
	if cfg.Requests, err = scenarios.CompileRequests(s, scenarios.Inputs{}); err != nil {
		return nil, err
	}
	if cfg.Allow, err = attack.NewAllowList(nil); err != nil {
		return nil, err
	}
	a, err := attack.New(cfg)
	if err != nil {
		return nil, err
	}
	a.Offer(step, 10*time.Millisecond)
	a.Finish()
	if err := a.Run(context.Background()); err != nil {
		return nil, err
	}
	p, err := r.Point(0)
	return &p, err
}

// confine gives the network namespace of this process a loopback and a few ports.
func confine(ports string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte(ports), 0o644)
}

// Each cause of an invalid step is provoked for real, and named.
func TestCausesAreNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		o    ordeal
		want string
	}{
		{"connections", ordeal{Rate: 100, Connections: 2, Stall: 50 * time.Millisecond}, "all connections were busy when"},
		{"files", ordeal{Rate: 300, Stall: 400 * time.Millisecond, Files: 60}, "ran out of file descriptors; raise the limit"},
		{"ports", ordeal{Rate: 300, Stall: 400 * time.Millisecond, Ports: "40000 40019"}, "ran out of ephemeral ports; have the target keep"},
	} {
		for _, engine := range attack.Engines() {
			t.Run(c.name+"/"+engine, func(t *testing.T) {
				c.o.Engine = engine
				c.o.mustSay(t, c.want)
			})
		}
	}
	t.Run("cpu", func(t *testing.T) {
		// Which of the two it is, the machine decides: another process may want the core.
		ordeal{Engine: attack.EngineLoop, Rate: 400_000}.mustSay(t, "the generator's thread was at work", "other processes took the generator's core")
	})
}

// mustSay runs the ordeal in a process of its own, which must give one of the causes.
func (o ordeal) mustSay(t *testing.T, wants ...string) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), asOrdeal+"="+string(text))
	if o.Ports != "" {
		if os.Geteuid() != 0 {
			t.Skip("needs root, for a network namespace with few ports")
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	for _, want := range wants {
		if strings.Contains(string(out), want) {
			return
		}
	}
	t.Errorf("said %s, want %q", out, wants)
}
