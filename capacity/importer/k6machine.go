package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// k6Machine is the machine-readable summary that k6 has from 1.5 on
// (--new-machine-readable-summary): a list of metrics, and a duration in seconds.
type k6Machine struct {
	Config struct {
		Duration float64 `json:"duration"`
	} `json:"config"`
	Results struct {
		Metrics []struct {
			Name   string                     `json:"name"`
			Values map[string]json.RawMessage `json:"values"`
		} `json:"metrics"`
	} `json:"results"`
}

func isK6Machine(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")) && bytes.Contains(head, []byte(`"config"`)) &&
		(bytes.Contains(head, []byte(`"execution"`)) || bytes.Contains(head, []byte(`"k6_version"`)))
}

// readK6Machine reads a machine-readable summary: one point of a whole run.
func readK6Machine(in *input) (*Results, error) {
	var x k6Machine
	if err := whollyJSON(in, &x); err != nil {
		return nil, err
	}
	// The figures have the names of the older summary, but for the parentheses of
	// percentiles and the rate of a counter.
	old := k6Summary{Metrics: map[string]map[string]json.RawMessage{}}
	for _, m := range x.Results.Metrics {
		values := map[string]json.RawMessage{}
		for name, v := range m.Values {
			if strings.HasPrefix(name, "p") {
				name = "p(" + name[1:] + ")"
			}
			values[name] = v
		}
		old.Metrics[m.Name] = values
	}
	old.State.Lasted = 1000 * x.Config.Duration
	if requests := old.values("http_reqs"); requests != nil && x.Config.Duration > 0 {
		old.Metrics["http_reqs"]["rate"] = json.RawMessage(fmt.Sprint(requests["count"] / x.Config.Duration))
	}
	return old.results(in, "the machine-readable summary of k6 has no p99: take --out csv=FILE, or leave --new-machine-readable-summary out")
}
