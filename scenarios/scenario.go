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
}

// Target is the service under test and what is asked of it.
type Target struct {
	// URL of the service: http or https. Its path is put before the paths of the
	// requests.
	URL string `yaml:"url" json:"url"`
	// Requests is the mix (default: one GET of the target's URL, named by its path).
	Requests []Request `yaml:"requests,omitempty" json:"requests,omitempty"`
	// Timeout bounds one request from sending to the last byte (default 10s).
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`
	// Connections bounds the connections of the whole fleet; 0 is no bound.
	Connections int `yaml:"connections,omitempty" json:"connections,omitempty"`
	// MaxBody bounds a response body (default 16MiB).
	MaxBody Size `yaml:"max_body,omitempty" json:"max_body,omitempty"`
}

// Request is one request of the mix. Exactly one of the methods is set, to a
// path or an absolute URL; paths, header values and bodies are templates.
type Request struct {
	// Name is what figures and objectives call it.
	Name string `yaml:"name" json:"name"`
	// Weight is its share of the mix, relative to the others (default 1).
	Weight float64 `yaml:"weight,omitempty" json:"weight,omitempty"`

	// Get is the path or URL of a GET.
	Get string `yaml:"get,omitempty" json:"get,omitempty"`
	// Post is the path or URL of a POST.
	Post string `yaml:"post,omitempty" json:"post,omitempty"`
	// Put is the path or URL of a PUT.
	Put string `yaml:"put,omitempty" json:"put,omitempty"`
	// Patch is the path or URL of a PATCH.
	Patch string `yaml:"patch,omitempty" json:"patch,omitempty"`
	// Delete is the path or URL of a DELETE.
	Delete string `yaml:"delete,omitempty" json:"delete,omitempty"`
	// Head is the path or URL of a HEAD.
	Head string `yaml:"head,omitempty" json:"head,omitempty"`
	// Options is the path or URL of an OPTIONS.
	Options string `yaml:"options,omitempty" json:"options,omitempty"`

	// Headers by name.
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// Body is sent with the request.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
	// BodyFile is a file that is sent as it is, at most 16MiB; it is no template.
	BodyFile string `yaml:"body_file,omitempty" json:"body_file,omitempty"`
	// Feed is a CSV file whose rows the templates use as .row.
	// Its first row names the columns; hit n uses row n modulo the rows.
	Feed  string `yaml:"feed,omitempty" json:"feed,omitempty"`
	Check Check  `yaml:"check,omitempty" json:"check,omitempty"`
}

// Check is what a response must be; by default its status is below 400.
type Check struct {
	// Status is the one status that is right.
	Status int `yaml:"status,omitempty" json:"status,omitempty"`
	// Body is a condition on the body: `contains "text"`.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
}

// Arrivals is how hits are spread within a step.
type Arrivals string

// The arrival processes.
const (
	Poisson  Arrivals = "poisson"  // exponential gaps: independent users
	Constant Arrivals = "constant" // evenly spaced
)

// LoadSpec says what is offered. Exactly one of the kinds is set.
type LoadSpec struct {
	// Arrivals is how hits are spread: poisson (default) or constant.
	Arrivals Arrivals `yaml:"arrivals,omitempty" json:"arrivals,omitempty"`
	// Seed makes arrivals and generated values reproducible; 0 draws one for each drill.
	Seed uint64 `yaml:"seed,omitempty" json:"seed,omitempty"`
	// Warmup is a step at the lowest load before the first (default 3s; 0s is
	// none; not for closed).
	Warmup Duration `yaml:"warmup" json:"warmup" rule:"optional"`

	Search   *SearchLoad   `yaml:"search,omitempty" json:"search,omitempty"`
	Constant *ConstantLoad `yaml:"constant,omitempty" json:"constant,omitempty"`
	Steps    *StepsLoad    `yaml:"steps,omitempty" json:"steps,omitempty"`
	Ramp     *RampLoad     `yaml:"ramp,omitempty" json:"ramp,omitempty"`
	Closed   *ClosedLoad   `yaml:"closed,omitempty" json:"closed,omitempty"`
}

// SearchLoad looks for the capacity between From and To.
type SearchLoad struct {
	// From is the lowest load, in requests/s (default 50, or a tenth of To if that is less).
	From float64 `yaml:"from,omitempty" json:"from,omitempty"`
	// To is the highest load, in requests/s (default safety.max_rps).
	To float64 `yaml:"to,omitempty" json:"to,omitempty"`
	// Step is how long one refinement step lasts (default 8s).
	Step Duration `yaml:"step,omitempty" json:"step,omitempty"`
	// Budget bounds the whole drill (default 110s).
	Budget Duration `yaml:"budget,omitempty" json:"budget,omitempty"`
}

// ConstantLoad offers one rate.
type ConstantLoad struct {
	// Rate is the load, in requests/s.
	Rate     float64  `yaml:"rate" json:"rate"`
	Duration Duration `yaml:"duration" json:"duration"`
}

// StepsLoad offers one rate after the other, each for Duration.
type StepsLoad struct {
	// Rates are the loads, in requests/s.
	Rates    []float64 `yaml:"rates" json:"rates"`
	Duration Duration  `yaml:"duration" json:"duration"`
}

// RampLoad goes from one rate to another in a straight line.
type RampLoad struct {
	// From is the load at the begin, in requests/s.
	From float64 `yaml:"from" json:"from"`
	// To is the load at the end, in requests/s; it may be the lower one.
	To       float64  `yaml:"to" json:"to"`
	Duration Duration `yaml:"duration" json:"duration"`
}

// ClosedLoad is Users virtual users, each with one request at a time.
type ClosedLoad struct {
	// Users is how many there are.
	Users int `yaml:"users" json:"users"`
	// Think is the pause of a user between two requests.
	Think    Duration `yaml:"think,omitempty" json:"think,omitempty"`
	Duration Duration `yaml:"duration" json:"duration"`
}

// Profiles says where the target's profiles are.
type Profiles struct {
	// Pprof is the base of net/http/pprof; "none" turns it off. By default
	// <target>/debug/pprof is tried.
	Pprof     string     `yaml:"pprof,omitempty" json:"pprof,omitempty"`
	Pyroscope *Pyroscope `yaml:"pyroscope,omitempty" json:"pyroscope,omitempty"`
}

// Pyroscope names a service on a Pyroscope server.
type Pyroscope struct {
	// URL of the server.
	URL string `yaml:"url" json:"url"`
	// Service is the value of its label service_name.
	Service string `yaml:"service" json:"service"`
}

// Resources says where the target's resource figures come from.
type Resources struct {
	// Metrics is the target's own Prometheus page; "none" turns it off. By
	// default <target>/metrics is tried.
	Metrics string `yaml:"metrics,omitempty" json:"metrics,omitempty"`
	// Prometheus is the URL of a server that scrapes the target.
	Prometheus string `yaml:"prometheus,omitempty" json:"prometheus,omitempty"`
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
