package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/resources"
)

// line is a series of a page that is scraped.
type line struct {
	series         string
	value, growing float64 // by so much a second
}

// lines reads series, each with its value and by how much it grows in a second.
func lines(t *testing.T, text []byte) (list []line) {
	t.Helper()
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		var x line
		k := strings.LastIndex(s.Text(), "}") + 1
		if k == 0 {
			k = strings.Index(s.Text(), " ")
		}
		x.series = s.Text()[:k]
		if _, err := fmt.Sscan(s.Text()[k:], &x.value, &x.growing); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		list = append(list, x)
	}
	return list
}

// scrapedPage serves a page of metrics, and returns its address. As cAdvisor does, it
// says when a figure was taken; what it knows of the machine it found out six minutes
// ago.
func scrapedPage(t *testing.T, list []line) (addr string) {
	t.Helper()
	began := time.Now()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now()
		for _, x := range list {
			at := now
			if strings.HasPrefix(x.series, "machine_") {
				at = began.Add(-6 * time.Minute)
			}
			fmt.Fprintln(w, x.series, x.value+x.growing*now.Sub(began).Seconds(), at.UnixMilli())
		}
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// without leaves series out.
func without(list []line, out func(series string) bool) (rest []line) {
	for _, x := range list {
		if !out(x.series) {
			rest = append(rest, x)
		}
	}
	return rest
}

// capturedPages are what google/cadvisor v0.52.1 said of containers that containerd 1.6
// ran on a machine of two cores, once by itself (DefaultContainerLabels) and once with
// the kubelet's labels (its containerPrometheusLabelsFunc): pod checkout-1 with the
// containers app and proxy, pod checkout-2 with app, each pod with its pause; a
// container of no pod; and a control group that is no container. Values were taken twice
// within 20 s, for how much they grow. Left out are metrics that no query asks for, other
// groups, labels that name the machine, and the end of the containers' ids.
//
// Of kube-state-metrics it is what its docs/metrics/workload/pod-metrics.md lists, with a
// pod that is over.
func capturedPages(t *testing.T) (cadvisor, kubelet, kube []line) {
	t.Helper()
	for name, into := range map[string]*[]line{"cadvisor": &cadvisor, "kubelet": &kubelet} {
		text, err := os.ReadFile(filepath.Join("testdata", "scrapes", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		*into = lines(t, text)
	}
	for _, x := range []struct {
		container, pod, cpu, memory string
	}{{"app", "checkout-1", "0.5", "268435456"}, {"proxy", "checkout-1", "0.25", "67108864"}, {"app", "checkout-2", "0.5", "268435456"}, {"migrate", "checkout-migrate", "8", "1e9"}} {
		const form = "kube_pod_container_resource_limits{namespace=\"shop\",pod=%q,uid=\"u-%[1]s\",container=%[2]q,node=\"n1\",resource=%[3]q,unit=%[4]q} %[5]s 0\n"
		kube = append(kube, lines(t, []byte(fmt.Sprintf(form, x.pod, x.container, "cpu", "core", x.cpu)+fmt.Sprintf(form, x.pod, x.container, "memory", "byte", x.memory)))...)
	}
	return cadvisor, kubelet, kube
}

// containerCase is a selection, and what must come of it.
type containerCase struct {
	name, match string
	page        []line
	counts      string // a regular expression of the series of what counts
	network     string // the same for networks; empty if there is none
	cpu, memory float64
}

// The set for containers finds those of a target, each once, although a cAdvisor
// reports on every control group; its limits are theirs, of all of them.
func TestContainerSet(t *testing.T) {
	t.Parallel() // no load, much waiting
	cadvisor, kubelet, kube := capturedPages(t)
	// Without kube-state-metrics: one container has no limit; none has, and the machine
	// is not known.
	isSpec := regexp.MustCompile(`^container_spec_.*container="\w`).MatchString
	loose := without(kubelet, func(s string) bool { return isSpec(s) && strings.Contains(s, `pod="checkout-2"`) })
	bare := without(kubelet, func(s string) bool { return isSpec(s) || strings.HasPrefix(s, "machine_") })
	alone, node, looseNode, bareNode := scrapedPage(t, cadvisor), scrapedPage(t, kubelet), scrapedPage(t, loose), scrapedPage(t, bare)
	server := startPrometheus(t, alone, node, looseNode, bareNode, scrapedPage(t, kube))
	on := func(instance string) string { return fmt.Sprintf("instance=%q", instance) }
	others := fmt.Sprintf("instance!~%q", looseNode+"|"+bareNode)
	const mib, cores, memory = 1 << 20, 2, 2.52765143e+10
	cases := []containerCase{
		{"pods", `namespace="shop",pod=~"checkout-.*",` + others, kubelet, `container="\w`, `pod="checkout`, 1.25, 576 * mib},
		{"one container", `namespace="shop",container="app",` + others, kubelet, `container="app"`, "", 1, 512 * mib},
		{"pods without kube-state-metrics", `pod="checkout-1",` + on(node), kubelet, `container="\w.*checkout-1`, `pod="checkout-1`, 0.75, 320 * mib},
		{"a node", on(node), kubelet, `container="\w`, `pod="checkout`, 1.25, 576 * mib},
		{"one without a limit", on(looseNode), kubelet, `container="\w`, `pod="checkout`, cores, memory},
		{"nothing known of limits", on(bareNode), kubelet, `container="\w`, `pod="checkout`, 0, 0},
		{"named containers", on(alone), cadvisor, `,name="\w`, `,name="\w`, cores, memory},
		{"one named container", `name="facf8b54e5c0",` + on(alone), cadvisor, `,name="facf`, "", 0.5, 256 * mib},
		{"a control group", `id="/system.slice/checkout.service",` + on(alone), cadvisor, `checkout.service"`, "", cores, memory},
		{"the machine", `id="/",` + on(alone), cadvisor, `id="/"`, `id="/"`, cores, memory},
		{"groups in each other", `id=~"/system.slice.*",` + on(alone), cadvisor, "", "", 0, 0},
	}
	var all []resources.Query
	for _, c := range cases {
		all = append(all, selected(c.name+": ", "container", c.match)...)
	}
	samples, warnings := figures(t, server, "", all, 5*time.Second)
	if len(warnings) > 0 {
		t.Errorf("warnings %q", warnings)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.check(t, samples) })
	}
}

// check holds the samples of a case against the page that they are from.
func (c containerCase) check(t *testing.T, samples []observation.Sample) {
	seen := map[string]bool{}
	for _, s := range samples {
		resource, ours := strings.CutPrefix(s.Resource, c.name+": ")
		if !ours {
			continue
		}
		seen[resource] = true
		value, limit := 0.0, 0.0
		switch resource {
		case "cpu":
			value, _ = c.total(t, "container_cpu_usage_seconds_total", c.counts)
			limit = c.cpu
		case "memory":
			_, value = c.total(t, "container_memory_working_set_bytes", c.counts)
			limit = c.memory
		case "threads":
			_, value = c.total(t, "container_threads", c.counts)
		case "network.sent":
			value, _ = c.total(t, "container_network_transmit_bytes_total", c.network)
		case "network.received":
			value, _ = c.total(t, "container_network_receive_bytes_total", c.network)
		}
		if math.Abs(s.Used-value) > 0.01*value || math.Abs(s.Limit-limit) > 0.01*limit {
			t.Errorf("%s: %v of %v, want %v of %v", resource, s.Used, s.Limit, value, limit)
		}
	}
	some, network := c.counts != "", c.network != ""
	if seen["cpu"] != some || seen["memory"] != some || seen["network.sent"] != network || seen["network.received"] != network {
		t.Errorf("figures of %v", seen)
	}
}

// total adds up the series of a metric that match: how much they grow, and what they are.
func (c containerCase) total(t *testing.T, metric, matching string) (growing, value float64) {
	t.Helper()
	n := 0
	for _, x := range c.page {
		if strings.HasPrefix(x.series, metric+"{") && regexp.MustCompile(matching).MatchString(x.series) {
			growing, value, n = growing+x.growing, value+x.value, n+1
		}
	}
	if n == 0 || matching == "" {
		t.Errorf("no series of %s with %q", metric, matching)
	}
	return growing, value
}
