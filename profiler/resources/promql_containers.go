package resources

import "strings"

// selection is a way to find the containers of a target among the control groups that
// a cAdvisor reports on. It reports on every one, so that the figures of a group are
// in those of the groups above it, too.
type selection struct {
	// containers are the matchers of their series, and by the labels that tell one
	// from another; network and interfaces are the same for their networks.
	containers, by, network, interfaces string
	// single is set where the groups may lie in each other: then one is taken, or none.
	single bool
}

// pods are the containers of Kubernetes, which labels them: neither the sum of their
// pod (container="") nor its pause ("POD", or "" as well), which has the pod's network.
var pods = selection{
	containers: `$match,container!="",container!="POD"`, by: "namespace,pod,container",
	network: `$match,pod!=""`, interfaces: "namespace,pod,interface",
}

// selections are tried in this order. Other runtimes name their containers. A group
// without a name is of something else, such as a unit of systemd.
var selections = []selection{
	pods,
	{
		containers: `$match,container="",pod="",name!=""`, by: "instance,name",
		network: `$match,container="",pod="",name!=""`, interfaces: "instance,name,interface",
	},
	{
		containers: `$match,container="",pod="",name=""`, by: "instance,id",
		network: `$match,container="",pod="",name=""`, interfaces: "instance,id,interface", single: true,
	},
}

// account says how containers use a resource.
type account struct {
	// series is the use by series, and join puts those of one container together: the
	// sum, or the max where one that was started again has two for a while. It is over
	// $window, or what is gone would count for as long as Prometheus knows it.
	series, join string
	// limit is a container's limit by series; empty if there is none.
	limit string
	// kube is the resource's name in kube-state-metrics, and machine the metric of
	// what a machine has of it; empty if there is none.
	kube, machine string
}

func (s selection) expand(query string) string {
	return strings.NewReplacer("$containers", s.containers, "$network", s.network, "$by", s.by, "$interfaces", s.interfaces).Replace(query)
}

// each is the use of each container.
func (a account) each(s selection) string { return s.expand(a.join + " (" + a.series + ")") }

// used is a query for the use of all.
func (a account) used() string {
	var list []string
	for _, s := range selections {
		q := "sum(" + a.each(s) + ")"
		if s.single {
			q += " and count(count by (" + s.by + ") (" + s.expand(a.series) + ")) == 1"
		}
		list = append(list, q)
	}
	return strings.Join(list, " or ")
}

// bound is a query for the limit of all: the sum of the containers' limits if each has
// one, since what one leaves, another without may take; else what their machines have.
func (a account) bound() string {
	var list []string
	if a.kube != "" {
		list = append(list, a.all(pods, `kube_pod_container_resource_limits{$match,resource="`+a.kube+`"}`))
	}
	for i, s := range selections {
		var of []string
		if a.limit != "" {
			of = append(of, a.all(s, a.limit))
		}
		if a.machine != "" {
			// cAdvisor dates these, and renews them every five minutes.
			of = append(of, "sum(max by (instance) (max_over_time("+a.machine+"[15m])) and on (instance) "+s.expand(a.series)+")")
		}
		q := strings.Join(of, " or ")
		if i > 0 && q != "" {
			// The limits of other groups are not those of pods without one.
			q = "((" + q + ") unless sum(" + a.each(pods) + "))"
		}
		list = append(list, q)
	}
	return strings.Join(list, " or ")
}

// all is the sum of the limits of the containers, if each has one.
func (a account) all(s selection, limit string) string {
	have := s.expand("max by ($by) ("+limit+") and ") + a.each(s)
	return "(sum(" + have + ") and count(" + have + ") == count(" + a.each(s) + "))"
}

// containerQueries are the set for containers.
func containerQueries() []Query {
	var (
		cpu = account{
			series: `rate(container_cpu_usage_seconds_total{$containers}[$window])`, join: "sum by ($by)", kube: "cpu", machine: "machine_cpu_cores",
			limit: `container_spec_cpu_quota{$containers} / container_spec_cpu_period{$containers}`,
		}
		throttled = account{series: `rate(container_cpu_cfs_throttled_seconds_total{$containers}[$window])`, join: "sum by ($by)"}
		memory    = account{
			series: `avg_over_time(container_memory_working_set_bytes{$containers}[$window])`, join: "max by ($by)", kube: "memory", machine: "machine_memory_bytes",
			limit: `container_spec_memory_limit_bytes{$containers} > 0`,
		}
		threads = account{series: `avg_over_time(container_threads{$containers}[$window])`, join: "max by ($by)", limit: `container_threads_max{$containers} > 0`}
		// The network of a pod may be reported of its sum and of its pause.
		sent     = account{series: `rate(container_network_transmit_bytes_total{$network}[$window])`, join: "max by ($interfaces)"}
		received = account{series: `rate(container_network_receive_bytes_total{$network}[$window])`, join: "max by ($interfaces)"}
	)
	return []Query{
		{Resource: "cpu", Unit: UnitCores, Used: cpu.used(), Limit: cpu.bound()},
		{Resource: "cpu.throttled", Unit: UnitCores, Used: throttled.used()},
		{Resource: "memory", Unit: UnitBytes, Used: memory.used(), Limit: memory.bound()},
		{Resource: "threads", Unit: UnitCount, Used: threads.used(), Limit: threads.bound()},
		{Resource: "network.sent", Unit: UnitBytesPerSecond, Used: sent.used()},
		{Resource: "network.received", Unit: UnitBytesPerSecond, Used: received.used()},
	}
}
