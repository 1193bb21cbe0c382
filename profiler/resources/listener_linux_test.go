package resources

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListenerFindsThisProcess(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	if pid, name, why := Listener(port); pid != os.Getpid() || name == "" {
		t.Errorf("pid %d (%s), %s; want this process %d", pid, name, why, os.Getpid())
	}
	_ = ln.Close()
	if pid, _, why := Listener(port); pid != 0 || why == "" {
		t.Errorf("pid %d, %q after the port was closed", pid, why)
	}
}

// fakeProc has processes that hold a socket which listens on port 8080.
func fakeProc(t *testing.T, names map[string]string) tree {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"+
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"+
		"   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n")
	for pid, name := range names {
		write("proc/"+pid+"/comm", name+"\n")
		dir := filepath.Join(root, "proc", pid, "fd")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("socket:[4711]", filepath.Join(dir, "5")); err != nil {
			t.Fatal(err)
		}
	}
	return tree(root)
}

func TestListenerSaysWhyItCannotTell(t *testing.T) {
	cases := []struct {
		names map[string]string
		port  int
		pid   int
		why   string
	}{
		{map[string]string{"42": "shop"}, 8080, 42, ""},
		{map[string]string{"42": "shop"}, 8081, 0, "no process"},
		{map[string]string{"42": "nginx", "43": "nginx"}, 8080, 0, "2 processes share"},
		{map[string]string{"42": "docker-proxy"}, 8080, 0, "for another"},
		{nil, 8080, 0, "another user"},
	}
	for _, c := range cases {
		pid, _, why := listener(fakeProc(t, c.names), c.port)
		if pid != c.pid || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%v, port %d: pid %d, %q; want %d, %q", c.names, c.port, pid, why, c.pid, c.why)
		}
	}
}
