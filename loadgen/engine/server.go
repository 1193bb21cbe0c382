package engine

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Config is what an embedded server needs.
type Config struct {
	// Name names the server; empty draws one.
	Name string
	// Dir is where streams are stored. If it is empty, a temporary folder is used
	// and removed by Close.
	Dir string
	// InMemory says that all streams will be kept in memory. The server wants a folder
	// none the less: it is made in the system's place for temporary ones or, if that
	// cannot be written, in Dir, and is removed before Start returns.
	InMemory bool
	// Listen is the host:port that workers dial; port 0 takes a free one. If it is
	// empty, no port is opened, and only Connect reaches the server.
	Listen string
	// Certificate turns TLS on; nil leaves it off.
	Certificate *tls.Certificate
	// Token is what a worker must show. It is needed with Listen.
	Token string
	// Operator is the token of a connection over the network that may do
	// everything, as a controller that is no part of this process; empty for none.
	Operator string
	// Permit says what the worker with this id may do. It is needed with Listen.
	Permit func(id string) Permissions
	// Cluster joins the server to others; nil for a server on its own.
	Cluster *Cluster
	// Log takes the server's warnings and errors; nil discards them.
	Log *slog.Logger
}

// Cluster names the servers that keep the streams together.
type Cluster struct {
	Name string
	// Listen is the host:port for the other servers, Routes their addresses.
	Listen string
	Routes []string
}

// Permissions lists the subjects, with wildcards, that a worker may publish to and
// subscribe to. It may always answer a request that it was sent.
type Permissions struct {
	Publish, Subscribe []string
}

// MaxPayload bounds one message in bytes: a window of a thousand request names
// fits well.
const MaxPayload = 8 << 20

// syncInterval is how often the store reaches the disk for good. What was
// acknowledged survives the end of the process at once, and the end of the
// machine after this.
const syncInterval = 2 * time.Second

// readyIn is how long a server may take to start.
const readyIn = 20 * time.Second

// Server is a NATS server with JetStream in this process.
type Server struct {
	srv      *server.Server
	password string // of connections from this process
	temp     string
	secure   bool
	log      *slog.Logger
}

// Start runs a server and returns when it takes connections.
func Start(cfg Config) (*Server, error) {
	if cfg.Listen != "" && (cfg.Token == "" || cfg.Permit == nil) {
		return nil, errors.New("start nats server: a server that listens needs a token and permissions")
	}
	s := &Server{password: rand.Text(), secure: cfg.Certificate != nil, log: cfg.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	dir, err := s.folder(cfg)
	if err != nil {
		return nil, fmt.Errorf("start nats server: %w", err)
	}
	opts, err := s.options(cfg, dir)
	if err == nil {
		s.srv, err = server.NewServer(opts)
	}
	if err != nil {
		s.removeTemp()
		return nil, fmt.Errorf("start nats server: %w", err)
	}
	s.srv.SetLoggerV2(serverLog{s.log}, false, false, false)
	s.srv.Start()
	if !s.srv.ReadyForConnections(readyIn) {
		s.Close()
		return nil, fmt.Errorf("start nats server: not ready within %v; another process may use the store %s or the address %s", readyIn, dir, cfg.Listen)
	}
	if cfg.InMemory {
		s.removeTemp()
	}
	return s, nil
}

// folder is where the server may write.
func (s *Server) folder(cfg Config) (string, error) {
	const pattern = "headroom-store-"
	if cfg.Dir != "" && !cfg.InMemory {
		return cfg.Dir, nil
	}
	var err error
	if s.temp, err = os.MkdirTemp("", pattern); err != nil && cfg.Dir != "" {
		s.temp, err = os.MkdirTemp(cfg.Dir, pattern)
	}
	return s.temp, err
}

func (s *Server) options(cfg Config, dir string) (*server.Options, error) {
	opts := &server.Options{
		ServerName: cfg.Name, JetStream: true, StoreDir: dir, SyncInterval: syncInterval,
		NoSigs: true, DontListen: cfg.Listen == "", MaxPayload: MaxPayload,
		AlwaysEnableNonce: true, CustomClientAuthentication: &admission{password: s.password, token: cfg.Token, operator: cfg.Operator, permit: cfg.Permit},
		// Workers come back within a second of a restart; nothing is to be waited for.
		PingInterval: 5 * time.Second, MaxPingsOut: 2, DisableShortFirstPing: true,
	}
	if cfg.Listen != "" {
		host, port, err := hostPort(cfg.Listen)
		if err != nil {
			return nil, err
		}
		opts.Host, opts.Port = host, port
	}
	if cfg.Certificate != nil {
		opts.TLS, opts.TLSTimeout = true, 5
		opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cfg.Certificate}}
	}
	if c := cfg.Cluster; c != nil {
		host, port, err := hostPort(c.Listen)
		if err != nil {
			return nil, err
		}
		opts.Cluster = server.ClusterOpts{Name: c.Name, Host: host, Port: port, NoAdvertise: true}
		for _, r := range c.Routes {
			opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: r})
		}
	}
	return opts, nil
}

func hostPort(addr string) (string, int, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q is no port", service)
	}
	if port == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(port), nil
}

// Connect connects within the process. Such a connection may do everything.
func (s *Server) Connect(name string) (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(s.srv), nats.UserInfo(inProcess, s.password), nats.Name(name),
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.ErrorHandler(s.failed))
	if err != nil {
		return nil, fmt.Errorf("connect to the nats server in this process: %w", err)
	}
	return nc, nil
}

// failed takes errors of a connection that nobody waits for; the library would write
// them to the error output.
func (s *Server) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	s.log.Warn("nats: connection within the process", "error", err)
}

// backIn is how long a client that is there may take to connect again; throughIn, if
// something lies in between that ends connections by itself, and may be away for a while.
const (
	backIn    = 3 * time.Second
	throughIn = 15 * time.Second
)

// Left says that the holder of id has no connection any more, and ended its last one
// itself some time ago: its process has ended, or it would have come back. Of a
// connection that broke in any other way nothing is known. from is the address that the
// holder had by its own account.
func (s *Server) Left(id, from string) bool {
	open, err := s.srv.Connz(&server.ConnzOptions{User: id, Username: true, State: server.ConnOpen, Limit: 1})
	if err != nil || len(open.Conns) > 0 {
		return false
	}
	closed, err := s.srv.Connz(&server.ConnzOptions{User: id, Username: true, State: server.ConnClosed, Sort: server.ByStop, Limit: 1})
	if err != nil || len(closed.Conns) == 0 {
		return false
	}
	last := closed.Conns[0]
	seen := net.JoinHostPort(last.IP, strconv.Itoa(last.Port))
	return last.Reason == server.ClientClosed.String() && time.Since(*last.Stop) > comesBackIn(seen, from)
}

// comesBackIn is how long to wait for a client that the server saw at one address, and
// that had another, or the same, by its own account: then it is the client that ended
// the connection, else perhaps a proxy.
func comesBackIn(seen, own string) time.Duration {
	if seen == own {
		return backIn
	}
	return throughIn
}

// Addr is host:port of a server that listens, else empty.
func (s *Server) Addr() string {
	if a := s.srv.Addr(); a != nil {
		return a.String()
	}
	return ""
}

// URL is what a worker dials, tls:// or nats://.
func (s *Server) URL() string {
	if s.secure {
		return "tls://" + s.Addr()
	}
	return "nats://" + s.Addr()
}

// Close ends the server and returns when nothing of it runs.
func (s *Server) Close() {
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
	}
	s.removeTemp()
}

func (s *Server) removeTemp() {
	if s.temp != "" {
		_ = os.RemoveAll(s.temp)
	}
}

// NewToken draws a secret of 256 bits.
func NewToken() string {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(fmt.Sprintf("draw token: %v", err)) // does not happen, says crypto/rand
	}
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// serverLog passes on what the server warns of.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Noticef(string, ...any)         {}
func (l serverLog) Debugf(string, ...any)          {}
func (l serverLog) Tracef(string, ...any)          {}
func (l serverLog) Warnf(format string, v ...any)  { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l serverLog) Errorf(format string, v ...any) { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l serverLog) Fatalf(format string, v ...any) { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
