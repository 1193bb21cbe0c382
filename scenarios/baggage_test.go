package scenarios

import "testing"

func TestBaggage(t *testing.T) {
	const head = "version: 1\nname: check-out.1\nload: {search: {}}\n"
	for target, want := range map[string]string{
		"profiles: {baggage: true}\ntarget: {url: http://127.0.0.1}\n":                                                          "k6.test_run_id=20260301T1-x,k6.scenario=check-out.1,k6.step=7",
		"profiles: {baggage: true}\ntarget: {url: http://127.0.0.1, requests: [{name: a, get: /, headers: {baggage: mine}}]}\n": "mine",
		"target: {url: http://127.0.0.1}\n":                                                                                     "",
	} {
		r, err := CompileRequests(mustLoad(t, head+target), Inputs{})
		if err != nil {
			t.Fatal(err)
		}
		r.SetRun("20260301T1-x")
		var m Message
		r.Render(Hit{N: 3, Step: 7}, &m)
		got := ""
		for _, h := range m.Header {
			if h.Name == "Baggage" || h.Name == "baggage" {
				got += h.Value
			}
		}
		if got != want || m.Err != nil {
			t.Errorf("%s: Baggage %q, %v; want %q", target, got, m.Err, want)
		}
	}
}
