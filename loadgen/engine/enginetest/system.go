// Package enginetest runs NATS systems that are not Headroom's own, as an operator of
// one sets it up: trusted operator, accounts and users by JWT, credentials in files.
package enginetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// System is a running NATS server in operator mode with one account for Headroom.
type System struct {
	t testing.TB
	// URL is what controllers and workers dial.
	URL string
	// account signs users.
	account nkeys.KeyPair
}

// Config says what the system lacks.
type Config struct {
	// NoJetStream leaves JetStream out of the server, NoAccountJetStream out of the
	// account only.
	NoJetStream, NoAccountJetStream bool
}

// New starts a server that ends with the test.
func New(t testing.TB, cfg Config) *System {
	t.Helper()
	s := &System{t: t}
	operator, system := s.pair(nkeys.CreateOperator), s.pair(nkeys.CreateAccount)
	s.account = s.pair(nkeys.CreateAccount)

	oc := jwt.NewOperatorClaims(s.public(operator))
	oc.Name, oc.SystemAccount = "test operator", s.public(system)
	s.encoded(oc.Encode(operator))
	resolver := &server.MemAccResolver{}
	ac := jwt.NewAccountClaims(s.public(s.account))
	ac.Name = "headroom"
	if !cfg.NoAccountJetStream {
		ac.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	}
	s.store(resolver, ac, operator)
	sc := jwt.NewAccountClaims(s.public(system))
	sc.Name = "system"
	s.store(resolver, sc, operator)

	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: !cfg.NoJetStream, StoreDir: t.TempDir(),
		TrustedOperators: []*jwt.OperatorClaims{oc}, AccountResolver: resolver, SystemAccount: s.public(system),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(20 * time.Second) {
		t.Fatal("the nats server is not ready")
	}
	s.URL = "nats://" + srv.Addr().String()
	return s
}

// Permissions are what a user of the account may do.
type Permissions struct {
	Publish, Subscribe []string
	// Respond lets it answer requests.
	Respond bool
}

// Credentials writes the credentials file of a new user.
func (s *System) Credentials(name string, p Permissions) (file string) {
	s.t.Helper()
	return s.credentials(name, p, s.account)
}

// Stranger writes the credentials file of a user whose account the system does not know.
func (s *System) Stranger() (file string) {
	s.t.Helper()
	return s.credentials("stranger", Permissions{}, s.pair(nkeys.CreateAccount))
}

func (s *System) credentials(name string, p Permissions, signer nkeys.KeyPair) string {
	s.t.Helper()
	user := s.pair(nkeys.CreateUser)
	uc := jwt.NewUserClaims(s.public(user))
	uc.Name = name
	uc.Pub.Allow.Add(p.Publish...)
	uc.Sub.Allow.Add(p.Subscribe...)
	if p.Respond {
		uc.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: 2 * time.Minute}
	}
	seed, err := user.Seed()
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(s.encoded(uc.Encode(signer)), seed)
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), name+".creds")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func (s *System) pair(create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	s.t.Helper()
	k, err := create()
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (s *System) public(k nkeys.KeyPair) string {
	s.t.Helper()
	p, err := k.PublicKey()
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *System) encoded(token string, err error) string {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *System) store(r *server.MemAccResolver, c *jwt.AccountClaims, operator nkeys.KeyPair) {
	s.t.Helper()
	if err := r.Store(c.Subject, s.encoded(c.Encode(operator))); err != nil {
		s.t.Fatal(err)
	}
}
