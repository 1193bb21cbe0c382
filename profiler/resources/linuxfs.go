package resources

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tree is a Linux file system as the readers see it: / of the machine, or the
// place where a host's is mounted, or a test's folder.
type tree string

// maxFile bounds what is read of one file under /proc or /sys, in bytes. A
// cgroup's memory.stat is the largest of those read here, at a few kB.
const maxFile = 1 << 20

// read returns a small file's content, without surrounding space.
func (t tree) read(elem ...string) (string, error) {
	f, err := os.Open(t.path(elem...))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(b)), nil
}

// path joins elem below the root; no .. in them leads out of it.
func (t tree) path(elem ...string) string {
	root := string(t)
	if root == "" {
		root = "/"
	}
	return filepath.Join(root, filepath.Join("/", filepath.Join(elem...)))
}

// number reads a file that holds one number. The word max, and -1, mean that
// there is no limit and give 0, as does a number too large to be one.
func (t tree) number(elem ...string) (float64, error) {
	text, err := t.read(elem...)
	if err != nil {
		return 0, err
	}
	if text == "max" || text == "-1" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%s: %q is not a number", t.path(elem...), clip(text))
	}
	return finite(v), nil
}

// unlimited is where kernels and runtimes write "no limit" as a number: 2^63
// less a page for a version 1 cgroup, 2^64 for a resource limit. Nothing that
// is measured here comes near 2^60.
const unlimited = 1 << 60

// finite turns a number that stands for "no limit" into 0.
func finite(v float64) float64 {
	if v >= unlimited {
		return 0
	}
	return v
}

// table reads a file of lines "key value" (cpu.stat, memory.stat) or
// "key: value kB" (meminfo). Lines of any other form are passed over.
func (t tree) table(elem ...string) (map[string]float64, error) {
	text, err := t.read(elem...)
	if err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		v, err := strconv.ParseFloat(fields[1], 64)
		if err != nil || v < 0 {
			continue
		}
		if len(fields) == 3 && fields[2] == "kB" {
			v *= 1024
		}
		values[strings.TrimSuffix(fields[0], ":")] = v
	}
	return values, nil
}

// cpuList counts the CPUs of a list such as "0-3,8"; 0 if it is not one.
func cpuList(list string) int {
	return len(cpuSet(list))
}

// maxCPUs bounds a CPU list; the kernel's own bound (NR_CPUS) is 8192.
const maxCPUs = 8192

// cpuSet returns the CPUs of a list such as "0-3,8"; nil if it is not one.
func cpuSet(list string) map[int]bool {
	set := map[int]bool{}
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || a < 0 || b < a || b >= maxCPUs {
			return nil
		}
		for cpu := a; cpu <= b; cpu++ {
			set[cpu] = true
		}
	}
	return set
}

// onlineCPUs returns the CPUs that run, nil if unknown.
func (t tree) onlineCPUs() map[int]bool {
	list, err := t.read("sys/devices/system/cpu/online")
	if err != nil {
		return nil
	}
	return cpuSet(list)
}

// totalMemory is the machine's memory in bytes, 0 if unknown.
func (t tree) totalMemory() float64 {
	info, err := t.table("proc/meminfo")
	if err != nil {
		return 0
	}
	return info["MemTotal"]
}

// absent reports whether a file is not there, as opposed to unreadable.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// clip shortens a text for an error message.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

// least returns the smallest of those that are above 0; 0 if none is.
func least(limits ...float64) float64 {
	smallest := 0.0
	for _, l := range limits {
		if l > 0 && (smallest == 0 || l < smallest) {
			smallest = l
		}
	}
	return smallest
}
