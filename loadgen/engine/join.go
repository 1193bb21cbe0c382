package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Join is all that a worker needs to find and trust its controller, or a command
// its controller's API.
type Join struct {
	// Address is nats:// or tls:// and host:port for a worker, http:// or https://
	// for a command.
	Address string `json:"address"`
	// Token is a secret.
	Token string `json:"token,omitempty"`
	// Fingerprint is that of the controller's certificate, if it uses TLS.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Credentials is the path of a NATS credentials file, for a NATS system of
	// one's own.
	Credentials string `json:"credentials,omitempty"`
}

// maxJoin bounds a join file in bytes.
const maxJoin = 64 << 10

// WriteJoin writes a join file that only its owner can read.
func WriteJoin(name string, j Join) error {
	b, err := json.MarshalIndent(j, "", "  ")
	if err == nil {
		err = os.WriteFile(name+".part", append(b, '\n'), 0o600)
	}
	if err == nil {
		err = os.Rename(name+".part", name)
	}
	if err != nil {
		return fmt.Errorf("write join file: %w", err)
	}
	return nil
}

// ReadJoin reads a join file, or takes apart a join URL as URL makes it.
func ReadJoin(source string) (Join, error) {
	if strings.Contains(source, "://") {
		return parseJoinURL(source)
	}
	b, err := os.ReadFile(source)
	if err != nil {
		return Join{}, fmt.Errorf("read join file: %w", err)
	}
	j, err := ParseJoin(b)
	if err != nil {
		return Join{}, fmt.Errorf("read join file %s: %w", source, err)
	}
	return j, nil
}

// ParseJoin reads the text of a join file.
func ParseJoin(b []byte) (Join, error) {
	var j Join
	if len(b) > maxJoin {
		return j, fmt.Errorf("larger than %d bytes", maxJoin)
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return j, fmt.Errorf("not a join file: %w", err)
	}
	return j, j.check()
}

var schemes = map[string]bool{"nats": true, "tls": true, "http": true, "https": true}

func (j Join) check() error {
	for address := range strings.SplitSeq(j.Address, ",") {
		u, err := url.Parse(address)
		if err != nil || !schemes[u.Scheme] || u.Host == "" {
			return fmt.Errorf("address %q is not nats://, tls://, http:// or https:// and host:port", address)
		}
	}
	if j.Fingerprint != "" {
		if _, err := Pinned(j.Fingerprint); err != nil {
			return err
		}
	}
	return nil
}

// URL is the join file in one line: its address, with the token as the user and
// the fingerprint as a parameter.
func (j Join) URL() string {
	u, err := url.Parse(j.Address)
	if err != nil {
		return j.Address
	}
	if j.Token != "" {
		u.User = url.User(j.Token)
	}
	if j.Fingerprint != "" {
		u.RawQuery = "fingerprint=" + j.Fingerprint
	}
	return u.String()
}

func parseJoinURL(source string) (Join, error) {
	u, err := url.Parse(source)
	if err != nil {
		// The error of url.Parse shows the whole text, token included.
		return Join{}, errors.New("join URL: it cannot be read; it looks like tls://TOKEN@host:7172?fingerprint=sha256:<64 hexadecimal digits>")
	}
	j := Join{Fingerprint: u.Query().Get("fingerprint")}
	if u.User != nil {
		j.Token = u.User.Username()
	}
	u.User, u.RawQuery, u.Path = nil, "", strings.TrimSuffix(u.Path, "/")
	j.Address = u.String()
	if err := j.check(); err != nil {
		return Join{}, fmt.Errorf("join URL: %w", err)
	}
	return j, nil
}
