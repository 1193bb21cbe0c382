package pyroscope

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headroom-project/headroom/loadgen/observation"
	"github.com/headroom-project/headroom/profiler"
)

// bomb is a profile of 128 MiB, one long string, that is small when compressed.
var bomb = sync.OnceValue(func() []byte {
	return packedBytes(append([]byte{0x32, 0x80, 0x80, 0x80, 0x40}, make([]byte, 128<<20)...))
})

// longForm is a form whose first part is such a string, uncompressed.
var longForm = sync.OnceValues(func() (body []byte, contentType string) {
	var t testing.T
	body, contentType = form(&t, map[string][]byte{"other": make([]byte, 128<<20)})
	return packedBytes(body), contentType
})

func packedBytes(data []byte) []byte {
	var t testing.T
	return packed(&t, data)
}

// many is a profile with n empty entries of a field.
func many(field protowire.Number, n int) []byte {
	one := protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), nil)
	return packedBytes(bytes.Repeat(one, n))
}

func TestBadProfiles(t *testing.T) {
	good := cpu(t, 1)
	for _, c := range []struct {
		name   string
		data   []byte
		status int
		text   string
	}{
		{"truncated gzip", good[:len(good)-9], 422, "cut off"},
		{"damaged gzip", append(bytes.Clone(good[:20]), 1, 2, 3, 4, 5, 6, 7, 8), 422, ""},
		{"gzip header only", good[:2], 422, "gzip"},
		{"a gzip bomb", bomb(), 413, "larger than 4194304 bytes when decompressed"},
		{"larger than the limit as it is", make([]byte, 4<<20+1), 413, "larger than"},
		{"a million functions", many(fieldFunction, 1_000_000), 422, "1000000 entries"},
		{"a million samples", many(fieldSample, 1_000_000), 422, "1000000 samples, more than 16000"},
		{"more samples than a server takes", many(fieldSample, 16_001), 422, "16001 samples"},
		{"stacks without end", stacks(t, 600_000), 422, "frames"},
		{"text", []byte("goroutine profile: total 5\n"), 422, ""},
		{"compressed text", packed(t, []byte("<html><body>hello</body></html>")), 422, ""},
		{"nothing in it", packed(t, nil), 422, "empty"},
		{"missing location", replaced(t, func(p *profile.Profile) { p.Sample[0].Location = []*profile.Location{{ID: 77}} }), 422, "not valid"},
		{"missing function", replaced(t, func(p *profile.Profile) { p.Location[0].Line[0].Function = &profile.Function{ID: 99} }), 422, "not valid"},
		{"the same location twice", replaced(t, func(p *profile.Profile) { p.Location = append(p.Location, p.Location[0]) }), 422, "not valid"},
		{"location id 0", packed(t, circular()), 422, "not valid"},
		{"negative value", replaced(t, func(p *profile.Profile) { p.Sample[0].Value[1] = -5 }), 422, "-5 cpu"},
		{"values that overflow", replaced(t, func(p *profile.Profile) {
			p.Sample[0].Value[1] = math.MaxInt64
			p.Sample = append(p.Sample, p.Sample[0])
		}), 422, "more cpu than there can be"},
		{"negative time", replaced(t, func(p *profile.Profile) { p.TimeNanos = -1 }), 422, "negative"},
		{"values missing", replaced(t, func(p *profile.Profile) { p.Sample[0].Value = p.Sample[0].Value[:1] }), 422, "not valid"},
		{"empty", nil, 400, "empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := twoSteps(t, ReceiverConfig{})
			status, text := b.ingest(t, at(time.Second, 2*time.Second), map[string][]byte{"profile": c.data})
			if status != c.status || !strings.Contains(text, c.text) {
				t.Errorf("status %d, %s; want %d with %q", status, text, c.status, c.text)
			}
			// What is good goes on being taken.
			if status, text := b.ingest(t, at(time.Second, 2*time.Second), map[string][]byte{"profile": good}); status != 200 || len(b.kept()) != 1 {
				t.Errorf("a good profile after it: status %d, %s, kept %d", status, text, len(b.kept()))
			}
		})
	}
}

// replaced encodes a profile that the library would not write.
func replaced(t *testing.T, change func(*profile.Profile)) []byte {
	t.Helper()
	p, err := profile.ParseData(cpu(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	change(p)
	var buf bytes.Buffer
	if err := p.WriteUncompressed(&buf); err != nil {
		t.Fatal(err)
	}
	return packed(t, buf.Bytes())
}

// stacks is a profile whose samples name one location n times.
func stacks(t *testing.T, n int) []byte {
	return cpu(t, 1, func(p *profile.Profile) {
		for range n {
			p.Sample[0].Location = append(p.Sample[0].Location, p.Location[0])
		}
	})
}

// circular has a location whose line names no function, whose id is 0, and that
// a sample names: whoever follows ids without looking goes round.
func circular() []byte {
	line := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
	location := protowire.AppendBytes(protowire.AppendTag(nil, 4, protowire.BytesType), line)
	sample := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
	sample = protowire.AppendVarint(protowire.AppendTag(sample, 2, protowire.VarintType), 1)
	var out []byte
	out = protowire.AppendBytes(protowire.AppendTag(out, 1, protowire.BytesType), nil)
	out = protowire.AppendBytes(protowire.AppendTag(out, fieldSample, protowire.BytesType), sample)
	out = protowire.AppendBytes(protowire.AppendTag(out, fieldLocation, protowire.BytesType), location)
	return protowire.AppendBytes(protowire.AppendTag(out, fieldString, protowire.BytesType), nil)
}

func TestBadRequests(t *testing.T) {
	good := cpu(t, 1)
	body, kind := form(t, map[string][]byte{"profile": good})
	bare, bareKind := form(t, map[string][]byte{"other": good})
	prev, prevKind := form(t, map[string][]byte{"profile": good, "prev_profile": good})
	broken, brokenKind := form(t, map[string][]byte{"profile": good, "sample_type_config": []byte("{")})
	labels := make([]string, 10_000)
	for i := range labels {
		labels[i] = fmt.Sprintf("l%d=v", i)
	}
	long, longKind := longForm()
	name := "/ingest?name=shop"
	json := func(text string) []byte { return []byte(text) }
	b64 := base64.StdEncoding.EncodeToString(good)
	pairs := strings.TrimSuffix(strings.Repeat(`{"name":"a","value":"b"},`, 10), ",")
	for i := range 10_000 {
		pairs += fmt.Sprintf(`,{"name":"n%d","value":"b"}`, i)
	}
	for _, c := range []struct {
		name, path, kind string
		body             []byte
		header           map[string]string
		status           int
		text             string
	}{
		{"good", name, kind, body, nil, 200, ""},
		{"no name", "/ingest", kind, body, nil, 400, "name is missing"},
		{"open brace", "/ingest?name=a%7Bb%3Dc", kind, body, nil, 400, "closing brace"},
		{"a label without a value", "/ingest?name=a%7Bb%7D", kind, body, nil, 400, "key=value"},
		{"10,000 labels", "/ingest?name=a%7B" + strings.Join(labels, ",") + "%7D", kind, body, nil, 400, "more than 30 labels"},
		{"a long label", "/ingest?name=a%7Bb%3D" + strings.Repeat("x", 3000) + "%7D", kind, body, nil, 400, "3000 bytes"},
		{"not UTF-8", "/ingest?name=a%7Bb%3D%ff%7D", kind, body, nil, 400, "UTF-8"},
		{"a timestamp of 5 digits", name + "&from=12345&until=12345", kind, body, nil, 400, "10, 13, 16 or 19 digits"},
		{"words for a time", name + "&from=now-1h&until=now", kind, body, nil, 400, "now-1h"},
		{"from alone", name + "&from=1772366400", kind, body, nil, 400, "go together"},
		{"until long before from", name + "&from=1772366400&until=1772360000", kind, body, nil, 400, "before from"},
		{"a day", name + "&from=1772280001&until=1772366410", kind, body, nil, 400, "spans"},
		{"before the run", name + "&from=1772366000&until=1772366010", kind, body, nil, 422, "before the run began"},
		{"jfr", name + "&format=jfr", kind, body, nil, 422, `format "jfr" is not taken here, only pprof`},
		{"lines", name, "text/plain", []byte("a;b 5\n"), nil, 422, "only pprof"},
		{"the profile as it is", name + "&format=pprof", "application/octet-stream", good, nil, 200, ""},
		{"the profile as it is, unmarked", name, "", good, nil, 200, ""},
		{"no profile in the form", name, bareKind, bare, nil, 400, "no file profile"},
		{"cumulative", name, prevKind, prev, nil, 422, "prev_profile"},
		{"broken config", name, brokenKind, broken, nil, 400, "sample_type_config"},
		{"cut off form", name, kind, body[:len(body)/2], nil, 400, ""},
		{"no boundary", name, "multipart/form-data", body, nil, 400, ""},
		{"too large", name, kind, append(bytes.Clone(body), make([]byte, 6<<20)...), nil, 200, ""}, // after the last boundary
		{"compressed", name, kind, packed(t, body), map[string]string{"Content-Encoding": "gzip"}, 200, ""},
		{"said to be compressed", name, kind, body, map[string]string{"Content-Encoding": "gzip"}, 400, "gzip"},
		{"a bomb as body", name, longKind, long, map[string]string{"Content-Encoding": "gzip"}, 413, "too large"},
		{"zstd", name, kind, body, map[string]string{"Content-Encoding": "zstd"}, 415, "zstd"},
		{"elsewhere", "/api/v1/x", kind, body, nil, 404, "receiver of profiles"},

		{"push", pushPath, "application/json", json(`{"series":[{"labels":[{"name":"service_name","value":"x"}],"samples":[{"rawProfile":"` + b64 + `"}]}]}`), nil, 200, "{}"},
		{"push, the field's own name", pushPath, "application/json", json(`{"series":[{"samples":[{"raw_profile":"` + b64 + `"}]}]}`), nil, 200, "{}"},
		{"push of nothing", pushPath, "application/json", json(`{}`), nil, 400, `"code":"invalid_argument"`},
		{"push of text", pushPath, "application/json", json(`hello`), nil, 400, "PushRequest"},
		{"push without profiles", pushPath, "application/json", json(`{"series":[{"labels":[]}]}`), nil, 400, "no profile"},
		{"push of what is no base64", pushPath, "application/json", json(`{"series":[{"samples":[{"rawProfile":"!!"}]}]}`), nil, 400, ""},
		{"push with 10,000 labels", pushPath, "application/json", json(`{"series":[{"labels":[` + pairs + `],"samples":[{"rawProfile":"` + b64 + `"}]}]}`), nil, 400, "more than 30 labels"},
		{"push of protobuf that is none", pushPath, "application/proto", []byte{0x0a, 0xff}, nil, 400, ""},
		{"push by gRPC", pushPath, "application/grpc", nil, nil, 415, "unimplemented"},
		{"push without a type", pushPath, "", nil, nil, 415, "Content-Type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := twoSteps(t, ReceiverConfig{})
			status, text := b.post(t, c.path, c.kind, c.body, c.header)
			if status != c.status || !strings.Contains(text, c.text) {
				t.Errorf("status %d: %.300s; want %d with %q", status, text, c.status, c.text)
			}
			if n := len(b.kept()); n > 0 != (status == 200) {
				t.Errorf("kept %d at status %d", n, status)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{})
	for _, path := range []string{"/ingest", pushPath} {
		resp, err := b.srv.Client().Get(b.srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
}

func TestToken(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{}, RouterConfig{Token: "s3cret"})
	body, kind := form(t, map[string][]byte{"profile": cpu(t, 1)})
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("any:"+password))
	}
	for header, want := range map[string]int{
		"": 401, "Bearer wrong": 401, "Bearer": 401, basic("wrong"): 401, "Bearer s3cret": 200, "bearer s3cret": 200, basic("s3cret"): 200,
	} {
		status, text := b.post(t, "/ingest?name=x", kind, body, map[string]string{"Authorization": header})
		if status != want || strings.Contains(text, "s3cret") {
			t.Errorf("%q: status %d, %s", header, status, text)
		}
	}
}

// Above the rate: 429 with the time to wait, one warning, and what was good is kept.
func TestFlood(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{}, RouterConfig{Limits: Limits{Rate: 0.5, Burst: 3}})
	count := map[int]int{}
	for range 10 {
		status, _ := b.ingest(t, at(17*time.Second, 19*time.Second), map[string][]byte{"profile": cpu(t, 1)})
		count[status]++
	}
	if count[200] != 3 || count[429] != 7 || len(b.kept()) != 3 {
		t.Errorf("answers %v, kept %d", count, len(b.kept()))
	}
	if len(b.warnings) != 1 || !strings.Contains(b.warnings[0], "too many") {
		t.Errorf("warnings %q", b.warnings)
	}
	body, kind := form(t, map[string][]byte{"profile": cpu(t, 1)})
	req := httptest.NewRequest(http.MethodPost, "/ingest?name=x", bytes.NewReader(body))
	req.Header.Set("Content-Type", kind)
	answer := httptest.NewRecorder()
	b.ServeHTTP(answer, req)
	if answer.Code != 429 || answer.Header().Get("Retry-After") != "2" {
		t.Errorf("status %d, Retry-After %q", answer.Code, answer.Header().Get("Retry-After"))
	}
	b.hand.set(22 * time.Second)
	if status, text := b.ingest(t, at(17*time.Second, 19*time.Second), map[string][]byte{"profile": cpu(t, 1)}); status != 200 {
		t.Errorf("after the wait: status %d, %s", status, text)
	}
}

// A run keeps so much, and then says so.
func TestTotal(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{Total: 10})
	for i, want := range []int{200, 429} {
		if status, text := b.ingest(t, at(time.Second, 2*time.Second), map[string][]byte{"profile": cpu(t, 1)}); status != want {
			t.Errorf("%d: status %d, %s", i, status, text)
		}
	}
}

// Bombs sent all at once cost no more memory than a few profiles.
func TestMemoryIsBounded(t *testing.T) {
	b := twoSteps(t, ReceiverConfig{})
	bomb()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			body, kind := form(t, map[string][]byte{"profile": bomb()})
			if status, text := b.post(t, "/ingest?name=x", kind, body, nil); status != 413 {
				t.Errorf("status %d, %s", status, text)
			}
		})
	}
	peak := make(chan uint64)
	stop := make(chan struct{})
	go func() {
		most := uint64(0)
		for {
			runtime.ReadMemStats(&after)
			most = max(most, after.HeapInuse)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	wg.Wait()
	close(stop)
	// 4 profiles of up to 4 MiB, whose buffers double as they grow, and copies of
	// the compressed bodies on both sides.
	if most := <-peak; most > before.HeapInuse+100<<20 {
		t.Errorf("the heap grew by %d MiB", (most-before.HeapInuse)>>20)
	}
}

// Names that would be HTML are kept as they are in the profile; what becomes of
// them in a file's name or a warning is harmless.
func TestNames(t *testing.T) {
	const evil = `<script>alert(1)</script>`
	b := twoSteps(t, ReceiverConfig{})
	data := cpu(t, 1, func(p *profile.Profile) {
		p.Function[0].Name = evil
		p.SampleType[1].Type = evil
		p.SampleType[0].Type = "../../" + evil
	})
	if status, text := b.ingest(t, at(time.Second, 2*time.Second), map[string][]byte{"profile": data}); status != 200 {
		t.Fatalf("status %d: %s", status, text)
	}
	if c := b.kept()[0]; strings.ContainsAny(c.File[len("profiles/"):], "/<>") || strings.ContainsAny(c.Type, "/<>.") {
		t.Errorf("kept %+v", c)
	}
}

// Whatever is posted: no panic, a status that is promised, and what is kept can
// be read by everything that comes after.
func FuzzIngest(f *testing.F) {
	good := cpu(f, 3)
	body, kind := form(f, map[string][]byte{"profile": good, "sample_type_config": []byte(`{"cpu":{"units":"samples"}}`)})
	f.Add("name=shop{a=b}&from=1772366401&until=1772366403", kind, body)
	f.Add("name=shop&format=pprof", "application/octet-stream", good)
	f.Add("name=shop", "", good[:30])
	f.Add("push", "application/json", []byte(`{"series":[{"labels":[{"name":"__name__","value":"block"}],"samples":[{"rawProfile":"H4sI"}]}]}`))
	f.Add("push", "application/proto", append([]byte{0x0a, 0x04, 0x12, 0x02, 0x0a, 0x00}, good...))
	f.Fuzz(func(t *testing.T, query, kind string, body []byte) {
		var captures []observation.Capture
		var profiles [][]byte
		r, err := NewReceiver(ReceiverConfig{
			Clock: (&hand{now: 20 * time.Second}).clock(),
			OnCapture: func(c observation.Capture, data []byte) {
				captures, profiles = append(captures, c), append(profiles, data)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.phase = phaseRunning
		r.steps.begin(0, 0)
		req := httptest.NewRequest(http.MethodPost, "/ingest", bytes.NewReader(body))
		req.URL.RawQuery = query
		if query == "push" {
			req.URL.Path = pushPath
		}
		req.Header.Set("Content-Type", kind)
		answer := httptest.NewRecorder()
		mounted(t, RouterConfig{Now: r.cfg.Clock.Now, Limits: Limits{Uncompressed: 64 << 10}}, r).ServeHTTP(answer, req)
		switch answer.Code {
		case 200, 400, 413, 415, 422:
		default:
			t.Errorf("status %d", answer.Code)
		}
		for i, c := range captures {
			if _, err := profiler.Summarise(profiles[i]); err != nil {
				t.Errorf("%s was kept: %v", c.File, err)
			}
			// It may refuse, for want of such a value, but not break.
			_, _, _ = profiler.Flame(profiles[i], c.Type, profiler.FlameOptions{})
		}
	})
}
