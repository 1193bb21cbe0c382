package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/headroom-project/headroom/loadgen/engine"
)

// store is the folder of a controller. One process at a time uses it.
type store struct {
	dir string
	// id names the controller as the owner of its runs.
	id                    string
	workerToken, apiToken string
	lock                  *os.File
}

// secrets are kept over restarts, so that workers and commands need not be told.
type secrets struct {
	ID          string `json:"id"`
	WorkerToken string `json:"worker_token"`
	APIToken    string `json:"api_token"`
}

func openStore(dir string) (*store, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "runs"), 0o700)
	}
	if err != nil {
		return nil, cannotRun(fmt.Errorf("open store: %w", err), "choose a folder that can be written with --store")
	}
	s := &store{dir: dir}
	if s.lock, err = os.OpenFile(s.path("lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, cannotRun(fmt.Errorf("open store: %w", err), "choose a folder that can be written with --store")
	}
	if err := lockFile(s.lock); err != nil {
		_ = s.lock.Close()
		return nil, cannotRun(fmt.Errorf("open store %s: another controller uses it: %w", dir, err), "end the other one, or choose another folder with --store")
	}
	if err := s.secrets(); err != nil {
		s.close()
		return nil, cannotRun(fmt.Errorf("open store: %w", err), "")
	}
	return s, nil
}

// secrets reads the secrets, or draws them.
func (s *store) secrets() error {
	var x secrets
	b, err := os.ReadFile(s.path("controller.json"))
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &x); err != nil {
			return fmt.Errorf("%s: %w", s.path("controller.json"), err)
		}
	case errors.Is(err, fs.ErrNotExist):
		x = secrets{ID: "c-" + engine.NewToken()[:8], WorkerToken: engine.NewToken(), APIToken: engine.NewToken()}
		b, err := json.Marshal(x)
		if err != nil {
			return err
		}
		if err := os.WriteFile(s.path("controller.json"), b, 0o600); err != nil {
			return err
		}
	default:
		return err
	}
	s.id, s.workerToken, s.apiToken = x.ID, x.WorkerToken, x.APIToken
	return nil
}

// lastWorkers is the address that workers know from the last time, if the port was
// any free one then: they are still dialling it.
func (s *store) lastWorkers(otherwise string) string {
	host, port, err := net.SplitHostPort(otherwise)
	if err != nil || port != "0" {
		return otherwise
	}
	j, err := engine.ReadJoin(s.path("join.json"))
	if err != nil {
		return otherwise
	}
	u, err := url.Parse(j.Address)
	if err != nil || u.Port() == "" {
		return otherwise
	}
	last := net.JoinHostPort(host, u.Port())
	l, err := net.Listen("tcp", last)
	if err != nil {
		return otherwise
	}
	_ = l.Close()
	return last
}

func (s *store) runs() string { return s.path("runs") }

func (s *store) close() { _ = s.lock.Close() }
