package resources

import "fmt"

// ProcessConfig says which process is read.
type ProcessConfig struct {
	Pid int
	// Root is where the machine's file system is, "" for /; used on Linux only.
	Root string
}

// NewProcess returns a reader of a process on this machine: its CPU seconds
// (user and system), resident memory, threads and file descriptors (handles on
// Windows).
//
// The CPU limit is what the process can get: the CPUs that it may run on or its
// control groups' quota, whichever is less. The memory limit is its control
// groups' or the machine's memory. It fails if there is no such process.
func NewProcess(cfg ProcessConfig) (Reader, error) {
	if cfg.Pid <= 0 {
		return nil, fmt.Errorf("read process %d: a process number is above 0", cfg.Pid)
	}
	return newProcess(cfg)
}
