package scenarios

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func compileTarget(t *testing.T, target string, files map[string]string) (*Requests, error) {
	t.Helper()
	return CompileRequests(mustLoad(t, "version: 1\ntarget: {"+target+"}\nload: {search: {}}"), world(files, nil))
}

func hops(r *Requests, i int) string {
	n, stay := r.Redirects(i)
	return fmt.Sprint(n, stay)
}

func TestTransport(t *testing.T) {
	r, err := compileTarget(t, `url: "https://127.0.0.1:1", timeout: 7s, redirects: follow 3, protocol: http2, proxy: "http://u:p@127.0.0.1:3128",
	  requests: [{name: a, get: /}, {name: b, get: /, timeout: 2s, redirects: "no"}, {name: c, get: /, redirects: follow 2 same host}], tls: {insecure: true}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	x := r.Transport()
	if x.Protocol != HTTP2 || x.Proxy.Host != "127.0.0.1:3128" || !x.TLS.InsecureSkipVerify || x.TLS.RootCAs != nil {
		t.Errorf("got %+v", x)
	}
	if r.Timeout(0) != 7*time.Second || r.Timeout(1) != 2*time.Second || hops(r, 0) != "3 false" || hops(r, 1) != "0 false" || hops(r, 2) != "2 true" {
		t.Errorf("timeouts %v %v, redirects %s, %s, %s", r.Timeout(0), r.Timeout(1), hops(r, 0), hops(r, 1), hops(r, 2))
	}
	if got := fmt.Sprint(r.Hosts()); got != "[127.0.0.1:1 127.0.0.1:3128]" {
		t.Errorf("hosts %s", got)
	}
	if r, err = compileTarget(t, `url: "http://127.0.0.1:1"`, nil); err != nil || r.Transport().Protocol != HTTP1 || r.Transport().Proxy != nil || r.Transport().TLS.InsecureSkipVerify || hops(r, 0) != "0 false" || r.Timeout(0) != 10*time.Second {
		t.Errorf("defaults: %+v, %v", r.Transport(), err)
	}
}

// The CA of a file is trusted, and without it the same server is not.
func TestTransportTrustsItsCA(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates are meant
	server.StartTLS()
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for target, ok := range map[string]bool{
		`url: "` + server.URL + `", tls: {ca: ca.pem}`:             true,
		`url: "` + server.URL + `", tls: {insecure: true}`:         true,
		`url: "` + server.URL + `", tls: {insecure: false}`:        false,
		`url: "` + server.URL + `", requests: [{name: a, get: /}]`: false,
	} {
		r, err := compileTarget(t, target, map[string]string{"ca.pem": ca})
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{TLSClientConfig: r.Transport().TLS.Clone()}
		resp, err := (&http.Client{Transport: transport}).Get(server.URL)
		if err == nil {
			resp.Body.Close()
		}
		transport.CloseIdleConnections()
		if (err == nil) != ok {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestTransportProblems(t *testing.T) {
	files := map[string]string{"x.pem": "hello", "big.pem": strings.Repeat("x", maxPEM+1)}
	for tls, want := range map[string]string{
		"{ca: none.pem}":             "target.tls.ca: cannot read the file",
		"{ca: x.pem}":                `target.tls.ca holds no certificate: "x.pem"`,
		"{ca: big.pem}":              "larger than 1MiB",
		"{cert: x.pem, key: x.pem}":  "target.tls: failed to find any PEM data",
		"{cert: no.pem, key: x.pem}": "target.tls.cert: cannot read the file",
	} {
		_, err := compileTarget(t, `url: "https://127.0.0.1", tls: `+tls, files)
		if err == nil || !strings.Contains(err.Error(), want) || len(problemsIn(t, err)) != 1 {
			t.Errorf("%s\ngot  %v\nwant %s", tls, err, want)
		}
	}
}
