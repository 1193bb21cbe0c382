package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/headroom-project/headroom/loadgen/api"
)

// asRoot leaves a test out where it may not make mounts and network namespaces.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs mounts and network namespaces; run the tests as root to have it")
	}
}

// TestAFullDiskUnderTheStore: the run ends while there is still space for all that
// was seen, and says why.
func TestAFullDiskUnderTheStore(t *testing.T) {
	t.Parallel() // little load, much waiting
	asRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("no tmpfs here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	r := newRig(t, dir, 2, "--reserve", "16MiB")
	run := r.submit(200, time.Minute, "")
	r.flowing()
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 34<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	got, report := r.ended(run.ID)
	if got.State != api.StateFailed || !strings.Contains(got.Detail, "nearly full") {
		t.Errorf("%+v", got)
	}
	if sent := int(report.Totals.Sent); sent != r.received() {
		t.Errorf("the windows say %d hits were sent, the target received %d", sent, r.received())
	}
}

// netns is a worker in a network namespace of its own: one veth pair leads to the
// controller, the other to the target.
type netns struct {
	t    *testing.T
	name string
	n    int
}

func (n *netns) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// newNetns uses 10.213.<n>.0/24 for control and 10.213.<n+1>.0/24 for load.
func newNetns(t *testing.T) *netns {
	t.Helper()
	asRoot(t)
	if _, err := exec.LookPath("ip"); err != nil {
		leaveOut(t, "iproute2")
	}
	n := &netns{t: t, name: fmt.Sprintf("hr%d", os.Getpid()), n: os.Getpid()%100*2 + 10}
	if out, err := exec.Command("ip", "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n.name).Run() })
	for i, kind := range []string{"c", "l"} {
		here, there := n.name+kind, n.name+kind+"w"
		n.ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", n.name)
		t.Cleanup(func() { _ = exec.Command("ip", "link", "del", here).Run() })
		n.ip("addr", "add", n.addr(i, 1)+"/24", "dev", here)
		n.ip("link", "set", here, "up")
		n.ip("-n", n.name, "addr", "add", n.addr(i, 2)+"/24", "dev", there)
		n.ip("-n", n.name, "link", "set", there, "up")
	}
	return n
}

func (n *netns) addr(link, host int) string { return fmt.Sprintf("10.213.%d.%d", n.n+link, host) }

// TestANetworkPartition takes the veth to the controller down: for two seconds,
// which the lease outlasts, and for thirty, in which the worker is fenced and its
// share given away.
func TestANetworkPartition(t *testing.T) {
	t.Parallel() // little load, much waiting
	for _, away := range []time.Duration{2 * time.Second, 30 * time.Second} {
		t.Run(away.String(), func(t *testing.T) { partitionFor(t, away) })
	}
}

func partitionFor(t *testing.T, away time.Duration) {
	n := newNetns(t)
	var mu sync.Mutex
	from := map[string][]time.Time{} // arrivals, by the address that they came from
	l, err := net.Listen("tcp", n.addr(1, 1)+":0")
	if err != nil {
		t.Fatal(err)
	}
	target := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		from[host] = append(from[host], time.Now())
		mu.Unlock()
	})}
	go func() { _ = target.Serve(l) }()
	t.Cleanup(func() { _ = target.Close() })

	r := newRig(t, t.TempDir(), 0, "--listen-workers", n.addr(0, 1)+":0")
	join := filepath.Join(r.store, "join.json")
	allow := n.addr(1, 1)
	r.workers = append(r.workers, r.start("worker", "--join", join, "--name", "near", "--allow", allow))
	inside := &process{Cmd: exec.Command("ip", "netns", "exec", n.name, r.bin, "worker", "--join", join, "--name", "far", "--allow", allow)}
	inside.Stderr = inside
	if err := inside.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = inside.Process.Kill()
		_ = inside.Wait()
		if t.Failed() {
			t.Log(inside.said())
		}
	})
	r.until("both have joined", func() bool {
		list, err := r.client().Workers(t.Context())
		return err == nil && len(list) == 2
	})
	r.target.URL = "http://" + l.Addr().String()
	run := r.submit(200, 6*time.Second, "safety: {allow: ["+allow+"]}")
	r.until("hits arrive", func() bool { mu.Lock(); defer mu.Unlock(); return len(from[n.addr(1, 2)]) > 100 })
	n.ip("link", "set", n.name+"c", "down")
	cut := time.Now()
	<-time.After(away)
	n.ip("link", "set", n.name+"c", "up")
	got, report := r.ended(run.ID)
	mu.Lock()
	defer mu.Unlock()
	received := 0
	for _, list := range from {
		received += len(list)
	}
	if sent := int(report.Totals.Sent); sent != received || got.State != api.StateDone {
		t.Errorf("%+v: the windows say %d hits were sent, the target received %d", got, sent, received)
	}
	far := from[n.addr(1, 2)]
	lost, _ := report.Environment["workers_lost"].(int)
	if away < 3*time.Second {
		if lost > 0 {
			t.Logf("the lease was not renewed in time on this machine: %v", report.Warnings)
		}
		return
	}
	if after := far[len(far)-1].Sub(cut); after > 2900*time.Millisecond {
		t.Errorf("hits of the worker that was cut off arrived %v after the cut", after)
	}
	if lost != 1 {
		t.Errorf("the report does not tell of the loss: %v", report.Warnings)
	}
}
