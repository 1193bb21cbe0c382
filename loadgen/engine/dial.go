package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Dial says how to reach a NATS server from another process.
type Dial struct {
	// URL is nats://host:port or tls://host:port, or several with commas between.
	URL string
	// Token and Identity admit a worker to an embedded server.
	Token    string
	Identity *Identity
	// Credentials is a file for a NATS system of one's own.
	Credentials string
	// Fingerprint is the only certificate that is trusted; empty for the usual rules.
	Fingerprint string
	// Name is shown in the server's list of connections.
	Name string
	// Log takes errors that no call returns, such as a subject that the server does not
	// permit; nil discards them.
	Log *slog.Logger
}

// Identity is a key pair; its public half is the id of who holds it.
type Identity struct {
	key nkeys.KeyPair
	id  string
}

// NewIdentity draws a key pair.
func NewIdentity() (*Identity, error) {
	key, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("draw key pair: %w", err)
	}
	id, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("draw key pair: %w", err)
	}
	return &Identity{key: key, id: id}, nil
}

// ID is the public half of the key: letters and digits.
func (i *Identity) ID() string { return i.id }

// Sign signs a server's challenge.
func (i *Identity) Sign(nonce []byte) ([]byte, error) { return i.key.Sign(nonce) }

// InboxPrefix is where answers to the holder of id arrive.
func InboxPrefix(id string) string { return "_INBOX_" + id }

// connectIn bounds one attempt to connect, TLS included.
const connectIn = 5 * time.Second

// Connect connects, and stays connected as well as it can: it comes back as soon
// as a server can be reached. Nothing is kept for sending while it is away, so that
// no message arrives that was meant for another time.
func Connect(d Dial) (*nats.Conn, error) {
	log := d.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	opts := []nats.Option{
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("nats", "error", err) }),
		nats.Name(d.Name), nats.Timeout(connectIn), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond), nats.ReconnectBufSize(-1),
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2), nats.SetCustomDialer(racingDialer{}),
	}
	if d.Identity != nil {
		opts = append(opts, nats.Nkey(d.Identity.id, d.Identity.Sign), nats.CustomInboxPrefix(InboxPrefix(d.Identity.id)))
	}
	if d.Token != "" {
		opts = append(opts, nats.Token(d.Token))
	}
	if d.Credentials != "" {
		opts = append(opts, nats.UserCredentials(d.Credentials))
	}
	if d.Fingerprint != "" {
		pinned, err := Pinned(d.Fingerprint)
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", d.URL, err)
		}
		opts = append(opts, nats.Secure(pinned))
	}
	nc, err := nats.Connect(d.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", d.URL, err)
	}
	return nc, nil
}

// racingDialer begins another attempt while earlier ones are unanswered, and takes
// the first that succeeds. After a partition, the wait for the retransmission of a
// lost SYN would be longer than the partition itself.
type racingDialer struct{}

// raceEvery is the time between two attempts.
const raceEvery = 200 * time.Millisecond

// Dial is part of nats.CustomDialer.
func (racingDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectIn)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	running := 0
	begin := func() {
		running++
		go func() {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			select {
			case results <- result{conn, err}:
			case <-ctx.Done():
				if err == nil {
					_ = conn.Close()
				}
			}
		}()
	}
	begin()
	tick := time.NewTicker(raceEvery)
	defer tick.Stop()
	for {
		select {
		case r := <-results:
			running--
			if r.err == nil || running == 0 {
				return r.conn, r.err
			}
		case <-tick.C:
			begin()
		case <-ctx.Done():
			return nil, fmt.Errorf("dial %s: no answer within %v", address, connectIn)
		}
	}
}

// IsAuth says that a server refused who we are.
func IsAuth(err error) bool {
	for _, x := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, x) {
			return true
		}
	}
	return false
}

// maxCredentials bounds a credentials file in bytes.
const maxCredentials = 1 << 20

// CheckCredentials says what is wrong with a NATS credentials file, if it cannot be
// read as one. Whether a system takes it is not asked.
func CheckCredentials(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCredentials))
	if err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	if token, err := nkeys.ParseDecoratedJWT(b); err != nil || strings.Count(token, ".") != 2 {
		return fmt.Errorf("read credentials %s: it holds no user JWT", name)
	}
	// The library's errors may show what it read.
	key, err := nkeys.ParseDecoratedUserNKey(b)
	if err != nil {
		return fmt.Errorf("read credentials %s: it holds no user seed", name)
	}
	key.Wipe()
	return nil
}
