package resources

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
)

// ticks is the unit of CPU time in /proc/<pid>/stat, per second: USER_HZ, which
// is 100 in the interface of every architecture that Go's linux ports support.
const ticks = 100

// procfs reads one process from Linux's /proc.
type procfs struct {
	fs  tree
	pid int
	// born is the process's start time in ticks: a pid that was given away to a
	// new process is noticed by it.
	born uint64
}

// newProcfs returns a reader of the process; it fails if there is no such process.
func newProcfs(cfg ProcessConfig) (Reader, error) {
	p := &procfs{fs: tree(cfg.Root), pid: cfg.Pid}
	st, err := p.stat()
	if err != nil {
		return nil, p.failed(err)
	}
	p.born = st.born
	return p, nil
}

// Source is "process".
func (p *procfs) Source() string { return SourceProcess }

// Read gives cpu, memory and threads, and fds where this user may see them.
func (p *procfs) Read(ctx context.Context) ([]Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, p.failed(err)
	}
	st, err := p.stat()
	if err != nil {
		return nil, p.failed(err)
	}
	if st.born != p.born {
		return nil, p.failed(errors.New("it has ended, and its number was given to another process"))
	}
	group := p.groups()
	readings := []Reading{
		{Resource: "cpu", Value: st.cpu, Counter: true, Limit: least(p.affinity(), p.gomaxprocs(), group.quota()), Unit: UnitCores},
		{Resource: "memory", Value: st.rss, Limit: least(group.memory(), p.fs.totalMemory()), Unit: UnitBytes},
		{Resource: "threads", Value: st.threads, Unit: UnitCount},
	}
	if open, err := p.openFiles(); err == nil {
		readings = append(readings, Reading{Resource: "fds", Value: open, Limit: p.maxFiles(), Unit: UnitCount})
	}
	return readings, nil
}

func (p *procfs) failed(err error) error {
	if absent(err) {
		err = errors.New("there is no such process")
	}
	return fmt.Errorf("read process %d: %w", p.pid, err)
}

func (p *procfs) dir() string { return path.Join("proc", strconv.Itoa(p.pid)) }

// procStat is what is used of /proc/<pid>/stat.
type procStat struct {
	cpu     float64 // user and system time of all threads, s
	threads float64
	rss     float64 // bytes
	born    uint64
}

func (p *procfs) stat() (procStat, error) {
	text, err := p.fs.read(p.dir(), "stat")
	if err != nil {
		return procStat{}, err
	}
	return parseStat(text, os.Getpagesize())
}

// parseStat reads /proc/<pid>/stat as proc(5) has it. The second field is the
// command in parentheses and may itself hold spaces and parentheses, so fields
// are counted from the last closing one.
func parseStat(text string, pageSize int) (procStat, error) {
	const utime, stime, numThreads, startTime, rss = 14, 15, 20, 22, 24
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= rss-3 || !strings.Contains(text, ")") {
		return procStat{}, fmt.Errorf("stat: unexpected content %q", clip(text))
	}
	var bad error
	field := func(n int) uint64 {
		v, err := strconv.ParseUint(fields[n-3], 10, 64)
		if err != nil {
			bad = fmt.Errorf("stat: field %d is %q", n, clip(fields[n-3]))
		}
		return v
	}
	st := procStat{
		cpu:     (float64(field(utime)) + float64(field(stime))) / ticks,
		threads: float64(field(numThreads)),
		rss:     float64(field(rss)) * float64(pageSize),
		born:    field(startTime),
	}
	return st, bad
}

// gomaxprocs is what a Go program was told to use at its start; 0 if it was not,
// or if its environment is not to be seen. Programs in other languages ignore the
// variable, and nobody sets it for them.
func (p *procfs) gomaxprocs() float64 {
	text, err := p.fs.read(p.dir(), "environ")
	if err != nil {
		return 0
	}
	for variable := range strings.SplitSeq(text, "\x00") {
		if v, found := strings.CutPrefix(variable, "GOMAXPROCS="); found {
			n, err := strconv.Atoi(v)
			if err == nil && n > 0 {
				return float64(n)
			}
		}
	}
	return 0
}

// affinity is how many of the running CPUs the process may run on; 0 if unknown.
// It is the first thread's, which a process pinned as a whole shares.
func (p *procfs) affinity() float64 {
	text, err := p.fs.read(p.dir(), "status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(text) {
		list, found := strings.CutPrefix(line, "Cpus_allowed_list:")
		if !found {
			continue
		}
		allowed, online := cpuSet(list), p.fs.onlineCPUs()
		n := 0
		for cpu := range allowed {
			// The mask may name CPUs that the machine could have but has not.
			if online == nil || online[cpu] {
				n++
			}
		}
		return float64(n)
	}
	return 0
}

// openFiles counts the process's file descriptors; only its owner may.
func (p *procfs) openFiles() (float64, error) {
	f, err := os.Open(p.fs.path(p.dir(), "fd"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	return float64(len(names)), err
}

// maxFiles is the soft limit on file descriptors; 0 if there is none.
func (p *procfs) maxFiles() float64 {
	text, err := p.fs.read(p.dir(), "limits")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, "Max open files")
		if fields := strings.Fields(rest); found && len(fields) > 0 {
			v, err := strconv.ParseFloat(fields[0], 64)
			if err != nil || !sane(v) {
				return 0
			}
			return finite(v)
		}
	}
	return 0
}

// membership is a process's place in the control groups.
type membership struct {
	fs tree
	// unified is its path in version 2; v1 its paths by controller of version 1.
	unified string
	v1      map[string]string
}

// groups reads /proc/<pid>/cgroup: lines "id:controllers:path", with id 0 and
// no controllers for version 2.
func (p *procfs) groups() membership {
	m := membership{fs: p.fs, v1: map[string]string{}}
	text, err := p.fs.read(p.dir(), "cgroup")
	if err != nil {
		return m
	}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if parts[1] == "" {
			m.unified = parts[2]
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			m.v1[controller] = parts[2]
		}
	}
	return m
}

// Seen from inside a container, the path may be the host's, and the group be
// mounted as the root itself. Limits are looked for upwards, so a path that is
// not there leads to the root, which is then the right group.

// quota is the CPU quota over the process in cores, 0 if there is none.
func (m membership) quota() float64 {
	if group, ok := m.v1["cpu"]; ok {
		return quotaV1(m.fs, group)
	}
	if m.unified == "" {
		return 0
	}
	return quotaV2(m.fs, m.unified)
}

// memory is the memory limit over the process in bytes, 0 if there is none.
func (m membership) memory() float64 {
	if group, ok := m.v1["memory"]; ok {
		return limitUpwards(m.fs, path.Join(mounts, "memory"), group, "memory.limit_in_bytes")
	}
	if m.unified == "" {
		return 0
	}
	return limitUpwards(m.fs, mounts, m.unified, "memory.max")
}
