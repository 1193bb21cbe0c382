package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headroom-project/headroom/loadgen"
	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler/pyroscope"
	"github.com/headroom-project/headroom/scenarios"
)

// pyroscopeServer is a client of a server that the scenario names under a key. Its
// address is held against the allow-list as the target's is.
func (j *job) pyroscopeServer(key, url, tenant, auth string, client *http.Client) (*pyroscope.Server, error) {
	header, err := scenarios.Authorization(auth, j.env)
	if err != nil {
		return nil, badInput("", "%s.auth: %w", key, err)
	}
	s, err := pyroscope.NewServer(pyroscope.ServerConfig{
		URL: url, HTTP: client, Credentials: pyroscope.Credentials{Tenant: tenant, Authorization: header},
	})
	if err != nil {
		return nil, badInput("", "%s: %w", key, err)
	}
	return s, nil
}

// puller returns what makes the watcher that fetches the target's profiles from a
// Pyroscope server; nil if the scenario names none.
func (j *job) puller(ctx context.Context, client *http.Client, say func(string)) (func(loadgen.WatchConfig) loadgen.Watcher, error) {
	spec := j.scenario.Profiles.Pyroscope
	if spec == nil {
		return nil, nil
	}
	server, err := j.pyroscopeServer("profiles.pyroscope", spec.URL, spec.Tenant, spec.Auth, client)
	if err != nil {
		return nil, err
	}
	look, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	now := time.Now()
	switch known, err := server.Services(look, now.Add(-time.Hour), now); {
	case err != nil:
		say(fmt.Sprintf("profiles.pyroscope: %v", err))
	case !slices.Contains(known, spec.Service):
		say(fmt.Sprintf("profiles.pyroscope: the server has no profiles of service %q of the last hour; it has %s", spec.Service, cmp.Or(strings.Join(known[:min(len(known), 10)], ", "), "none")))
	}
	return func(w loadgen.WatchConfig) loadgen.Watcher {
		p, err := pyroscope.NewPuller(pyroscope.PullerConfig{
			Server: server, Clock: pyroscope.Clock{Now: w.Now, Wall: time.Now},
			Service: spec.Service, Labels: spec.Labels, Types: j.scenario.Profiles.Types, Interval: time.Duration(spec.Interval),
			Hurry: ctx.Done(), OnCapture: w.OnCapture, OnWarning: w.OnWarning,
			OnWait: func(d time.Duration) {
				say(fmt.Sprintf("waiting up to %v for the last profiles to reach the Pyroscope server; interrupt to go without", d))
			},
		})
		if err != nil {
			panic(fmt.Sprintf("pull profiles: %v", err)) // the scenario has been checked
		}
		return p
	}, nil
}

// pushing is a recorder that sends every capture to a Pyroscope server, once it is
// recorded.
type pushing struct {
	loadgen.Recorder
	pusher *pyroscope.Pusher
	// from is the server that captures are fetched from, if it is the same one:
	// what comes from there is not sent there.
	same bool

	mu      sync.Mutex
	offered map[int]float64 // by step
}

// pushServer is the server that captures are sent to; nil if there is none.
func (j *job) pushServer() (*pyroscope.Server, error) {
	spec := j.scenario.Profiles.Push
	if spec == nil {
		return nil, nil
	}
	return j.pyroscopeServer("profiles.push", spec.URL, spec.Tenant, spec.Auth, j.httpClient())
}

// push makes a recorder that sends captures on. done must be called at the end.
func (j *job) push(server *pyroscope.Server, record loadgen.Recorder, id string, now func() time.Duration) (out loadgen.Recorder, done func()) {
	if server == nil {
		return record, func() {}
	}
	spec, from := j.scenario.Profiles.Push, j.scenario.Profiles.Pyroscope
	p := &pushing{Recorder: record, offered: map[int]float64{}, same: from != nil && from.URL == spec.URL}
	var err error
	p.pusher, err = pyroscope.NewPusher(pyroscope.PusherConfig{
		Server: server, Clock: pyroscope.Clock{Now: now, Wall: time.Now},
		Service: cmp.Or(spec.Service, j.scenario.Name), Run: id, Scenario: j.scenario.Name,
		OnWarning: func(text string) {
			// Where the evidence cannot be written, the drill finds out itself.
			_ = record.Note(observation.Entry{Kind: observation.EntryWarning, At: now(), Text: text})
		},
	})
	if err != nil {
		panic(fmt.Sprintf("push profiles: %v", err)) // only a missing server or clock makes it fail
	}
	return p, p.pusher.Close
}

// Note learns what each step offers. The end is the journal's last entry: what is
// left is sent before it, so that what went wrong can be said.
func (p *pushing) Note(e observation.Entry) error {
	if e.End != nil {
		p.pusher.Close()
	}
	if s := e.Step; s != nil {
		p.mu.Lock()
		p.offered[s.Index] = (s.From + s.To) / 2
		p.mu.Unlock()
	}
	return p.Recorder.Note(e)
}

// Capture records, then sends.
func (p *pushing) Capture(at time.Duration, c observation.Capture, data []byte) error {
	err := p.Recorder.Capture(at, c, data)
	if err == nil && !(p.same && c.Source == observation.CapturePyroscope) {
		p.mu.Lock()
		offered := p.offered[c.Step]
		p.mu.Unlock()
		p.pusher.Push(c, data, offered)
	}
	return err
}
