package resources

import (
	"os"
	"path/filepath"
	"testing"
)

// plant writes a fake file system tree and returns its root.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		change(t, root, name, content)
	}
	return root
}

// change writes one file of a tree.
func change(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// with returns files and more, which win.
func with(files, more map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range []map[string]string{files, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// machine is a host of 8 CPUs, one of them off, and 16 GiB.
var machine = map[string]string{
	"sys/devices/system/cpu/online": "0-6\n",
	"proc/meminfo":                  "MemTotal:       16777216 kB\nMemFree: 1 kB\n",
}

// process42 is a process of 3 s CPU time, 1000 pages, 7 threads and 3 files.
var process42 = with(machine, map[string]string{
	"proc/42/stat":   "42 (a ) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 200 100 0 0 20 0 7 0 5000 1000000 1000 18446744073709551615 1 1 0 0",
	"proc/42/status": "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n",
	"proc/42/limits": "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n",
	"proc/42/cgroup": "0::/checkout/web\n",
	"proc/42/fd/0":   "", "proc/42/fd/1": "", "proc/42/fd/2": "",
})

// groupV2 is a version 2 group with a quota of 2.5 cores and 512 MiB.
var groupV2 = with(machine, map[string]string{
	"sys/fs/cgroup/cgroup.controllers":                        "cpu memory\n",
	"sys/fs/cgroup/checkout/cpu.max":                          "250000 100000\n",
	"sys/fs/cgroup/checkout/memory.max":                       "max\n",
	"sys/fs/cgroup/checkout/web/cpu.stat":                     "usage_usec 4500000\nuser_usec 1\nnr_periods 10\nnr_throttled 2\nthrottled_usec 750000\n",
	"sys/fs/cgroup/checkout/web/cpu.max":                      "max 100000\n",
	"sys/fs/cgroup/checkout/web/memory.current":               "300000000\n",
	"sys/fs/cgroup/checkout/web/memory.max":                   "536870912\n",
	"sys/fs/cgroup/checkout/web/memory.stat":                  "anon 1\ninactive_file 100000000\n",
	"sys/fs/cgroup/checkout/web/cpuset.cpus.effective":        "0-3\n",
	"sys/fs/cgroup/checkout/web/unrelated/cpuset.cpus.broken": "-",
})

// groupV1 is the same in version 1.
var groupV1 = with(machine, map[string]string{
	"sys/fs/cgroup/cpuacct/checkout/web/cpuacct.usage":          "4500000000\n",
	"sys/fs/cgroup/cpu/checkout/web/cpu.cfs_quota_us":           "-1\n",
	"sys/fs/cgroup/cpu/checkout/web/cpu.cfs_period_us":          "100000\n",
	"sys/fs/cgroup/cpu/checkout/web/cpu.stat":                   "nr_periods 10\nnr_throttled 2\nthrottled_time 750000000\n",
	"sys/fs/cgroup/cpu/checkout/cpu.cfs_quota_us":               "250000\n",
	"sys/fs/cgroup/cpu/checkout/cpu.cfs_period_us":              "100000\n",
	"sys/fs/cgroup/memory/checkout/web/memory.usage_in_bytes":   "300000000\n",
	"sys/fs/cgroup/memory/checkout/web/memory.limit_in_bytes":   "536870912\n",
	"sys/fs/cgroup/memory/checkout/memory.limit_in_bytes":       "9223372036854771712\n",
	"sys/fs/cgroup/memory/checkout/web/memory.stat":             "cache 1\ntotal_inactive_file 100000000\n",
	"sys/fs/cgroup/cpuset/checkout/web/cpuset.effective_cpus":   "0-3\n",
	"sys/fs/cgroup/unified/checkout/web/cgroup.controllers":     "",
	"sys/fs/cgroup/unified/checkout/web/cgroup.something.other": "",
})

// page is a metrics page of a Go service with two pools.
const page = `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 5e+07
process_virtual_memory_max_bytes 1.8446744073709552e+19
process_open_fds 9
process_max_fds 1024
go_goroutines 33
go_threads 8
go_memstats_alloc_bytes_total 1.5e+09
go_memstats_mallocs_total 2.5e+07
go_gc_duration_seconds{quantile="0.5"} 0.0001
go_gc_duration_seconds_count 77
go_sched_gomaxprocs_threads 1
go_gc_gomemlimit_bytes 9.223372036854776e+18
# TYPE http_requests_total counter
http_requests_total{code="200"} 5
go_sql_max_open_connections{db_name="orders"} 20
go_sql_in_use_connections{db_name="orders"} 7
go_sql_wait_duration_seconds_total{db_name="orders"} 3.5
go_sql_max_open_connections{db_name="shop"} 8
go_sql_in_use_connections{db_name="shop"} 3
demo_pool_busy_seconds_total{pool="shop"} 40.25
demo_pool_slots{pool="shop"} 8
other_busy_seconds_total{pool="without slots"} 1
`
