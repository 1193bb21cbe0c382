//go:build !unix && !windows

package resources

import (
	"errors"
	"fmt"
)

func newProcess(cfg ProcessConfig) (Reader, error) {
	return nil, fmt.Errorf("read process %d: %w; hint: give the target's metrics page instead", cfg.Pid, errors.ErrUnsupported)
}
