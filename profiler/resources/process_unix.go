//go:build unix && !linux && !darwin

package resources

func newProcess(cfg ProcessConfig) (Reader, error) { return newPS(cfg.Pid, 0) }
