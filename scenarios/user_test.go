package scenarios

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const loginFlow = `version: 1
target:
  url: http://127.0.0.1:8080
  flow:
    - name: login
      post: /login
      body: '{"user": {{ seq }}}'
      capture: {token: json auth.token, sid: cookie sid}
    - name: search
      get: /search
      query: {t: "{{ .token }}"}
      headers: {Authorization: "Bearer {{ .token }}"}
      capture: {item: 'matches "item=([0-9]+)"', at: 'header Location matches "/at/(.*)"'}
    - {name: buy, post: "/buy/{{ .item }}", cookies: {sid: "{{ .sid }}"}, body: "{{ .at }}", check: {json: {ok: == true}}}
load: {closed: {users: 2, duration: 1s}}
`

func mustFlow(t testing.TB) *Requests {
	t.Helper()
	s, err := Load("test.yaml", []byte(loginFlow), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := Compile(s); err != nil || fmt.Sprint(p.Names, p.Weights) != "[login search buy] [1 1 1]" {
		t.Fatalf("%+v, %v", p, err)
	}
	r, err := CompileRequests(s, Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answers has the answer to each request of the flow for a user.
func answers(token string) []Response {
	header := http.Header{"Set-Cookie": {"sid=old", "sid=s-" + token + "; Path=/"}, "Location": {"x", "/at/" + token}}
	return []Response{
		{Status: 200, Header: header.Values, Body: []byte(`{"auth":{"token":"` + token + `"}}`)},
		{Status: 200, Header: header.Values, Body: []byte(`<a href="?item=42">`)},
		{Status: 200, Header: header.Values, Body: []byte(`{"ok":true}`)},
	}
}

func TestUserRunsAFlow(t *testing.T) {
	r := mustFlow(t)
	if !r.IsFlow() || !r.NeedsHeader(0) || !r.NeedsBody(1) || r.NeedsHeader(2) {
		t.Error("the flow does not say what it looks at")
	}
	u := r.NewUser()
	var m Message
	for pass, token := range []string{"a b&c", "second"} {
		want := []string{
			fmt.Sprintf(`http://127.0.0.1:8080/login [] {"user": %d}`, 3*pass),
			"http://127.0.0.1:8080/search?t=" + strings.NewReplacer(" ", "%20", "&", "%26").Replace(token) + " [{Authorization Bearer " + token + "}] ",
			"http://127.0.0.1:8080/buy/42 [{Cookie sid=s-" + token + "}] " + token,
		}
		for k, answer := range answers(token) {
			if u.Next() != k {
				t.Fatalf("next is %d, want %d", u.Next(), k)
			}
			if err := u.Render(Hit{N: uint64(3*pass + k)}, &m); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%s %v %s", m.URL, m.Header, m.Body); got != want[k] {
				t.Errorf("got  %s\nwant %s", got, want[k])
			}
			if class, detail := u.Answer(answer); class != "" {
				t.Errorf("request %d: %s, %s", k, class, detail)
			}
		}
	}
}

// A user whose request fails begins anew, and knows nothing of before.
func TestUserBeginsAnew(t *testing.T) {
	r := mustFlow(t)
	good := answers("t")
	for name, spoil := range map[string]func(u *User) (string, string){
		"status":   func(u *User) (string, string) { return u.Answer(Response{Status: 500}) },
		"no value": func(u *User) (string, string) { return u.Answer(Response{Status: 200, Body: []byte("{}")}) },
		"null": func(u *User) (string, string) {
			return u.Answer(Response{Status: 200, Body: []byte(`{"auth":{"token":null}}`)})
		},
		"no answer":  func(u *User) (string, string) { u.Failed(); return ClassCheck, "" },
		"huge value": func(u *User) (string, string) { return u.Answer(answers(strings.Repeat("x", maxCaptured+1))[0]) },
	} {
		u := r.NewUser()
		if name == "status" {
			u.Answer(good[0])
		}
		if class, _ := spoil(u); class == "" || u.Next() != 0 {
			t.Errorf("%s: class %q, next %d", name, class, u.Next())
		}
		if v, ok := u.variables.get(0); ok {
			t.Errorf("%s: the user still knows %q", name, v)
		}
	}
}

// What a target sends cannot end a header.
func TestCapturedValuesCannotSplitHeaders(t *testing.T) {
	r := mustFlow(t)
	u := r.NewUser()
	if class, detail := u.Answer(answers(`x\r\nX-Evil: 1`)[0]); class != "" {
		t.Fatal(class, detail)
	}
	var m Message
	if err := u.Render(Hit{}, &m); !errors.Is(err, ErrBadValue) || m.URL != "" || u.Next() != 0 {
		t.Errorf("%v, URL %q, next %d", err, m.URL, u.Next())
	}
	// Without a user the values are missing, and the message says so.
	r.Render(Hit{Request: 1}, &m)
	if !errors.Is(m.Err, ErrNoValue) || m.URL != "" {
		t.Errorf("%v, URL %q", m.Err, m.URL)
	}
	if r.Render(Hit{Request: 0}, &m); m.Err != nil || m.URL == "" {
		t.Errorf("the next message is spoilt: %+v", m)
	}
}

// The whole way, over a server that knows which token it gave to whom, with
// several users at once.
func TestFlowAgainstAServer(t *testing.T) {
	var mu sync.Mutex
	given, bought := 0, map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case req.URL.Path == "/login":
			given++
			w.Header().Set("Set-Cookie", fmt.Sprintf("sid=s%d", given))
			fmt.Fprintf(w, `{"auth":{"token":"t%d"}}`, given)
		case req.URL.Path == "/search" && req.Header.Get("Authorization") == "Bearer "+req.URL.Query().Get("t"):
			w.Header().Set("Location", "/at/"+req.URL.Query().Get("t"))
			fmt.Fprint(w, "item=7")
		case req.URL.Path == "/buy/7":
			body, _ := io.ReadAll(req.Body)
			c, err := req.Cookie("sid")
			if err != nil || "t"+strings.TrimPrefix(c.Value, "s") != string(body) {
				t.Errorf("cookie %v with body %s", c, body)
			}
			bought[string(body)]++
			fmt.Fprint(w, `{"ok":true}`)
		default:
			http.NotFound(w, req)
		}
	}))
	defer server.Close()
	s := mustLoad(t, strings.Replace(loginFlow, "http://127.0.0.1:8080", server.URL, 1))
	r, err := CompileRequests(s, Inputs{})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			u := r.NewUser()
			var m Message
			for n := range uint64(30) {
				if err := runStep(u, n, &m); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if given != 40 || len(bought) != 40 {
		t.Errorf("%d logins, %d sales", given, len(bought))
	}
}

func runStep(u *User, n uint64, m *Message) error {
	if err := u.Render(Hit{N: n}, m); err != nil {
		return err
	}
	req, err := http.NewRequest(m.Method, m.URL, strings.NewReader(string(m.Body)))
	if err != nil {
		return err
	}
	for _, h := range m.Header {
		req.Header.Set(h.Name, h.Value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if class, detail := u.Answer(Response{Status: resp.StatusCode, Header: resp.Header.Values, Body: body}); class != "" {
		return fmt.Errorf("%s: %s", class, detail)
	}
	return nil
}

// The requests of one pass share a row and a number, and draw different values.
func TestARowBelongsToAPass(t *testing.T) {
	s := mustLoad(t, `version: 1
target:
  url: http://127.0.0.1:1
  flow:
    - {name: a, post: /a, body: "{{ .row.user }} {{ seq }} {{ uuid }}", feed: u.csv}
    - {name: b, post: /b, body: "{{ .row.user }} {{ seq }} {{ uuid }}", feed: u.csv}
load: {closed: {users: 1, duration: 1s}}
`)
	r, err := CompileRequests(s, world(map[string]string{"u.csv": "user\nann\nbob\n"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	u := r.NewUser()
	var m Message
	var words [2][]string
	for k := range 2 {
		if err := u.Render(Hit{N: 5}, &m); err != nil {
			t.Fatal(err)
		}
		words[k] = strings.Fields(string(m.Body))
		u.Answer(Response{Status: 200})
	}
	if words[0][0] != "bob" || words[1][0] != "bob" || words[0][1] != "5" || words[1][1] != "5" || words[0][2] == words[1][2] {
		t.Errorf("bodies %v", words)
	}
}
