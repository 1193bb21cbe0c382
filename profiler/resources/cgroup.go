package resources

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// CgroupConfig says which control group is read.
type CgroupConfig struct {
	// Root is where the machine's file system is; "" is /.
	Root string
	// Path is the group's path as /proc/<pid>/cgroup names it, such as
	// /checkout or /system.slice/checkout.service.
	Path string
}

// mounts is where cgroup file systems are, below the root.
const mounts = "sys/fs/cgroup"

// cgroup reads one control group of either version.
type cgroup struct {
	fs   tree
	path string
}

// NewCgroup returns a reader of the control group's CPU seconds, throttling
// and memory. It fails if there is no such group.
func NewCgroup(cfg CgroupConfig) (Reader, error) {
	g := &cgroup{fs: tree(cfg.Root), path: path.Join("/", cfg.Path)}
	if _, err := g.Read(context.Background()); err != nil {
		return nil, err
	}
	return g, nil
}

// Source is "cgroup".
func (g *cgroup) Source() string { return SourceCgroup }

// Read looks at the group's files. Files of version 2 are tried first, then
// those of version 1; a machine may have both (hybrid), with the controllers in
// one of them.
func (g *cgroup) Read(ctx context.Context) ([]Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read cgroup %s: %w", g.path, err)
	}
	readings, err := g.version2()
	if len(readings) == 0 {
		var errV1 error
		readings, errV1 = g.version1()
		err = errors.Join(err, errV1)
	}
	if len(readings) == 0 {
		if err == nil {
			err = errors.New("no such group, or it has neither a cpu nor a memory controller")
		}
		return nil, fmt.Errorf("read cgroup %s: %w; hint: give the path as /proc/<pid>/cgroup shows it", g.path, err)
	}
	return readings, nil
}

// version2 reads cpu.stat, memory.current and their limits. No error and no
// readings means that the group does not exist there.
func (g *cgroup) version2() ([]Reading, error) {
	dir := path.Join(mounts, g.path)
	var readings []Reading
	stat, err := g.fs.table(dir, "cpu.stat")
	if err != nil && !absent(err) {
		return nil, err
	}
	// In version 1, a group below the cpu controller's mount has a cpu.stat too,
	// without the usage.
	if usage, ok := stat["usage_usec"]; ok {
		quota := quotaV2(g.fs, g.path)
		readings = append(readings, Reading{
			Resource: "cpu", Value: usage / 1e6, Counter: true,
			Limit: least(quota, cpusetV2(g.fs, g.path)), Unit: UnitCores,
		})
		if throttled, ok := stat["throttled_usec"]; ok && quota > 0 {
			readings = append(readings, throttledReading(throttled/1e6))
		}
	}
	current, err := g.fs.number(dir, "memory.current")
	if err != nil {
		if absent(err) {
			err = nil
		}
		return readings, err
	}
	stats, _ := g.fs.table(dir, "memory.stat")
	readings = append(readings, memoryReading(current, stats["inactive_file"],
		least(limitUpwards(g.fs, mounts, g.path, "memory.max"), g.fs.totalMemory())))
	return readings, nil
}

// version1 reads cpuacct.usage, memory.usage_in_bytes and their limits.
func (g *cgroup) version1() ([]Reading, error) {
	var readings []Reading
	usage, err := g.fs.number(mounts, "cpuacct", g.path, "cpuacct.usage")
	switch {
	case err == nil:
		quota := quotaV1(g.fs, g.path)
		readings = append(readings, Reading{
			Resource: "cpu", Value: usage / 1e9, Counter: true,
			Limit: least(quota, cpusetV1(g.fs, g.path)), Unit: UnitCores,
		})
		stat, _ := g.fs.table(mounts, "cpu", g.path, "cpu.stat")
		if throttled, ok := stat["throttled_time"]; ok && quota > 0 {
			readings = append(readings, throttledReading(throttled/1e9))
		}
	case !absent(err):
		return nil, err
	}
	used, err := g.fs.number(mounts, "memory", g.path, "memory.usage_in_bytes")
	if err != nil {
		if absent(err) {
			err = nil
		}
		return readings, err
	}
	stats, _ := g.fs.table(mounts, "memory", g.path, "memory.stat")
	limit := limitUpwards(g.fs, path.Join(mounts, "memory"), g.path, "memory.limit_in_bytes")
	readings = append(readings, memoryReading(used, stats["total_inactive_file"], least(limit, g.fs.totalMemory())))
	return readings, nil
}

// throttledReading is the time that runnable threads were held back by the
// quota, summed over CPUs: as a rate, the cores that were asked for in vain.
func throttledReading(seconds float64) Reading {
	return Reading{Resource: "cpu.throttled", Value: seconds, Counter: true, Unit: UnitCores}
}

// memoryReading leaves out the page cache that the kernel would give back
// first, as the kubelet's working set does: a limit is not in danger from it.
func memoryReading(used, inactiveFile, limit float64) Reading {
	return Reading{Resource: "memory", Value: max(used-inactiveFile, 0), Limit: limit, Unit: UnitBytes}
}

// quotaV2 is the smallest CPU quota, in cores, of a group and those above it,
// which all hold; 0 if there is none.
func quotaV2(fs tree, group string) float64 {
	quota := 0.0
	for dir := range upwards(group) {
		text, err := fs.read(mounts, dir, "cpu.max")
		if err != nil {
			continue
		}
		quota = least(quota, coresOf(text))
	}
	return quota
}

// coresOf reads cpu.max: "<quota> <period>", both in microseconds, quota max
// for none.
func coresOf(text string) float64 {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return 0
	}
	quota, errQ := strconv.ParseFloat(fields[0], 64)
	period, errP := strconv.ParseFloat(fields[1], 64)
	if errQ != nil || errP != nil || period <= 0 {
		return 0
	}
	return ratio(quota, period)
}

// quotaV1 is quotaV2 for cpu.cfs_quota_us and cpu.cfs_period_us.
func quotaV1(fs tree, group string) float64 {
	quota := 0.0
	for dir := range upwards(group) {
		q, errQ := fs.number(mounts, "cpu", dir, "cpu.cfs_quota_us")
		p, errP := fs.number(mounts, "cpu", dir, "cpu.cfs_period_us")
		if errQ != nil || errP != nil || p <= 0 {
			continue
		}
		quota = least(quota, ratio(q, p))
	}
	return quota
}

// ratio is a/b if that is a possible number of cores, else 0.
func ratio(a, b float64) float64 {
	if r := a / b; sane(r) {
		return finite(r)
	}
	return 0
}

// cpusetV2 is how many CPUs the group may run on, or how many there are; 0 if
// neither is known.
func cpusetV2(fs tree, group string) float64 {
	if list, err := fs.read(mounts, group, "cpuset.cpus.effective"); err == nil && list != "" {
		return float64(cpuList(list))
	}
	return float64(len(fs.onlineCPUs()))
}

func cpusetV1(fs tree, group string) float64 {
	for _, file := range []string{"cpuset.effective_cpus", "cpuset.cpus"} {
		if list, err := fs.read(mounts, "cpuset", group, file); err == nil && list != "" {
			return float64(cpuList(list))
		}
	}
	return float64(len(fs.onlineCPUs()))
}

// limitUpwards is the smallest number in file over a group and those above it;
// 0 if there is none.
func limitUpwards(fs tree, mount, group, file string) float64 {
	limit := 0.0
	for dir := range upwards(group) {
		if v, err := fs.number(mount, dir, file); err == nil {
			limit = least(limit, v)
		}
	}
	return limit
}

// upwards yields a group's path and those of the groups above it, / last.
func upwards(group string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for dir := path.Join("/", group); ; dir = path.Dir(dir) {
			if !yield(dir) || dir == "/" {
				return
			}
		}
	}
}
