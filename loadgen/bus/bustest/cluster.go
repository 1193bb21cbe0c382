package bustest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/bus"
	"github.com/headroom-project/headroom/loadgen/engine"
	"github.com/headroom-project/headroom/loadgen/responder"
)

// nodeVariable holds the configuration of a process that is to be a NATS server.
const nodeVariable = "HEADROOM_TEST_NATS_NODE"

// responderVariable says that a process is to be a target that answers at once.
const responderVariable = "HEADROOM_TEST_RESPONDER"

// Responder starts a target that answers at once, in a process of its own.
func Responder(t testing.TB) (url string) {
	t.Helper()
	url, stop, err := responder.Spawn(context.Background(), os.Args[0], nil, []string{responderVariable + "=1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return url
}

// node is what such a process needs.
type node struct {
	Name, Dir, Listen, Cluster string
	Routes                     []string
	Token, Operator            string
}

// Main runs the tests of a package, or, in a process that a test started, a NATS
// server or a target until it is killed.
func Main(m *testing.M) {
	if text := os.Getenv(nodeVariable); text != "" {
		var n node
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			panic(err)
		}
		serve(n)
	}
	if os.Getenv(responderVariable) != "" {
		if err := responder.Serve(os.Stdin, os.Stdout, responder.Config{}); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

func serve(n node) {
	_, err := engine.Start(engine.Config{
		Name: n.Name, Dir: n.Dir, Listen: n.Listen, Token: n.Token, Operator: n.Operator, Permit: bus.Permissions,
		Cluster: &engine.Cluster{Name: "test", Listen: n.Cluster, Routes: n.Routes},
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	// The parent's end ends this process too: its pipe closes.
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	os.Exit(0)
}

// Cluster is three NATS servers in processes of their own.
type Cluster struct {
	*Net
	nodes []*exec.Cmd
	// Clients are the addresses that workers dial, one for each server.
	Clients []string
}

// NewCluster starts three servers, and a hub that is connected to all of them.
// Streams have three replicas.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	token, operator := engine.NewToken(), engine.NewToken()
	ports := freePorts(t, 6)
	clients, routes := ports[:3], ports[3:]
	for i := range 3 {
		n := node{Name: fmt.Sprintf("n%d", i), Dir: t.TempDir(), Listen: clients[i], Cluster: routes[i], Routes: routes, Token: token, Operator: operator}
		c.nodes = append(c.nodes, start(t, n))
		c.Clients = append(c.Clients, "nats://"+clients[i])
	}
	all := strings.Join(c.Clients, ",")
	nc, err := engine.Connect(engine.Dial{URL: all, Token: operator, Name: "controller"})
	if err != nil {
		t.Fatal(err)
	}
	c.Net = newNet(t, nc, all, token, 3, nil)
	return c
}

// start runs a server in a process of its own.
func start(t testing.TB, n node) *exec.Cmd {
	t.Helper()
	cfg, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), nodeVariable+"="+string(cfg))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("nats server %s: %q %v", n.Name, line, err)
	}
	return cmd
}

// Kill ends one server as a power cut would.
func (c *Cluster) Kill(i int) {
	c.T.Helper()
	if err := c.nodes[i].Process.Kill(); err != nil {
		c.T.Fatal(err)
	}
}

// Leader is the number of the server that leads the stream of windows.
func (c *Cluster) Leader() int {
	c.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s, err := c.JS.Stream(ctx, "HEADROOM_WINDOWS")
	if err != nil {
		c.T.Fatal(err)
	}
	var i int
	if _, err := fmt.Sscanf(s.CachedInfo().Cluster.Leader, "n%d", &i); err != nil {
		c.T.Fatalf("leader %q: %v", s.CachedInfo().Cluster.Leader, err)
	}
	return i
}

// freePorts returns addresses that nobody listens on.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out
}
