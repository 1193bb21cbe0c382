package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestScenariosDoc drills every example of docs/scenarios.md. The server of the
// examples answers so that their checks hold only if what they show was done.
func TestScenariosDoc(t *testing.T) {
	page, err := os.ReadFile("../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("API_KEY", "k3y")
	plain, secure, proxy := docTargets(t)
	addresses := strings.NewReplacer("http://127.0.0.1:8080", plain.URL, "https://127.0.0.1:8443", secure.URL, "127.0.0.1:3128", strings.TrimPrefix(proxy.URL, "http://"))
	blocks := regexp.MustCompile("(?s)```yaml( file)?\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 12 {
		t.Fatalf("found %d examples only", len(blocks))
	}
	dir := docFiles(t, secure)
	t.Run("examples", func(t *testing.T) {
		for i, b := range blocks {
			text := b[2]
			if b[1] == "" {
				text = "version: 1\ntarget:\n  " + strings.ReplaceAll(text, "\n", "\n  ") +
					"\nload: {constant: {rate: 60, duration: 1s}, warmup: 0s}\nobjectives: [errors < 0.1%]\n"
			}
			name := filepath.Join(dir, fmt.Sprintf("example-%02d.yaml", i))
			if err := os.WriteFile(name, []byte(addresses.Replace(text)), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Run(filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				drillExample(t, name, text)
			})
		}
	})
}

func drillExample(t *testing.T, name, text string) {
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"headroom", "drill", name, "--json", "--out", name + ".bundle"}, streams{nil, &out, &errs})
	var r struct {
		Totals struct {
			Sent, OK uint64
			Errors   map[string]uint64
		}
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%s\n%v: %s%s", text, err, &out, &errs)
	}
	// 60 are planned, and a flow sends whole passes.
	if code != exitOK || r.Totals.Sent < 50 || r.Totals.Sent != r.Totals.OK {
		t.Errorf("%s\nexit code %d, %+v\n%s", text, code, r.Totals, &errs)
	}
}

// docTargets are what the examples call the target, the target over TLS, and the
// proxy.
func docTargets(t *testing.T) (plain, secure, proxy *httptest.Server) {
	h := http.HandlerFunc(docTarget)
	plain, secure = httptest.NewUnstartedServer(h), httptest.NewUnstartedServer(h)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	secure.EnableHTTP2 = true
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	forward := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.Out.URL = r.In.URL },
		ModifyResponse: func(r *http.Response) error { r.Header.Set("Via", "1.1 test"); return nil },
		Transport:      &http.Transport{DisableKeepAlives: true},
	}
	proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic bWU6c2VjcmV0" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	for _, s := range []*httptest.Server{plain, secure, proxy} {
		t.Cleanup(s.Close)
	}
	return plain, secure, proxy
}

// docTarget is the shop of the examples.
func docTarget(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Protocol", r.Proto)
	cookie, _ := r.Cookie("sid")
	switch path := r.URL.Path; {
	case path == "/orders":
		docOrder(w, r, string(body))
	case strings.HasPrefix(path, "/orders/"):
		if cookie == nil || r.Header.Get("Authorization") != "Bearer t-"+cookie.Value {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"session": "ok"}`)
	case path == "/login":
		if user := string(body); user == "ann" || user == "bob" {
			http.SetCookie(w, &http.Cookie{Name: "sid", Value: user, Path: "/"})
			fmt.Fprintf(w, `{"auth": {"token": "t-%s"}}`, user)
			return
		}
		w.WriteHeader(http.StatusForbidden)
	case path == "/login-form":
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "s1", Path: "/"})
		http.Redirect(w, r, "/welcome", http.StatusSeeOther)
	case path == "/welcome" && cookie != nil && r.Method == http.MethodGet:
		fmt.Fprint(w, "welcome")
	case path == "/old":
		http.Redirect(w, r, "/items/7", http.StatusFound)
	case path == "/items/7":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"items": [{"id": 7, "sku": "A1"}], "total": 1}`)
	case path == "/page":
		fmt.Fprint(w, "<h1>Order 17</h1>")
	case path == "/files/a.bin" && r.Method == http.MethodPut && len(body) == 3:
	case path == "/form" && bytes.Contains(body, []byte(`filename="cat.png"`)) && bytes.Contains(body, []byte("hello ")):
	case path == "/" || path == "/slow":
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// docOrder takes what the examples send as an order.
func docOrder(w http.ResponseWriter, r *http.Request, body string) {
	var order struct {
		SKU, Size, For string
		N, Qty         int
	}
	cookie, _ := r.Cookie("sid")
	right := json.Unmarshal([]byte(body), &order) == nil
	switch {
	case r.Header.Get("X-Api-Key") != "":
		right = right && r.Header.Get("X-Api-Key") == "k3y" && r.URL.Query().Get("ref") == "mail & web" && cookie != nil && order.SKU == "A1"
	case r.Header.Get("X-Key") != "":
		right = right && r.Header.Get("X-Key") == "k3y" && order.N >= 1000 && order.Qty >= 1 && order.Qty <= 6 &&
			strings.Contains("SML", order.Size) && len(r.Header.Get("X-Request-Id")) == 36 && r.URL.Query().Get("at") != ""
	case r.Header.Get("Authorization") != "":
		right = right && cookie != nil && cookie.Value == order.For && r.Header.Get("Authorization") == "Bearer t-"+order.For
	default:
		right = right && (order.SKU == "A1" || order.SKU == "B2")
	}
	if !right {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Location", "/orders/17")
	w.WriteHeader(http.StatusCreated)
}

// docFiles writes the files that the examples name.
func docFiles(t *testing.T, secure *httptest.Server) (dir string) {
	dir = t.TempDir()
	key, err := encodeKey(secure.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	for name, text := range map[string]string{
		"skus.csv": "sku\nA1\nB2\n", "users.jsonl": `{"user": "ann"}` + "\n" + `{"user": "bob"}` + "\n",
		"a.bin": "abc", "order.json": `{"sku": "{{ .row.sku }}"}`,
		"ca.pem": cert, "client.pem": cert, "client.key": key,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func encodeKey(key any) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
