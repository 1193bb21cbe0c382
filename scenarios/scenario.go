package scenarios

import "time"

// Scenario is a scenario file as written: which target, which requests, which
// load, and what counts as failing. It holds no secret: ${NAME} references stay
// as they are until the requests are compiled.
type Scenario struct {
	// Version of the format: 1.
	Version int `yaml:"version" json:"version"`
	// Name of the drill, also in file names: letters, digits, and . _ - inside
	// (default: the file's name).
	Name   string   `yaml:"name,omitempty" json:"name,omitempty"`
	Target Target   `yaml:"target" json:"target"`
	Load   LoadSpec `yaml:"load" json:"load"`
	// Objectives must hold (default: p99 < 250ms, errors < 1%).
	Objectives []Objective `yaml:"objectives,omitempty" json:"objectives,omitempty"`
	// Guards end the drill (default: errors > 50% for 5s; an empty list turns it off).
	Guards    []Guard   `yaml:"guards" json:"guards" rule:"optional"`
	Profiles  Profiles  `yaml:"profiles,omitempty" json:"profiles,omitempty"`
	Resources Resources `yaml:"resources,omitempty" json:"resources,omitempty"`
	Capacity  Capacity  `yaml:"capacity,omitempty" json:"capacity,omitempty"`
	Safety    Safety    `yaml:"safety,omitempty" json:"safety,omitempty"`
	// LostWorker is what is done with the share of a worker of a fleet that is
	// lost (default rebalance).
	LostWorker LostWorker `yaml:"lost_worker,omitempty" json:"lost_worker,omitempty"`
}

// Target is the service under test and what is asked of it.
type Target struct {
	// URL of the service: http or https. Its path is put before the paths of the
	// requests.
	URL string `yaml:"url" json:"url"`
	// Requests is the mix (default: one GET of the target's URL, named by its path).
	Requests []Request `yaml:"requests,omitempty" json:"requests,omitempty"`
	// Flow is what each virtual user does instead, one request after the other:
	// later requests use what earlier ones captured, and a request that fails ends
	// the flow. All requests of one pass use the same row of a feed, and cookies
	// are kept along it, as a browser does. In a closed load each user runs it
	// again and again; in an open one each arrival is a new user who runs it once,
	// and loads count requests: 300/s of a flow of 3 is 100 arrivals/s.
	Flow []Request `yaml:"flow,omitempty" json:"flow,omitempty"`
	// Timeout bounds one request from sending to the last byte (default 10s).
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`
	// Connections bounds the connections of the whole fleet; 0 is no bound.
	Connections int `yaml:"connections,omitempty" json:"connections,omitempty"`
	// MaxBody bounds a response body (default 16MiB).
	MaxBody Size `yaml:"max_body,omitempty" json:"max_body,omitempty"`
	// Redirects is what is done about them (default no).
	Redirects Redirects `yaml:"redirects,omitempty" json:"redirects,omitempty"`
	// Protocol is what is spoken (default http1).
	Protocol Protocol `yaml:"protocol,omitempty" json:"protocol,omitempty"`
	// Proxy is the URL of an HTTP proxy; those of the environment are not used.
	Proxy string `yaml:"proxy,omitempty" json:"proxy,omitempty"`
	TLS   *TLS   `yaml:"tls,omitempty" json:"tls,omitempty"`
}

// mix is the list of requests, and where it was written.
func (t *Target) mix() (list []Request, path string) {
	if len(t.Flow) > 0 {
		return t.Flow, "target.flow"
	}
	return t.Requests, "target.requests"
}

// Profiles says where the target's profiles are.
type Profiles struct {
	// Pprof is the base of net/http/pprof, or a list of them, one for each
	// instance of the target; "none" turns it off. By default
	// <target>/debug/pprof is tried.
	Pprof Endpoints `yaml:"pprof,omitempty" json:"pprof,omitempty"`
	// Auth is sent to them as the header Authorization: Bearer ${TOKEN}, or
	// Basic name:${PASSWORD}, which is encoded.
	Auth string `yaml:"auth,omitempty" json:"auth,omitempty"`
	// Types are the profiles that are taken in each step (default cpu, allocs,
	// heap, mutex, block, goroutine); trace, the execution trace, on request only.
	Types     []string   `yaml:"types,omitempty" json:"types,omitempty"`
	Pyroscope *Pyroscope `yaml:"pyroscope,omitempty" json:"pyroscope,omitempty"`
	// Receive says whose profiles are taken of those that agents send to Headroom.
	Receive *ProfileReceive `yaml:"receive,omitempty" json:"receive,omitempty"`
	// Push is a Pyroscope server that every capture is sent to.
	Push *ProfilePush `yaml:"push,omitempty" json:"push,omitempty"`
	// Baggage sends the header Baggage with each hit, with the keys k6.test_run_id,
	// k6.scenario and k6.step: pyroscope-go's middleware for k6 makes labels of a
	// target's profiles of them.
	Baggage bool `yaml:"baggage,omitempty" json:"baggage,omitempty"`
}

// Endpoints are addresses of one kind, one for each instance of a target. A
// single one is written as a text.
type Endpoints []string

// Resources says where the target's resource figures come from.
type Resources struct {
	// Metrics is the target's own Prometheus page; "none" turns it off. By
	// default <target>/metrics is tried.
	Metrics string `yaml:"metrics,omitempty" json:"metrics,omitempty"`
	// Prometheus is a server that scrapes the target.
	Prometheus *Prometheus `yaml:"prometheus,omitempty" json:"prometheus,omitempty"`
	// Process is the id of the target's process, on this machine.
	Process int `yaml:"process,omitempty" json:"process,omitempty"`
	// Cgroup is the target's control group, such as /checkout.
	Cgroup string `yaml:"cgroup,omitempty" json:"cgroup,omitempty"`
}

// Capacity is what the capacity is held against.
type Capacity struct {
	Demand     *Demand     `yaml:"demand,omitempty" json:"demand,omitempty"`
	Prices     *Prices     `yaml:"prices,omitempty" json:"prices,omitempty"`
	Redundancy *Redundancy `yaml:"redundancy,omitempty" json:"redundancy,omitempty"`
	// ArrivalsSCV is the squared coefficient of variation of the times between arrivals in
	// production, which capacity is predicted for: 1 for Poisson arrivals (the default),
	// more for bursts.
	ArrivalsSCV float64 `yaml:"arrivals_scv,omitempty" json:"arrivals_scv,omitempty"`
}

// Demand is the load that production brings.
type Demand struct {
	// Peak is the highest load of production, in requests/s.
	Peak float64 `yaml:"peak" json:"peak"`
	// Growth is how the peak grows, such as 5%/month.
	Growth string `yaml:"growth,omitempty" json:"growth,omitempty"`
	// History is a CSV file of production's load.
	History string `yaml:"history,omitempty" json:"history,omitempty"`
}

// Prices are what resources cost.
type Prices struct {
	// Currency is three letters (default USD).
	Currency string `yaml:"currency,omitempty" json:"currency,omitempty"`
	// VCPUHour is the price of one virtual CPU for an hour.
	VCPUHour float64 `yaml:"vcpu_hour,omitempty" json:"vcpu_hour,omitempty"`
	// GBHour is the price of a gigabyte of memory for an hour.
	GBHour float64 `yaml:"gb_hour,omitempty" json:"gb_hour,omitempty"`
	// EgressGB is the price of a gigabyte sent.
	EgressGB float64 `yaml:"egress_gb,omitempty" json:"egress_gb,omitempty"`
}

// Redundancy is the loss that must be survived.
type Redundancy struct {
	// Zones is how many there are.
	Zones int `yaml:"zones" json:"zones"`
	// Survive is how many of them may be lost.
	Survive int `yaml:"survive" json:"survive"`
}

// Safety is what a drill may do.
type Safety struct {
	// Allow lists addresses, prefixes and host names that may be hit besides loopback.
	Allow []string `yaml:"allow,omitempty" json:"allow,omitempty"`
	// MaxRPS bounds the offered load of the whole fleet (default 10000).
	MaxRPS float64 `yaml:"max_rps,omitempty" json:"max_rps,omitempty"`
}

// LostWorker is what is done with the share of a worker that is lost: rebalance
// (the default) gives it to the others, degrade goes on without it, abort ends the
// drill.
type LostWorker string

// The ways to go on without a worker.
const (
	LostRebalance LostWorker = "rebalance"
	LostDegrade   LostWorker = "degrade"
	LostAbort     LostWorker = "abort"
)

// Objective is a condition that must hold, such as `p99 < 50ms`.
type Objective struct {
	// Request limits it to one request of the mix; empty for all.
	Request string
	// Metric is p50, p90, p95, p99, p999, mean, max (of the response time),
	// errors (ratio of failed hits) or throughput.
	Metric string
	// Op is < <= > or >=.
	Op string
	// Value is in milliseconds, a ratio, or requests/s.
	Value float64
}

// Guard is a condition that ends the drill at once, such as `errors > 20% for 5s`.
type Guard struct {
	Objective
	// Metric may also be target.<resource>, as a ratio of its limit.
	For time.Duration
}

// Duration is a time written as 10s or 1m30s.
type Duration time.Duration

// Size is a number of bytes, written as 16MiB or 100kB.
type Size int64
