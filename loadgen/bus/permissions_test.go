package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/headroom-project/headroom/loadgen/bus/bustest"
	"github.com/headroom-project/headroom/loadgen/engine"
)

// TestAWorkerMayOnlyDoItsOwn tries what a worker that was taken over would try.
func TestAWorkerMayOnlyDoItsOwn(t *testing.T) {
	n := bustest.Single(t)
	bad, me := n.Dial()
	_, victim := n.Dial()
	denied := make(chan error, 64)
	bad.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })

	for _, x := range []struct {
		what    string
		allowed bool
		try     func() error
	}{
		{"publish its own window", true, func() error { return bad.Publish("hr.window.run."+me, nil) }},
		{"publish a window of another", false, func() error { return bad.Publish("hr.window.run."+victim, nil) }},
		{"renew the lease of another", false, func() error { return bad.Publish("hr.lease."+victim, nil) }},
		{"give orders", false, func() error { return bad.Publish("hr.worker."+victim+".order", nil) }},
		{"end a run", false, func() error { return bad.Publish("hr.run.run.kill", nil) }},
		{"delete the stream", false, func() error { return bad.Publish("$JS.API.STREAM.DELETE.HEADROOM_WINDOWS", nil) }},
		{"write run states", false, func() error { return bad.Publish("$KV.HEADROOM_RUNS.run", nil) }},
		{"write evidence", false, func() error { return bad.Publish("$O.HEADROOM_EVIDENCE.C.x", nil) }},
		{"read its own orders", true, func() error { _, err := bad.SubscribeSync("hr.worker." + me + ".order"); return err }},
		{"read the orders of another", false, func() error { _, err := bad.SubscribeSync("hr.worker." + victim + ".order"); return err }},
		{"read all orders", false, func() error { _, err := bad.SubscribeSync("hr.worker.>"); return err }},
		{"read windows", false, func() error { _, err := bad.SubscribeSync("hr.window.>"); return err }},
		{"read answers to another", false, func() error { _, err := bad.SubscribeSync(engine.InboxPrefix(victim) + ".>"); return err }},
		{"read everything", false, func() error { _, err := bad.SubscribeSync(">"); return err }},
	} {
		if err := x.try(); err != nil {
			t.Fatalf("%s: %v", x.what, err)
		}
		if err := bad.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := bad.Flush(); err != nil { // the refusal is dispatched before the second answer
			t.Fatal(err)
		}
		select {
		case err := <-denied:
			if x.allowed || !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: refused with %v", x.what, err)
			}
		case <-time.After(300 * time.Millisecond):
			if !x.allowed {
				t.Errorf("%s: not refused", x.what)
			}
		}
	}
	js, err := jetstream.New(bad)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := js.Stream(ctx, "HEADROOM_WINDOWS"); err == nil {
		t.Error("a worker can look at the stream")
	}
}

// TestWhoMayConnect: a token alone is not enough, and neither is a key alone.
func TestWhoMayConnect(t *testing.T) {
	n := bustest.Single(t)
	who, err := engine.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := engine.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if nc, err := engine.Connect(engine.Dial{URL: n.URL, Token: n.Token, Identity: who}); err != nil {
		t.Errorf("token and key: %v", err)
	} else {
		nc.Close()
	}
	for what, opts := range map[string][]nats.Option{
		"nothing":           nil,
		"a token alone":     {nats.Token(n.Token)},
		"a wrong token":     {nats.Token("wrong"), nats.Nkey(who.ID(), who.Sign)},
		"no token":          {nats.Nkey(who.ID(), who.Sign)},
		"another's name":    {nats.Token(n.Token), nats.Nkey(other.ID(), who.Sign)},
		"in-process, empty": {nats.UserInfo("in-process", "")},
	} {
		if nc, err := nats.Connect(n.URL, opts...); err == nil {
			nc.Close()
			t.Errorf("%s is enough", what)
		} else if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
