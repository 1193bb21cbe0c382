package importer

import (
	"bytes"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/headroom-project/headroom/loadgen/attack/recorded"
)

var vegetaLacks = []string{
	"vegeta's latency runs from when a worker took a request up, not from when it was due: waiting for a free worker is not in it",
	"vegeta records nothing of the target: without resource use there is no bottleneck and no cost",
}

// isVegeta tells gob by the name of vegeta's type in its first message, JSON by
// its first key, and CSV by its twelve fields.
func isVegeta(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case bytes.HasPrefix(line, []byte(`{"attack":`)):
		return true
	case len(line) > 0 && line[0] >= '0' && line[0] <= '9':
		return bytes.Count(line, []byte(",")) >= 11
	}
	return bytes.Contains(head, []byte("Result")) && bytes.Contains(head, []byte("Latency"))
}

// readVegeta reads `vegeta attack` and `vegeta encode`.
func readVegeta(in *input) (*Results, error) {
	l := &log{}
	err := recorded.Each(in, func(h recorded.Hit) error {
		r := record{start: h.Sent, lasted: h.Latency, name: endpoint(h.Method, h.URL), bytesIn: h.BytesIn}
		if h.Error != "" || h.Code == 0 || h.Code >= 400 {
			r.class = classOf(strconv.Itoa(int(h.Code)), h.Error)
		}
		return l.add(r)
	})
	if err != nil {
		if strings.Contains(err.Error(), "duplicate type") {
			err = fmt.Errorf("%w: it is several attacks in one file; give each as a file, or put them together by vegeta encode", err)
		}
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	return l.results(in, vegetaLacks)
}

// endpoint names a request by its method and path.
func endpoint(method, target string) string {
	u, err := url.Parse(target)
	if err != nil || method == "" && u.Path == "" {
		return "all"
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return method + " " + u.Path
}

// vegetaReport is `vegeta report -type json`; times are nanoseconds.
type vegetaReport struct {
	Latencies struct {
		Mean float64 `json:"mean"`
		P50  float64 `json:"50th"`
		P90  float64 `json:"90th"`
		P95  float64 `json:"95th"`
		P99  float64 `json:"99th"`
		Max  float64 `json:"max"`
	} `json:"latencies"`
	Duration   float64 `json:"duration"`
	Requests   float64 `json:"requests"`
	Rate       float64 `json:"rate"`
	Throughput float64 `json:"throughput"`
	Success    float64 `json:"success"`
}

func isVegetaReport(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(head), []byte(`{"latencies":`)) && bytes.Contains(head, []byte(`"99th"`))
}

// readVegetaReport reads `vegeta report -type json`: one point of a whole attack.
func readVegetaReport(in *input) (*Results, error) {
	var x vegetaReport
	if err := whollyJSON(in, &x); err != nil {
		return nil, err
	}
	s := summary{offered: x.Rate, served: x.Throughput, count: x.Requests, failed: math.Round(x.Requests * (1 - x.Success)), seconds: x.Duration / 1e9}
	q := x.Latencies
	for metric, ns := range map[string]float64{"mean": q.Mean, "p50": q.P50, "p90": q.P90, "p95": q.P95, "p99": q.P99, "max": q.Max} {
		s.set(metric, ns/1e6)
	}
	out, err := s.results(append([]string{"vegeta's report has no histogram, and the start of the attack is in it; what vegeta attack wrote has every request"}, vegetaLacks...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in.name, err)
	}
	return out, nil
}
