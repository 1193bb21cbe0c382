package attack_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/loadgen/attack/attacktest"
	"github.com/headroom-project/headroom/scenarios"
)

// testCertificate is that of httptest's servers, with its key.
var testCertificate = sync.OnceValue(func() tls.Certificate {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	return srv.TLS.Certificates[0]
})

// certificate makes one for 127.0.0.1 that signs itself, changed as a case wants.
func certificate(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "target"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	change(c)
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pemFiles writes a certificate and its key into files.
func pemFiles(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Whatever is wrong with TLS is counted as such, and nothing is sent.
func TestTLSFaults(t *testing.T) {
	as := func(c tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{c}, NextProtos: []string{"h2", "http/1.1"}}
	}
	cases := []struct {
		name   string
		target *tls.Config // nil: no TLS, does what serve says
		trust  bool        // its certificate
		serve  func(net.Conn, *bufio.Reader, func())
		class  string
	}{
		{"expired", as(certificate(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })), true, nil, "tls"},
		{"unknown CA", as(certificate(t, func(*x509.Certificate) {})), false, nil, "tls"},
		{"wrong host", as(certificate(t, func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"other.example"} })), true, nil, "tls"},
		{"old version", &tls.Config{Certificates: []tls.Certificate{testCertificate()}, MaxVersion: tls.VersionTLS11}, false, nil, "tls"},
		{"no TLS", nil, false, func(c net.Conn, _ *bufio.Reader, _ func()) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, "tls"},
		{"hangs up", nil, false, func(net.Conn, *bufio.Reader, func()) {}, "tls"},
		{"never shakes hands", nil, false, func(c net.Conn, _ *bufio.Reader, _ func()) { attacktest.Hang(c) }, "timeout"},
		{"wants a certificate", &tls.Config{Certificates: []tls.Certificate{testCertificate()}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, false, nil, "tls"},
	}
	for _, c := range cases {
		overRoutesAtOnce(t, func(r route) bool { return r.secure && !r.proxied }, func(t *testing.T) {
			t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
				serve := c.serve
				if serve == nil {
					serve = serveFault(says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
				}
				target, err := attacktest.NewRaw(c.target, serve)
				if err != nil {
					t.Fatal(err)
				}
				defer target.Close()
				b := newBench(t, "https://"+target.Addr(), func(s *scenarios.Scenario, cfg *attack.Config) {
					s.Target.Timeout = scenarios.Duration(400 * time.Millisecond)
					if c.trust {
						ca, _ := pemFiles(t, c.target.Certificates[0])
						s.Target.TLS = &scenarios.TLS{CA: ca}
					}
				})
				r := b.run(context.Background(), constant(50, 200*time.Millisecond))
				if planned, sent, _, _, _, errors := r.Totals(); errors[c.class] != planned || sent != 0 || planned == 0 {
					t.Errorf("planned %d, sent %d, %v; want all %s", planned, sent, errors, c.class)
				}
			})
		})
	}
}

// A client's certificate is shown, over both protocols.
func TestClientCertificate(t *testing.T) {
	overRoutesAtOnce(t, func(r route) bool { return r.secure }, func(t *testing.T) {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.TLS.PeerCertificates) != 1 {
				w.WriteHeader(http.StatusForbidden)
			}
		}))
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
		srv.EnableHTTP2 = !routeOf(t).http1()
		srv.StartTLS()
		defer srv.Close()
		cert, key := pemFiles(t, certificate(t, func(*x509.Certificate) {}))
		b := newBench(t, srv.URL, func(s *scenarios.Scenario, _ *attack.Config) {
			s.Target.TLS = &scenarios.TLS{Insecure: true, Cert: cert, Key: key}
		})
		r := b.run(context.Background(), constant(20, 500*time.Millisecond))
		if planned, _, good, _, _, errors := r.Totals(); good != planned || planned == 0 {
			t.Errorf("planned %d, ok %d, %v", planned, good, errors)
		}
	})
}
