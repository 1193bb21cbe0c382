package attack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/headroom-project/headroom/loadgen/responder"
)

// asResponder makes this test's binary a responder, so that the target has a
// process of its own.
const asResponder = "HEADROOM_TEST_RESPONDER"

func TestMain(m *testing.M) {
	if text := os.Getenv(asResponder); text != "" {
		var cfg responder.Config
		err := json.Unmarshal([]byte(text), &cfg)
		if err == nil {
			err = responder.Serve(os.Stdin, os.Stdout, cfg)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// apart starts a responder in a process of its own, on the second core if there
// is one.
func apart(t testing.TB, cfg responder.Config) (url string) {
	t.Helper()
	cfg.CPU = 2
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := responder.Spawn(context.Background(), exe, nil, []string{asResponder + "=" + string(text)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return url
}

// received is the target's own count.
func received(t testing.TB, url string) uint64 {
	t.Helper()
	n, err := responder.Received(url)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
