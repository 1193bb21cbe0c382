package resources_test

import (
	"math"
	"testing"

	"github.com/headroom-project/headroom/profiler/resources"
)

// Whatever a target sends as its metrics page: no panic, and readings that keep
// to the Reader's contract.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{
		resources.Page,
		"",
		"go_goroutines",
		"go_goroutines{ 1",
		"go_goroutines 1\ngo_goroutines 2\n",
		"process_cpu_seconds_total -1\nprocess_open_fds NaN\nprocess_max_fds +Inf\n",
		"a_slots{x=\"\\xff\"} 1\na_busy_seconds_total{x=\"\\xff\"} 1e308\n",
		"a_slots{x=\"1\",x=\"2\"} 1\na_busy_seconds_total{x=\"1\",x=\"2\"} 2\n",
		"go_sql_in_use_connections{db_name=\"\"} 1\n",
		"_slots 1\n_busy_seconds_total 1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		readings, err := resources.ParsePage(page)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, r := range readings {
			if r.Resource == "" || len(r.Resource) > 100 || seen[r.Resource] {
				t.Errorf("resource %q: empty, long, or twice", r.Resource)
			}
			seen[r.Resource] = true
			for _, v := range []float64{r.Value, r.Limit} {
				if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("%+v: a value or limit that is impossible", r)
				}
			}
		}
	})
}
