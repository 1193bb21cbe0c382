package pyroscope

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// This process's own profiles arrive at a receiver; what was on its way at the
// end, too.
func TestProfileSelf(t *testing.T) {
	began := time.Now()
	b := start(t, ReceiverConfig{Clock: Clock{Now: func() time.Duration { return time.Since(began) }, Wall: time.Now}}, RouterConfig{Token: "s3cret"})
	b.BeginStep(t.Context(), 0, time.Minute)
	self, err := ProfileSelf(SelfConfig{
		URL: b.srv.URL, Application: "headroom", Labels: map[string]string{"role": "drill"}, Every: time.Second,
		Credentials: Credentials{Token: "s3cret", Tenant: "t"}, OnError: func(text string) { t.Error(text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	time.AfterFunc(300*time.Millisecond, func() { close(stop) })
	burn(stop)
	self.Stop()
	got := b.kept()
	if want := []string{"allocs", "cpu", "goroutine"}; !slices.Equal(kinds(got), want) {
		t.Fatalf("kept %v, want %v", kinds(got), want)
	}
	if l := got[0].Labels; l["service_name"] != "headroom" || l["role"] != "drill" {
		t.Errorf("labels %v", l)
	}
}

// A server that never answers holds up the end for seconds only, and says so once.
func TestProfileSelfAgainstAServerThatHangs(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	defer srv.Close()
	defer close(release)
	said := make(chan string, 10)
	self, err := ProfileSelf(SelfConfig{URL: srv.URL, Application: "headroom", Every: time.Hour, OnError: func(text string) { said <- text }})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	self.Stop()
	if took := time.Since(began); took > lastUpload+20*time.Second {
		t.Errorf("it took %v", took)
	}
	if len(said) != 1 || !strings.Contains(<-said, "upload profile") {
		t.Errorf("%d errors were said, want one", len(said)+1)
	}
}

func TestProfileSelfBadAddress(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:4040", "ftp://x", "http://"} {
		if _, err := ProfileSelf(SelfConfig{URL: url, Application: "x"}); err == nil || !strings.Contains(err.Error(), "hint:") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
