package resources

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
)

// winProcess reads one process through kernel32.
type winProcess struct {
	pid uint32
	// born is the process's creation time: a pid that was given away to a new
	// process is noticed by it.
	born   windows.Filetime
	calls  winCalls
	memory float64 // the machine's, bytes; 0 if unknown
}

// winCalls are functions of kernel32 that golang.org/x/sys does not wrap.
type winCalls struct {
	memoryInfo, handleCount, globalMemory *windows.LazyProc
}

func newProcess(cfg ProcessConfig) (Reader, error) {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	p := &winProcess{pid: uint32(cfg.Pid), calls: winCalls{
		memoryInfo:   kernel.NewProc("K32GetProcessMemoryInfo"),
		handleCount:  kernel.NewProc("GetProcessHandleCount"),
		globalMemory: kernel.NewProc("GlobalMemoryStatusEx"),
	}}
	handle, err := p.open()
	if err != nil {
		return nil, p.failed(err)
	}
	defer windows.CloseHandle(handle)
	if p.born, _, err = times(handle); err != nil {
		return nil, p.failed(err)
	}
	p.memory = p.calls.totalMemory()
	return p, nil
}

// Source is "process".
func (p *winProcess) Source() string { return SourceProcess }

// Read gives cpu and, where they can be had, memory and handles (as fds).
func (p *winProcess) Read(ctx context.Context) ([]Reading, error) {
	if err := ctx.Err(); err != nil {
		return nil, p.failed(err)
	}
	handle, err := p.open()
	if err != nil {
		return nil, p.failed(err)
	}
	defer windows.CloseHandle(handle)
	born, cpu, err := times(handle)
	if err != nil {
		return nil, p.failed(err)
	}
	if born != p.born {
		return nil, p.failed(errors.New("it has ended, and its number was given to another process"))
	}
	readings := []Reading{
		{Resource: "cpu", Value: cpu, Counter: true, Limit: float64(runtime.NumCPU()), Unit: UnitCores},
	}
	if used, ok := p.calls.workingSet(handle); ok {
		readings = append(readings, Reading{Resource: "memory", Value: used, Limit: p.memory, Unit: UnitBytes})
	}
	if n, ok := p.calls.handles(handle); ok {
		readings = append(readings, Reading{Resource: "fds", Value: n, Unit: UnitCount})
	}
	return readings, nil
}

func (p *winProcess) failed(err error) error {
	return fmt.Errorf("read process %d: %w; hint: is it still running?", p.pid, err)
}

func (p *winProcess) open() (windows.Handle, error) {
	return windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, p.pid)
}

// times gives the creation time, and kernel and user time together in seconds.
func times(handle windows.Handle) (born windows.Filetime, cpu float64, err error) {
	var exit, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(handle, &born, &exit, &kernel, &user); err != nil {
		return born, 0, err
	}
	return born, seconds(kernel) + seconds(user), nil
}

// seconds of a duration kept as a Filetime, in units of 100 ns. Its method
// Nanoseconds is for dates: it shifts to 1970.
func seconds(t windows.Filetime) float64 {
	return float64(uint64(t.HighDateTime)<<32|uint64(t.LowDateTime)) / 1e7
}

// memoryCounters is PROCESS_MEMORY_COUNTERS of psapi.h.
type memoryCounters struct {
	size                       uint32
	pageFaults                 uint32
	peakWorkingSet, workingSet uintptr
	quotaPeakPaged, quotaPaged uintptr
	quotaPeakNonPaged          uintptr
	quotaNonPaged              uintptr
	pagefile, peakPagefile     uintptr
}

// workingSet is the process's resident memory in bytes.
func (c winCalls) workingSet(handle windows.Handle) (float64, bool) {
	var m memoryCounters
	m.size = uint32(unsafe.Sizeof(m))
	if c.memoryInfo.Find() != nil {
		return 0, false
	}
	ok, _, _ := c.memoryInfo.Call(uintptr(handle), uintptr(unsafe.Pointer(&m)), uintptr(m.size))
	return float64(m.workingSet), ok != 0
}

// handles is the number of handles that the process has open.
func (c winCalls) handles(handle windows.Handle) (float64, bool) {
	var n uint32
	if c.handleCount.Find() != nil {
		return 0, false
	}
	ok, _, _ := c.handleCount.Call(uintptr(handle), uintptr(unsafe.Pointer(&n)))
	return float64(n), ok != 0
}

// memoryStatus is MEMORYSTATUSEX of sysinfoapi.h.
type memoryStatus struct {
	size, load           uint32
	totalPhys, availPhys uint64
	_                    [5]uint64
}

// totalMemory is the machine's memory in bytes, 0 if unknown.
func (c winCalls) totalMemory() float64 {
	var m memoryStatus
	m.size = uint32(unsafe.Sizeof(m))
	if c.globalMemory.Find() != nil {
		return 0
	}
	if ok, _, _ := c.globalMemory.Call(uintptr(unsafe.Pointer(&m))); ok == 0 {
		return 0
	}
	return float64(m.totalPhys)
}
