package resources

// Units of resources that only queries have.
const (
	UnitBytesPerSecond = "bytes/s"
	UnitRatio          = "ratio"
)

// card selects the network devices of the machine itself: virtual ones repeat their
// traffic, and some claim a speed that no cable has.
const card = `$match,device!~"lo|veth.*|docker.*|br-.*|virbr.*|cni.*|cali.*|flannel.*|tun.*|tap.*|ifb.*|dummy.*|kube-.*|nodelocaldns"`

// sets are the ready-made queries, by what exports their metrics. Where several
// series match, the target is all of them.
var sets = map[string][]Query{
	// The process collector of Prometheus client libraries.
	"process": {
		{Resource: "cpu", Unit: UnitCores, Used: `sum(rate(process_cpu_seconds_total{$match}[$window]))`, Limit: `sum(go_sched_gomaxprocs_threads{$match})`},
		{Resource: "memory", Unit: UnitBytes, Used: `sum(process_resident_memory_bytes{$match})`},
		{Resource: "fds", Unit: UnitCount, Used: `sum(process_open_fds{$match})`, Limit: `sum(process_max_fds{$match})`},
	},
	// The Go collector of client_golang.
	"go": {
		{Resource: "goroutines", Unit: UnitCount, Used: `sum(go_goroutines{$match})`},
		{Resource: "threads", Unit: UnitCount, Used: `sum(go_threads{$match})`},
		{Resource: "go.memory", Unit: UnitBytes, Used: `sum(go_memstats_sys_bytes{$match}) - sum(go_memstats_heap_idle_bytes{$match})`, Limit: `sum(go_gc_gomemlimit_bytes{$match})`},
	},
	// The node exporter.
	"node": {
		{Resource: "node.cpu", Unit: UnitCores, Used: `sum(rate(node_cpu_seconds_total{$match,mode!~"idle|iowait|steal"}[$window]))`, Limit: `count(node_cpu_seconds_total{$match,mode="idle"})`},
		{Resource: "node.memory", Unit: UnitBytes, Used: `sum(node_memory_MemTotal_bytes{$match} - node_memory_MemAvailable_bytes{$match})`, Limit: `sum(node_memory_MemTotal_bytes{$match})`},
		{Resource: "node.disk", Unit: UnitRatio, Used: `max(rate(node_disk_io_time_seconds_total{$match}[$window]))`, Limit: "1"},
		{Resource: "node.network.sent", Unit: UnitBytesPerSecond, Used: `max(rate(node_network_transmit_bytes_total{` + card + `}[$window]))`, Limit: `max(node_network_speed_bytes{` + card + `} > 0)`},
		{Resource: "node.network.received", Unit: UnitBytesPerSecond, Used: `max(rate(node_network_receive_bytes_total{` + card + `}[$window]))`, Limit: `max(node_network_speed_bytes{` + card + `} > 0)`},
		{Resource: "node.conntrack", Unit: UnitCount, Used: `sum(node_nf_conntrack_entries{$match})`, Limit: `sum(node_nf_conntrack_entries_limit{$match})`},
		{Resource: "node.fds", Unit: UnitCount, Used: `sum(node_filefd_allocated{$match})`, Limit: `sum(node_filefd_maximum{$match})`},
	},
	// cAdvisor, alone or in the kubelet; limits also of kube-state-metrics.
	"container": containerQueries(),
}

// Set returns the ready-made queries of a name: process, go, node, container; nil
// if there are none.
func Set(name string) []Query { return sets[name] }
