package pyroscope

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/grafana/pyroscope-go"
)

// SelfConfig says where this process sends its own profiles.
type SelfConfig struct {
	// URL of the Pyroscope server, or of a Receiver.
	URL string
	// Credentials of the server.
	Credentials Credentials
	// Application is the label service_name.
	Application string
	Labels      map[string]string
	// Every is how often profiles are sent: default 5 s.
	Every time.Duration
	// OnError is called the first time that profiles cannot be sent, from any
	// goroutine.
	OnError func(string)
}

// Self is the profiling of this process.
type Self struct {
	agent  *pyroscope.Profiler
	sender *sending
}

// ProfileSelf begins to profile this process: CPU, allocations and goroutines.
// There can be one at a time, and nothing else may take CPU profiles meanwhile.
func ProfileSelf(cfg SelfConfig) (*Self, error) {
	u, err := serverURL(cfg.URL, &cfg.Credentials)
	if err != nil {
		return nil, fmt.Errorf("profile this process: %w", err)
	}
	if cfg.Every <= 0 {
		cfg.Every = 5 * time.Second
	}
	if cfg.OnError == nil {
		cfg.OnError = func(string) {}
	}
	// A context in a struct: pyroscope-go has no other way to cancel its requests.
	ctx, cancel := context.WithCancel(context.Background())
	s := &sending{transport: &http.Transport{Proxy: http.ProxyFromEnvironment}, done: ctx, cancel: cancel}
	headers := map[string]string{}
	for name := range cfg.Credentials.header() {
		headers[name] = cfg.Credentials.header().Get(name)
	}
	agent, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: cfg.Application, Tags: cfg.Labels, ServerAddress: u.String(), HTTPHeaders: headers,
		UploadRate: cfg.Every, HTTPClient: s, Logger: &faults{say: cfg.OnError},
		ProfileTypes: []pyroscope.ProfileType{pyroscope.ProfileCPU, pyroscope.ProfileAllocObjects, pyroscope.ProfileAllocSpace,
			pyroscope.ProfileInuseObjects, pyroscope.ProfileInuseSpace, pyroscope.ProfileGoroutines},
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("profile this process: %w", err)
	}
	return &Self{agent, s}, nil
}

// lastUpload is how long Stop waits for the last profiles to be sent.
const lastUpload = 3 * time.Second

// Stop sends what is left and ends the profiling: within seconds, whatever the
// server does. No goroutine is left.
func (s *Self) Stop() {
	limit := time.AfterFunc(lastUpload, s.sender.cancel)
	s.agent.Flush(true)
	_ = s.agent.Stop() // it has no error to give
	limit.Stop()
	s.sender.cancel()
	s.sender.transport.CloseIdleConnections()
}

// sending is the HTTP client of the agent. It can be told to give up.
type sending struct {
	transport *http.Transport
	done      context.Context
	cancel    context.CancelFunc
}

// uploadTime bounds one request.
const uploadTime = 10 * time.Second

// Do sends a request, which ends with the profiling.
func (s *sending) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(s.done, uploadTime)
	context.AfterFunc(req.Context(), cancel)
	client := http.Client{Transport: s.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		cancel()
		// Without the address, which is long and says nothing new.
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, err
	}
	resp.Body = &cancelled{resp.Body, cancel}
	return resp, nil
}

// faults hands on the first error that the agent logs.
type faults struct {
	once sync.Once
	say  func(string)
}

// Infof is of no interest.
func (f *faults) Infof(string, ...any) {}

// Debugf is of no interest.
func (f *faults) Debugf(string, ...any) {}

// Errorf hands on the first error.
func (f *faults) Errorf(format string, args ...any) {
	f.once.Do(func() { f.say(harmless(fmt.Sprintf(format, args...))) })
}
