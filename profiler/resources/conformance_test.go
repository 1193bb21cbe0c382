package resources_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"github.com/headroom-project/headroom/profiler/resources"
	"github.com/headroom-project/headroom/profiler/resources/resourcestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The process that runs the test is the one that is there on every system.
func TestProcessConforms(t *testing.T) {
	r, err := resources.NewProcess(resources.ProcessConfig{Pid: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	resourcestest.Run(t, r)
}

func TestMetricsConforms(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	srv := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	client := srv.Client()
	defer client.CloseIdleConnections()
	r, err := resources.NewMetrics(resources.MetricsConfig{URL: srv.URL, HTTP: client})
	if err != nil {
		t.Fatal(err)
	}
	resourcestest.Run(t, r)
	got, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]float64{}
	for _, reading := range got {
		limits[reading.Resource] = reading.Limit
	}
	// As client_golang really names them: a rename there must not pass unnoticed.
	if _, ok := limits["goroutines"]; !ok || limits["cpu"] < 1 {
		t.Errorf("limits = %v, want goroutines, and cpu with GOMAXPROCS", limits)
	}
	if limits["memory"] != 0 {
		t.Errorf("memory limit = %g though none is set", limits["memory"])
	}
	srv.Close()
	resourcestest.RunGone(t, r)
}

func TestFakeMachinesConform(t *testing.T) {
	t.Run("procfs", func(t *testing.T) {
		root := resources.Plant(t, resources.Process42)
		r, err := resources.NewProcfs(resources.ProcessConfig{Pid: 42, Root: root})
		conforms(t, r, err)
		remove(t, root, "proc/42")
		resourcestest.RunGone(t, r)
	})
	for name, files := range map[string]map[string]string{"cgroup v1": resources.GroupV1, "cgroup v2": resources.GroupV2} {
		t.Run(name, func(t *testing.T) {
			root := resources.Plant(t, files)
			r, err := resources.NewCgroup(resources.CgroupConfig{Root: root, Path: "/checkout/web"})
			conforms(t, r, err)
			remove(t, root, "sys")
			resourcestest.RunGone(t, r)
		})
	}
}

func conforms(t *testing.T, r resources.Reader, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	resourcestest.Run(t, r)
}

func remove(t *testing.T, root, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
		t.Fatal(err)
	}
}

// ps(1) is what macOS is read by; here it is held against this system's.
func TestPSConforms(t *testing.T) {
	if _, err := exec.LookPath("ps"); err != nil {
		t.Skip("there is no ps")
	}
	r, err := resources.NewPS(os.Getpid(), 1<<30)
	conforms(t, r, err)
	// No system gives out this number.
	if _, err := resources.NewPS(1<<30, 0); err == nil {
		t.Error("a process that is not there was accepted")
	}
}
