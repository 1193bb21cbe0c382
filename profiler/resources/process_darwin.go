package resources

import "golang.org/x/sys/unix"

func newProcess(cfg ProcessConfig) (Reader, error) {
	memory, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		memory = 0 // without a limit, memory is still shown
	}
	return newPS(cfg.Pid, float64(memory))
}
