//go:build !linux

package attack

import (
	"context"
	"errors"
)

// loops says that this system has the loop engine.
const loops = false

func (a *Attack) loop(context.Context) error {
	return errors.New("attack: this system has no loop engine")
}
