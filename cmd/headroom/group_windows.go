package main

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps an interrupt typed at the terminal from reaching cmd.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
