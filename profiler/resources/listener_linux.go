package resources

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// forwarders listen on behalf of others: what they use says nothing of those.
var forwarders = []string{"docker-proxy", "rootlesskit", "slirp4netns", "conmon", "sshd", "ssh", "kubectl", "systemd"}

// Listener returns the process on this machine that listens on a TCP port. It
// returns false if there is none, if it cannot be seen, if several share the
// socket, or if it is known to forward to others; why then says so.
func Listener(port int) (pid int, name, why string) {
	return listener("", port)
}

func listener(root tree, port int) (pid int, name, why string) {
	inodes := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := root.read("proc", "net", table)
		if err != nil {
			continue
		}
		for _, inode := range listening(text, port) {
			inodes[inode] = true
		}
	}
	if len(inodes) == 0 {
		return 0, "", fmt.Sprintf("no process of this machine is seen to listen on port %d", port)
	}
	pids := holders(root, inodes)
	switch len(pids) {
	case 0:
		return 0, "", fmt.Sprintf("the process that listens on port %d belongs to another user", port)
	case 1:
	default:
		return 0, "", fmt.Sprintf("%d processes share port %d", len(pids), port)
	}
	name, err := root.read("proc", strconv.Itoa(pids[0]), "comm")
	if err != nil || slices.Contains(forwarders, name) {
		return 0, "", fmt.Sprintf("process %d (%s) listens on port %d for another", pids[0], name, port)
	}
	return pids[0], name, ""
}

// listening returns the inodes of the listening sockets of a port in a table as
// of /proc/net/tcp: "sl local_address rem_address st ... inode".
func listening(table string, port int) []string {
	const listen = "0A"
	var inodes []string
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], suffix) && f[3] == listen {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

// holders returns the processes that have one of the sockets open.
func holders(root tree, inodes map[string]bool) []int {
	entries, err := os.ReadDir(root.path("proc"))
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := root.path("proc", e.Name(), "fd")
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(fds, func(fd os.DirEntry) bool {
			link, err := os.Readlink(filepath.Join(dir, fd.Name()))
			inode, ok := strings.CutPrefix(link, "socket:[")
			return err == nil && ok && inodes[strings.TrimSuffix(inode, "]")]
		}) {
			pids = append(pids, pid)
		}
	}
	return pids
}
