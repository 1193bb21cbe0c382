package resources

import (
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func byName(t *testing.T, r Reader) map[string]Reading {
	t.Helper()
	readings, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]Reading{}
	for _, reading := range readings {
		m[reading.Resource] = reading
	}
	return m
}

func check(t *testing.T, got map[string]Reading, want ...Reading) {
	t.Helper()
	for _, w := range want {
		if got[w.Resource] != w {
			t.Errorf("%s:\n got %+v\nwant %+v", w.Resource, got[w.Resource], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d readings, want %d: %v", len(got), len(want), got)
	}
}

func TestProcess(t *testing.T) {
	memory := 1000 * float64(os.Getpagesize())
	threads := Reading{Resource: "threads", Value: 7, Unit: UnitCount}
	fds := Reading{Resource: "fds", Value: 3, Limit: 1024, Unit: UnitCount}
	for _, c := range []struct {
		name     string
		files    map[string]string
		cpu, mem float64 // limits
	}{
		{"no cgroup limit: the CPUs that run", process42, 7, 16 << 30},
		{"version 2: a quota above", with(process42, groupV2), 2.5, 512 << 20},
		{"version 1", with(with(process42, groupV1), map[string]string{
			"proc/42/cgroup": "9:cpu,cpuacct:/checkout/web\n8:memory:/checkout/web\n0::/\n"}), 2.5, 512 << 20},
		{"affinity below the quota", with(with(process42, groupV2), map[string]string{
			"proc/42/status": "Cpus_allowed_list:\t1,7\n"}), 1, 512 << 20},
		{"in a container: the path is the host's", with(process42, map[string]string{
			"proc/42/cgroup":              "0::/../../kubepods/x\n",
			"sys/fs/cgroup/cpu.max":       "50000 100000",
			"sys/fs/cgroup/memory.max":    "1048576",
			"sys/fs/cgroup/memory.events": "",
		}), 0.5, 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := newProcfs(ProcessConfig{Pid: 42, Root: plant(t, c.files)})
			if err != nil {
				t.Fatal(err)
			}
			check(t, byName(t, r),
				Reading{Resource: "cpu", Value: 3, Counter: true, Limit: c.cpu, Unit: UnitCores},
				Reading{Resource: "memory", Value: memory, Limit: c.mem, Unit: UnitBytes},
				threads, fds)
		})
	}
}

// A pid that was given to another process is not mistaken for the old one.
func TestProcessReplaced(t *testing.T) {
	root := plant(t, process42)
	r, err := newProcfs(ProcessConfig{Pid: 42, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	change(t, root, "proc/42/stat", strings.Replace(process42["proc/42/stat"], " 5000 ", " 6000 ", 1))
	if _, err := r.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("Read = %v, want an error about another process", err)
	}
}

func TestProcessAbsent(t *testing.T) {
	if _, err := newProcfs(ProcessConfig{Pid: 42, Root: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "no such process") {
		t.Errorf("error = %v, want no such process", err)
	}
	for _, pid := range []int{0, -1} {
		if _, err := NewProcess(ProcessConfig{Pid: pid}); err == nil {
			t.Errorf("pid %d was accepted", pid)
		}
	}
}

func TestStatMalformed(t *testing.T) {
	for _, text := range []string{"", "42", "42 (x", "42 (x) S 1", strings.Replace(process42["proc/42/stat"], " 200 ", " -200 ", 1)} {
		if st, err := parseStat(text, 4096); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", text, st)
		}
	}
}

func TestCgroup(t *testing.T) {
	want := []Reading{
		{Resource: "cpu", Value: 4.5, Counter: true, Limit: 2.5, Unit: UnitCores},
		{Resource: "cpu.throttled", Value: 0.75, Counter: true, Unit: UnitCores},
		{Resource: "memory", Value: 200000000, Limit: 512 << 20, Unit: UnitBytes},
	}
	for name, files := range map[string]map[string]string{"version 1": groupV1, "version 2": groupV2} {
		t.Run(name, func(t *testing.T) {
			r, err := NewCgroup(CgroupConfig{Root: plant(t, files), Path: "/checkout/web"})
			if err != nil {
				t.Fatal(err)
			}
			check(t, byName(t, r), want...)
		})
	}
}

// Without a quota, the limit is the CPUs, and throttling is nothing to report.
func TestCgroupWithoutQuota(t *testing.T) {
	root := plant(t, with(groupV2, map[string]string{"sys/fs/cgroup/checkout/cpu.max": "max 100000"}))
	r, err := NewCgroup(CgroupConfig{Root: root, Path: "checkout/web"})
	if err != nil {
		t.Fatal(err)
	}
	got := byName(t, r)
	if got["cpu"].Limit != 4 {
		t.Errorf("limit = %g cores, want the 4 of its cpuset", got["cpu"].Limit)
	}
	if _, ok := got["cpu.throttled"]; ok {
		t.Error("throttling is reported though there is no quota")
	}
}

func TestCgroupErrors(t *testing.T) {
	for _, c := range []struct{ name, path, file, content, want string }{
		{"absent", "/nowhere", "x", "", "no such group"},
		{"outside", "/../../../etc", "x", "", "no such group"},
		{"garbage", "/checkout/web", "sys/fs/cgroup/checkout/web/memory.current", "lots", "not a number"},
		{"negative", "/checkout/web", "sys/fs/cgroup/checkout/web/memory.current", "-5", "not a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := plant(t, with(groupV2, map[string]string{
				c.file:                                c.content,
				"sys/fs/cgroup/checkout/web/cpu.stat": "nothing",
			}))
			if _, err := NewCgroup(CgroupConfig{Root: root, Path: c.path}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want %q", err, c.want)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(page)) }))
	defer srv.Close()
	r, err := NewMetrics(MetricsConfig{URL: srv.URL + "/metrics", HTTP: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	check(t, byName(t, r),
		Reading{Resource: "cpu", Value: 12.5, Counter: true, Limit: 1, Unit: UnitCores},
		Reading{Resource: "memory", Value: 5e7, Unit: UnitBytes},
		Reading{Resource: "fds", Value: 9, Limit: 1024, Unit: UnitCount},
		Reading{Resource: "goroutines", Value: 33, Unit: UnitCount},
		Reading{Resource: "threads", Value: 8, Unit: UnitCount},
		Reading{Resource: "alloc.bytes", Value: 1.5e9, Counter: true, Unit: UnitByteRate},
		Reading{Resource: "alloc.objects", Value: 2.5e7, Counter: true, Unit: UnitRate},
		Reading{Resource: "gc", Value: 77, Counter: true, Unit: UnitRate},
		Reading{Resource: "pool.orders", Value: 7, Limit: 20, Unit: UnitSlots},
		Reading{Resource: "pool.orders.waiting", Value: 3.5, Counter: true, Unit: UnitCount},
		// The exact counter, not the gauge of the same name.
		Reading{Resource: "pool.shop", Value: 40.25, Counter: true, Limit: 8, Unit: UnitSlots},
	)
}

// A limit goes with the use that it is on: GOMEMLIMIT with what the runtime uses, and that
// of the address space with what is resident.
func TestMemoryGoesWithItsLimit(t *testing.T) {
	const base = "process_resident_memory_bytes 5e+07\n"
	const held = "go_memstats_sys_bytes 4e+07\ngo_memstats_heap_idle_bytes 1e+07\n"
	resident := func(limit float64) Reading {
		return Reading{Resource: "memory", Value: 5e7, Limit: limit, Unit: UnitBytes}
	}
	runtime := Reading{Resource: "go.memory", Value: 3e7, Limit: 6e7, Unit: UnitBytes}
	for _, c := range []struct {
		name, page string
		want       []Reading
	}{
		{"no limit", base + held + "go_gc_gomemlimit_bytes 9.223372036854776e+18\n", []Reading{resident(0)}},
		{"of the runtime", base + held + "go_gc_gomemlimit_bytes 6e+07\n", []Reading{resident(0), runtime}},
		{"of both", base + held + "go_gc_gomemlimit_bytes 6e+07\nprocess_virtual_memory_max_bytes 5.5e+07\n", []Reading{resident(5.5e7), runtime}},
		{"what is held is not there", base + "go_gc_gomemlimit_bytes 6e+07\n", []Reading{resident(0)}},
		{"more idle than held", base + "go_memstats_sys_bytes 1e+07\ngo_memstats_heap_idle_bytes 4e+07\ngo_gc_gomemlimit_bytes 6e+07\n", []Reading{resident(0)}},
	} {
		readings, err := parsePage([]byte(c.page))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !slices.Equal(readings, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, readings, c.want)
		}
	}
}

func TestMetricsErrors(t *testing.T) {
	big := strings.Repeat("x", maxPage+1)
	many := strings.Repeat("go_goroutines 1\n", maxSeries+1)
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		want   string
	}{
		{"denied", func(w http.ResponseWriter) { w.WriteHeader(403) }, "hint:"},
		{"absent", func(w http.ResponseWriter) { w.WriteHeader(404) }, "hint:"},
		{"failing", func(w http.ResponseWriter) { w.WriteHeader(500) }, "500"},
		{"web page", func(w http.ResponseWriter) { w.Write([]byte("<!DOCTYPE html><html>")) }, "web page"},
		{"empty", func(http.ResponseWriter) {}, "no metric that is known"},
		{"endless", func(w http.ResponseWriter) { w.Write([]byte(big)) }, "larger than 8 MiB"},
		{"too many series", func(w http.ResponseWriter) { w.Write([]byte(many)) }, "more than 5000"},
		{"malformed", func(w http.ResponseWriter) { w.Write([]byte("go_goroutines many\n")) }, "not in the Prometheus text format"},
		{"cut off", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte(page))
		}, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
			defer srv.Close()
			r, err := NewMetrics(MetricsConfig{URL: srv.URL + "/?token=secret", HTTP: srv.Client()})
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Read(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Read = %v, %v; want an error with %q", got, err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the query: %v", err)
			}
		})
	}
	for _, url := range []string{"", "127.0.0.1:80", "file:///etc/passwd", "http://"} {
		if _, err := NewMetrics(MetricsConfig{URL: url, HTTP: http.DefaultClient}); err == nil {
			t.Errorf("address %q was accepted", url)
		}
	}
}

func TestPoolNames(t *testing.T) {
	got, err := parsePage([]byte(`a_busy_seconds_total{zone="b",pool="a"} 1
a_slots{pool="a",zone="b"} 2
bare_busy_seconds_total 3
bare_slots 4
x_busy_seconds_total{pool="<script>é"} 5
x_slots{pool="<script>é"} 6
n_busy_seconds_total{pool="nan"} NaN
n_slots{pool="nan"} 6
m_busy_seconds_total{pool="negative"} 1
m_slots{pool="negative"} -6
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Reading{
		{Resource: "pool._script__", Value: 5, Counter: true, Limit: 6, Unit: UnitSlots},
		{Resource: "pool.a.b", Value: 1, Counter: true, Limit: 2, Unit: UnitSlots},
		{Resource: "pool.bare", Value: 3, Counter: true, Limit: 4, Unit: UnitSlots},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParsePS(t *testing.T) {
	for _, c := range []struct {
		out      string
		rss, cpu float64
	}{
		{"  2048   0:01.25\n", 2048 << 10, 1.25},         // macOS
		{" 15744 00:00:04\n", 15744 << 10, 4},            // Linux
		{"1 2-03:04:05", 1 << 10, 2*86400 + 11045},       // days
		{"1 100:00.5", 1 << 10, 6000.5},                  // minutes beyond an hour
		{"0 0:00.00", 0, 0},                              // a kernel thread
		{"4194304 1:02:03.04", 4194304 << 10, 3723.04},   // hours
		{"\n4194304\t1:02:03.04 \n", 4 << 30, 3723.04},   // other space
		{"12 0-00:00:00", 12 << 10, 0},                   // no days
		{"12 10675199-00:00:00", 12 << 10, 922337193600}, // absurd, but a number
	} {
		rss, cpu, err := parsePS(c.out)
		if err != nil || rss != c.rss || cpu != c.cpu {
			t.Errorf("parsePS(%q) = %g, %g, %v; want %g, %g", c.out, rss, cpu, err, c.rss, c.cpu)
		}
	}
	for _, out := range []string{"", "1", "x 0:01", "1 01", "1 a:b", "1 1:2:3:4", "1 x-0:01", "1 0:-1", "1 0:NaN", "1 0:Inf", "1 2 3"} {
		if rss, cpu, err := parsePS(out); err == nil {
			t.Errorf("parsePS(%q) = %g, %g, want an error", out, rss, cpu)
		}
	}
}
