package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
	"github.com/urfave/cli/v2"
)

// webProfile is what pprof's web UI is opened on; base is nil unless it is a
// difference.
type webProfile struct {
	title, typ string
	data, base []byte
}

// serveProfile opens pprof's own web UI, until the command is interrupted.
func serveProfile(c *cli.Context, s streams, p webProfile) error {
	address := c.String("http")
	if address == "" {
		address = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return cannotRun(fmt.Errorf("profile: %w", err), "choose another address with --http; port 0 takes a free one")
	}
	defer ln.Close()
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	w := &web{listener: ln, streams: s, p: p}
	err = driver.PProf(&driver.Options{
		Flagset: newPprofFlags(w.args()), Fetch: w, UI: w, Obj: nothingLocal{}, Sym: nothingLocal{},
		HTTPServer: func(args *driver.HTTPServerArgs) error { return w.serve(ctx, args) },
	})
	if err != nil {
		return cannotRun(fmt.Errorf("profile: %w", err), "")
	}
	return nil
}

// web feeds pprof's driver.
type web struct {
	listener net.Listener
	streams  streams
	p        webProfile
}

// Names under which the driver asks for the profiles.
const afterName, beforeName = "after", "before"

func (w *web) args() []string {
	_, terminal := terminal(w.streams.out)
	args := []string{"-http=" + w.listener.Addr().String(), "-symbolize=none", fmt.Sprintf("-no_browser=%v", !terminal)}
	if w.p.typ == "allocs" {
		args = append(args, "-sample_index=alloc_space")
	}
	if w.p.base != nil {
		args = append(args, "-diff_base="+beforeName)
	}
	return append(args, afterName)
}

// Fetch gives the profiles that args names.
func (w *web) Fetch(name string, _, _ time.Duration) (*profile.Profile, string, error) {
	data := w.p.data
	if name == beforeName {
		data = w.p.base
	}
	p, err := profile.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, "", err
	}
	p.Comments = append(p.Comments, w.p.title)
	return p, "", nil // without a source, it is not taken for a remote one and saved
}

// serve serves the driver's pages on the address that was listened to, to this
// machine only if that is a loopback address.
func (w *web) serve(ctx context.Context, args *driver.HTTPServerArgs) error {
	fmt.Fprintf(w.streams.err, "%s\npprof's web UI: http://%s/ (interrupt to end)\n", w.p.title, w.listener.Addr())
	host := w.listener.Addr().String()
	loopback := w.listener.Addr().(*net.TCPAddr).IP.IsLoopback()
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		// A page elsewhere that had its name resolved to this machine is not let in.
		if name, _, err := net.SplitHostPort(r.Host); loopback && r.Host != host && (err != nil || name != "localhost") {
			http.Error(out, "open http://"+host+"/", http.StatusForbidden)
			return
		}
		h := args.Handlers[strings.TrimPrefix(r.URL.Path, "/ui")]
		if h == nil {
			http.NotFound(out, r)
			return
		}
		h.ServeHTTP(out, r)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(w.listener) }()
	select {
	case <-ctx.Done():
		err := server.Close()
		<-done
		return err
	case err := <-done:
		return err
	}
}

// ReadLine ends the driver's command line, which is not used.
func (w *web) ReadLine(string) (string, error) { return "", errors.New("there is no command line") }

// Print leaves out what the driver has to say beside its pages.
func (w *web) Print(...any) {}

// PrintErr passes on what went wrong.
func (w *web) PrintErr(args ...any) { fmt.Fprintln(w.streams.err, args...) }

// IsTerminal says that nobody types.
func (w *web) IsTerminal() bool { return false }

// WantBrowser leaves that to the flag -no_browser.
func (w *web) WantBrowser() bool { return true }

// SetAutoComplete is for a command line.
func (w *web) SetAutoComplete(func(string) string) {}

// nothingLocal keeps the driver from looking for the target's program here: the
// profile may be anybody's, and the names in it, too.
type nothingLocal struct{}

var errNotHere = errors.New("the target's program is not looked for")

func (nothingLocal) Open(string, uint64, uint64, uint64, string) (driver.ObjFile, error) {
	return nil, errNotHere
}
func (nothingLocal) Disasm(string, uint64, uint64, bool) ([]driver.Inst, error) {
	return nil, errNotHere
}
func (nothingLocal) Symbolize(string, driver.MappingSources, *profile.Profile) error { return nil }

// pprofFlags are the driver's flags, with fixed arguments.
type pprofFlags struct {
	*flag.FlagSet
	args []string
}

func newPprofFlags(args []string) *pprofFlags {
	return &pprofFlags{flag.NewFlagSet("pprof", flag.ContinueOnError), args}
}

// StringList defines a flag that may be given several times.
func (f *pprofFlags) StringList(name, _, usage string) *[]*string {
	list := &[]*string{}
	f.Func(name, usage, func(v string) error {
		*list = append(*list, &v)
		return nil
	})
	return list
}

// ExtraUsage is empty: nobody asks for help here.
func (f *pprofFlags) ExtraUsage() string { return "" }

// AddExtraUsage does nothing.
func (f *pprofFlags) AddExtraUsage(string) {}

// Parse returns what is no flag of the fixed arguments.
func (f *pprofFlags) Parse(usage func()) []string {
	f.Usage = usage
	if err := f.FlagSet.Parse(f.args); err != nil {
		return nil
	}
	return f.FlagSet.Args()
}
