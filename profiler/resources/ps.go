package resources

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// psProcess reads one process with ps(1), which every Unix has: it costs a few
// milliseconds a look, and needs neither cgo nor the system's private calls.
type psProcess struct {
	pid int
	// memory is the machine's memory in bytes, 0 if unknown.
	memory float64
}

func newPS(pid int, memory float64) (Reader, error) {
	p := &psProcess{pid: pid, memory: memory}
	if _, err := p.Read(context.Background()); err != nil {
		return nil, err
	}
	return p, nil
}

// Source is "process".
func (p *psProcess) Source() string { return SourceProcess }

// Read gives cpu and memory.
func (p *psProcess) Read(ctx context.Context) ([]Reading, error) {
	out, err := exec.CommandContext(ctx, "ps", "-o", "rss=,time=", "-p", strconv.Itoa(p.pid)).Output()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("read process %d: ps: %w; hint: is it still running?", p.pid, err)
	}
	rss, cpu, err := parsePS(string(out))
	if err != nil {
		return nil, fmt.Errorf("read process %d: %w", p.pid, err)
	}
	return []Reading{
		{Resource: "cpu", Value: cpu, Counter: true, Limit: float64(runtime.NumCPU()), Unit: UnitCores},
		{Resource: "memory", Value: rss, Limit: p.memory, Unit: UnitBytes},
	}, nil
}

// parsePS reads one line "rss time": resident memory in KiB (returned in
// bytes), and CPU time as [[days-]hours:]minutes:seconds[.hundredths]
// (returned in seconds).
func parsePS(out string) (rss, cpu float64, err error) {
	fields := strings.Fields(out)
	if len(fields) != 2 {
		return 0, 0, fmt.Errorf("ps: unexpected output %q", clip(out))
	}
	kib, err := strconv.ParseUint(fields[0], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("ps: resident memory is %q", clip(fields[0]))
	}
	text, days := fields[1], uint64(0)
	if d, rest, found := strings.Cut(text, "-"); found {
		if days, err = strconv.ParseUint(d, 10, 32); err != nil {
			return 0, 0, fmt.Errorf("ps: CPU time is %q", clip(fields[1]))
		}
		text = rest
	}
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, 0, fmt.Errorf("ps: CPU time is %q", clip(fields[1]))
	}
	for _, part := range parts {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil || !sane(v) {
			return 0, 0, fmt.Errorf("ps: CPU time is %q", clip(fields[1]))
		}
		cpu = cpu*60 + v
	}
	return float64(kib) * 1024, float64(days)*86400 + cpu, nil
}
