package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/profiler"
	"github.com/headroom-project/headroom/profiler/resources"
)

// environment is where a drill ran, for the report.
func (j *job) environment(calibration *loadgen.Calibration) map[string]any {
	pacing := "economical"
	if loadgen.Precise(j.scenario.Objectives) {
		pacing = "precise"
	}
	out := map[string]any{
		"headroom": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		"cpus": runtime.NumCPU(), "engine": attack.EngineFor(j.requests), "pacing": pacing,
		"protocol": string(j.requests.Transport().Protocol),
	}
	if calibration != nil {
		out["calibration"] = calibration
	}
	if p := j.requests.Transport().Proxy; p != nil {
		out["proxy"] = p.Host
	}
	return out
}

func (j *job) progress(s streams) loadgen.Progress {
	width, ok := terminal(s.err)
	return &live{w: s.err, terminal: ok, width: width, objs: j.scenario.Objectives}
}

// lookFor bounds how long the target is asked whether it has figures to give.
const lookFor = 5 * time.Second

// off turns a source of figures off in a scenario.
const off = "none"

// observe finds out what there is to see of the target, and returns what makes
// the watcher. Nothing to see is no error: the report says what is missing.
func (j *job) observe(ctx context.Context, warn func(string)) (func(loadgen.WatchConfig) loadgen.Watcher, error) {
	client := j.httpClient()
	// Both look at once: a target that hangs costs the longer of the two waits.
	var source captureSource
	var noProfiles error
	var looks sync.WaitGroup
	looks.Go(func() {
		look, cancel := context.WithTimeout(ctx, lookFor)
		defer cancel()
		source, noProfiles = j.profiles(look, client)
	})
	readers, err := j.readers(ctx, client, warn)
	looks.Wait()
	if err != nil {
		return nil, err
	}
	if noProfiles != nil && exitCode(noProfiles) == exitBadInput {
		return nil, noProfiles
	}
	var pull func(loadgen.WatchConfig) loadgen.Watcher
	if source.profiles == nil {
		if pull, err = j.puller(ctx, client, warn); err != nil {
			return nil, err
		}
	}
	prom, err := j.prometheus(ctx, client, warn)
	if err != nil {
		return nil, err
	}
	return func(w loadgen.WatchConfig) loadgen.Watcher {
		var reads readResources
		if prom != nil {
			w.OnSample = reads.note(w.OnSample)
		}
		cfg := profiler.Config{
			Pprof: source.profiles, Counters: source.counters, Instances: source.instances, Types: source.types,
			Readers: readers, Now: w.Now, OnSample: w.OnSample, OnCapture: w.OnCapture, OnWarning: w.OnWarning,
		}
		session, err := profiler.NewSession(cfg)
		if err != nil {
			// Only a missing clock or twice the same source makes it fail.
			panic(fmt.Sprintf("profiler session: %v", err))
		}
		all := watchers{session}
		if noProfiles != nil {
			all = append(all, saying{text: "the target is not profiled: " + noProfiles.Error(), warn: w.OnWarning})
		}
		if j.route != nil {
			all = append(all, j.receive(w, ctx.Done(), warn))
		}
		if pull != nil {
			all = append(all, pull(w))
		}
		if prom != nil {
			all = append(all, prom(w, &reads))
		}
		return all
	}, nil
}

// httpClient is bound to the allow-list as the load is.
func (j *job) httpClient() *http.Client {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return j.allow.Dial(ctx, network, addr, 5*time.Second)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: j.requests.Transport().TLS.Clone(), MaxIdleConns: 8, IdleConnTimeout: 10 * time.Second, Proxy: j.proxyFor}}
}

// proxyFor sends what is asked of the target itself through the scenario's proxy,
// as the load is; other pages are asked for directly.
func (j *job) proxyFor(r *http.Request) (*url.URL, error) {
	proxy := j.requests.Transport().Proxy
	if u, err := url.Parse(j.scenario.Target.URL); proxy == nil || err != nil || r.URL.Host != u.Host {
		return nil, nil
	}
	return proxy, j.allow.CheckName(r.Context(), r.URL.Hostname())
}

// onTarget is a path on the target's host.
func (j *job) onTarget(path string) (string, error) {
	u, err := url.Parse(j.scenario.Target.URL)
	if err != nil {
		return "", err
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}).String(), nil
}

// readers returns who looks at the target's resources, and at the generator's.
func (j *job) readers(ctx context.Context, client *http.Client, say func(string)) ([]resources.Reader, error) {
	var out []resources.Reader
	pid := j.scenario.Resources.Process
	if pid == 0 {
		pid = j.demoPID
	}
	if pid == 0 {
		pid = j.listener(ctx, say)
	}
	if pid != 0 {
		r, err := resources.NewProcess(resources.ProcessConfig{Pid: pid})
		if err != nil {
			return nil, badInput("resources.process is the number of a process on this machine", "resources: %w", err)
		}
		out = append(out, r)
	}
	if path := j.scenario.Resources.Cgroup; path != "" {
		r, err := resources.NewCgroup(resources.CgroupConfig{Path: path})
		if err != nil {
			return nil, badInput("resources.cgroup is the path that /proc/<pid>/cgroup shows", "resources: %w", err)
		}
		out = append(out, r)
	}
	r, err := j.metricsPage(ctx, client)
	if err != nil {
		return nil, err
	}
	if r != nil {
		out = append(out, r)
	}
	if j.busiest != nil {
		return append(out, fleetGenerator(j.busiest)), nil
	}
	if self, err := resources.NewProcess(resources.ProcessConfig{Pid: os.Getpid()}); err == nil {
		out = append(out, generator{self})
	}
	return out, nil
}

// listener finds the target's process if it is on this machine, unless the
// scenario names a cgroup instead; 0 if it is not or cannot be told.
func (j *job) listener(ctx context.Context, say func(string)) int {
	u, err := url.Parse(j.scenario.Target.URL)
	if err != nil || j.scenario.Resources.Cgroup != "" {
		return 0
	}
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", u.Hostname())
	if err != nil || !slices.ContainsFunc(ips, net.IP.IsLoopback) {
		return 0
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", cmp.Or(u.Port(), u.Scheme))
	if err != nil {
		return 0
	}
	pid, name, why := resources.Listener(port)
	switch {
	case pid == os.Getpid():
		return 0
	case pid == 0:
		say("target process not found: " + why + "; resources.process or resources.cgroup names it")
	default:
		say(fmt.Sprintf("target process: %d (%s), which listens on port %d", pid, name, port))
	}
	return pid
}

// metricsPage returns a reader of the target's Prometheus page, nil if there is
// none at the usual place.
func (j *job) metricsPage(ctx context.Context, client *http.Client) (resources.Reader, error) {
	page := j.scenario.Resources.Metrics
	named := page != ""
	if page == off {
		return nil, nil
	}
	if !named {
		var err error
		if page, err = j.onTarget("/metrics"); err != nil {
			return nil, err
		}
	}
	r, err := resources.NewMetrics(resources.MetricsConfig{URL: page, HTTP: client})
	if err != nil {
		return nil, badInput("", "resources: %w", err)
	}
	look, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	if _, err := r.Read(look); err != nil {
		if named {
			return nil, badInput("check the address under resources.metrics", "resources: %w", err)
		}
		return nil, nil
	}
	return r, nil
}

// generator reads this process's own CPU, so that a saturated generator is seen.
type generator struct{ self resources.Reader }

// Source is generator.
func (generator) Source() string { return "generator" }

// Read returns the CPU only, under the name that loadgen judges by.
func (g generator) Read(ctx context.Context) ([]resources.Reading, error) {
	all, err := g.self.Read(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Resource == "cpu" {
			r.Resource = loadgen.GeneratorCPU
			return []resources.Reading{r}, nil
		}
	}
	return nil, nil
}
