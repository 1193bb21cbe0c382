package loadgen

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/observation"
)

const (
	// busyShare is the share of the generator's own CPU that counts as saturated.
	busyShare = 0.9
	// engineShare is the share of the time that an engine may be at work: it is a
	// single thread, and beyond that what waits for it is late.
	engineShare = 0.95
	// givenShare is the share of the time at work for which a thread that is not
	// disturbed has a core.
	givenShare = 0.8
	// waitedShare is the share of hits that may wait for a connection.
	waitedShare = 0.01
)

// GeneratorCPU is the resource under which the generator reports its own CPU.
const GeneratorCPU = "generator.cpu"

// lacking says which connections could not be opened for want of something on
// this machine, and what to do.
func lacking(p *observation.Point) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.Lacked)) {
		text := map[string]string{
			observation.LackFiles: "out of file descriptors; raise the limit (ulimit -n, LimitNOFILE=), or bound the connections with target.connections",
			observation.LackPorts: "out of ephemeral ports; have the target keep connections alive, bound them with target.connections, widen net.ipv4.ip_local_port_range, or spread the load over more workers",
		}[name]
		out = append(out, fmt.Sprintf("%d hits found no connection because the generator ran %s", p.Lacked[name], text))
	}
	return out
}

// saturated says whether the generator's own CPU was used up, and what to do.
func saturated(p *observation.Point) (why string, is bool) {
	if p.Busy > engineShare {
		if p.Given < givenShare*p.Busy {
			return fmt.Sprintf("other processes took the generator's core: its thread%s was ready to run %.0f%% of the time and ran %.0f%%; give it a core of its own (taskset, a CPU limit for the others)", of(p), 100*p.Busy, 100*p.Given), true
		}
		return fmt.Sprintf("the generator's thread%s was at work %.0f%% of the time, and one is all it has; spread the load over more workers (headroom calibrate shows what one can do)", of(p), 100*p.Busy), true
	}
	if u, ok := p.Resources[GeneratorCPU]; ok && u.Limit > 0 && u.Used > busyShare*u.Limit {
		return fmt.Sprintf("the generator used %.2f of %.2f cores; give it more, or spread the load over more workers", u.Used, u.Limit), true
	}
	return "", false
}

// of names the busiest of several workers.
func of(p *observation.Point) string {
	if p.Workers < 2 {
		return ""
	}
	return " on worker " + p.Busiest
}

// late names the workers that sent later than limit, in ms, unless most did.
func late(p *observation.Point, limit float64) string {
	var names []string
	for _, w := range p.Latest {
		if w.Millis > limit {
			names = append(names, w.Worker)
		}
	}
	if n := len(names); n == 0 || n == observation.MaxLags || 2*n > p.Workers {
		return ""
	}
	return fmt.Sprintf(", only because of %s (of %d workers)", strings.Join(names, ", "), p.Workers)
}

// lagCause names what made hits late, and what to do about it.
func lagCause(p *observation.Point) string {
	if float64(p.Waited) > waitedShare*float64(p.OK+p.Failed) {
		return fmt.Sprintf("all connections were busy when %d hits came due; raise target.connections (without it there are %d), or read the response times as those of a client with this pool", p.Waited, attack.MaxConnections)
	}
	if why, is := saturated(p); is {
		return why
	}
	return "the generator was not run in time, other processes may be using its cores; give it a core of its own"
}
