package engine

import (
	"net"
	"testing"
	"time"
)

// A proxy between a worker and the server may end a connection of a worker that lives,
// and be away for a while.
func TestWhoseConnectionEnded(t *testing.T) {
	for _, x := range []struct {
		seen, own string
		want      time.Duration
	}{
		{"127.0.0.1:4000", "127.0.0.1:4000", backIn},
		{"::1:4000", "[::1]:4000", throughIn}, // JoinHostPort has brackets
		{net.JoinHostPort("::1", "4000"), "[::1]:4000", backIn},
		{"127.0.0.1:4001", "127.0.0.1:4000", throughIn},
		{"10.0.0.9:4000", "192.168.1.2:4000", throughIn},
		{"10.0.0.9:4000", "", throughIn},
	} {
		if got := comesBackIn(x.seen, x.own); got != x.want {
			t.Errorf("seen at %s, by its own account at %q: %v, want %v", x.seen, x.own, got, x.want)
		}
	}
}
