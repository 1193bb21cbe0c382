package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/engine"
)

func all(string) engine.Permissions {
	return engine.Permissions{Publish: []string{">"}, Subscribe: []string{">"}}
}

func TestADrillOnOneMachineOpensNoPort(t *testing.T) {
	srv, err := engine.Start(engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if a := srv.Addr(); a != "" {
		t.Errorf("it listens on %s", a)
	}
	nc, err := srv.Connect("controller")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.Flush(); err != nil {
		t.Error(err)
	}
}

func TestAServerThatListensNeedsAToken(t *testing.T) {
	if srv, err := engine.Start(engine.Config{Listen: "127.0.0.1:0"}); err == nil {
		srv.Close()
		t.Error("a server without a token listens")
	}
}

func TestTLSTrustsTheFingerprintAlone(t *testing.T) {
	dir := t.TempDir()
	cert, err := engine.Certificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := engine.Certificate(dir)
	if err != nil || engine.Fingerprint(again) != engine.Fingerprint(cert) {
		t.Errorf("the certificate is not kept: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, "certificate-key.pem")); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the key can be read by others: %v %v", info, err)
	}
	srv, err := engine.Start(engine.Config{Listen: "127.0.0.1:0", Certificate: cert, Token: "t", Permit: all})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	who, err := engine.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	dial := engine.Dial{URL: srv.URL(), Token: "t", Identity: who, Fingerprint: engine.Fingerprint(cert)}
	nc, err := engine.Connect(dial)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	dial.Fingerprint = "sha256:" + strings.Repeat("00", 32)
	if nc, err := engine.Connect(dial); !errors.Is(err, engine.ErrFingerprint) {
		t.Errorf("another certificate: %v", err)
		if err == nil {
			nc.Close()
		}
	}
	dial.Fingerprint = ""
	dial.URL = strings.Replace(dial.URL, "tls://", "nats://", 1)
	if nc, err := engine.Connect(dial); err == nil {
		nc.Close()
		t.Error("it can be reached without TLS")
	}
}

func TestAJoinFileAndItsURLSayTheSame(t *testing.T) {
	want := engine.Join{Address: "tls://10.1.2.3:7172", Token: "abc-_", Fingerprint: "sha256:" + strings.Repeat("ab", 32)}
	name := filepath.Join(t.TempDir(), "join.json")
	if err := engine.WriteJoin(name, want); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, source := range []string{name, want.URL()} {
		got, err := engine.ReadJoin(source)
		if err != nil || got != want {
			t.Errorf("from %s: %+v, %v", source, got, err)
		}
	}
	for _, source := range []string{"tls://", "ftp://x:1", "tls://t@h:1?fingerprint=sha256:zz", "tls://s3cret@%zz", filepath.Join(t.TempDir(), "none")} {
		if _, err := engine.ReadJoin(source); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func FuzzParseJoin(f *testing.F) {
	f.Add([]byte(`{"address":"tls://h:1","token":"t"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if j, err := engine.ParseJoin(b); err == nil && j.Address == "" {
			t.Errorf("%q is taken", b)
		}
	})
}
