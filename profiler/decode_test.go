package profiler

import (
	"bytes"
	"compress/gzip"
	"errors"
	"math"
	"runtime/pprof"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func zip(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Small messages that would be large in memory are refused before they are.
func TestBombs(t *testing.T) {
	most := bounds{decoded: 1 << 20, messages: 1000, frames: 5000}
	message := func(field byte, content []byte) []byte {
		return append([]byte{field<<3 | 2}, protowire.AppendBytes(nil, content)...)
	}
	repeated := bytes.Repeat
	for name, c := range map[string]struct {
		raw []byte
		in  string
	}{
		"bytes":            {make([]byte, most.decoded+1), "bytes"},
		"samples":          {repeated(message(fieldSample, nil), most.messages+1), "entries"},
		"lines":            {message(fieldLocation, repeated(message(fieldLocationLine, nil), most.messages)), "entries"},
		"labels":           {message(fieldSample, repeated(message(fieldSampleLabel, nil), most.messages)), "entries"},
		"frames":           {message(fieldSample, message(fieldSampleLocations, make([]byte, most.frames+1))), "frames"},
		"frames, unpacked": {message(fieldSample, repeated([]byte{fieldSampleLocations << 3, 1}, most.frames+1)), "frames"},
	} {
		if _, err := decodeWithin(zip(t, c.raw), most); !errors.Is(err, errTooLarge) || !strings.Contains(err.Error(), c.in) {
			t.Errorf("%s: %v, want %v of %s", name, err, errTooLarge, c.in)
		}
	}
	if _, err := decodeWithin(newProfile(cpuTypes...).add([]int64{1, 2}, "a").bytes(t), most); err != nil {
		t.Errorf("a profile within the bounds: %v", err)
	}
}

func TestMalformed(t *testing.T) {
	good := newProfile(cpuTypes...).add([]int64{1, 2}, "a", "b").bytes(t)
	for name, data := range map[string][]byte{
		"empty":         {},
		"gzip magic":    {0x1f, 0x8b},
		"cut off":       good[:len(good)/2],
		"text":          []byte("goroutine profile: total 5"),
		"empty message": zip(t, nil),
		"no types":      zip(t, []byte{0x48, 0x01}),
		// A sample of location 7, which is not there.
		"missing id": zip(t, []byte{0x0a, 0x02, 0x08, 0x00, 0x12, 0x05, 0x08, 0x07, 0x12, 0x01, 0x01, 0x32, 0x00}),
	} {
		if s, err := Summarise(data); err == nil {
			t.Errorf("%s: Summarise = %+v, want an error", name, s)
		}
		if root, _, err := Flame(data, "", FlameOptions{}); err == nil {
			t.Errorf("%s: Flame = %+v, want an error", name, root)
		}
		if sites, err := LockWait(data); err == nil {
			t.Errorf("%s: LockWait = %v, want an error", name, sites)
		}
	}
}

// Whatever bytes are given as a profile: no panic, and a graph that is sound.
func FuzzProfile(f *testing.F) {
	heap := &bytes.Buffer{}
	if err := pprof.Lookup("allocs").WriteTo(heap, 0); err != nil {
		f.Fatal(err)
	}
	if heap.Len() < 100<<10 {
		f.Add(heap.Bytes())
	}
	small := newProfile(cpuTypes...).add([]int64{1, -2}, "a", "b", "a").add([]int64{1 << 62, 1 << 62}, "c").bytes(f)
	f.Add(small)
	f.Add(small[:len(small)-9])
	raw, err := decompress(small, 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw) // unpacked, so that mutations reach the messages
	mutex := newProfile([2]string{"contentions", "count"}, [2]string{"delay", "seconds"}).add([]int64{1, 1 << 60}, "a")
	if raw, err = decompress(mutex.bytes(f), 1<<20); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = Summarise(data)
		_, _ = LockWait(data)
		demandsAreSound(t, data)
		root, functions, err := Flame(data, "", FlameOptions{})
		if err != nil {
			return
		}
		for _, fn := range functions {
			if fn.Self > fn.Cum || fn.Cum > root.Value || fn.Self < 0 {
				t.Errorf("%+v of %d", fn, root.Value)
			}
		}
		sound(t, root)
	})
}

// demandsAreSound checks that costs add up, and that what is merged, scaled or
// compared stays readable.
func demandsAreSound(t *testing.T, data []byte) {
	l := Load{Step: 1, RPS: 10, Requests: 7, Seconds: 1, Pprofs: [][]byte{data, data}}
	d, err := Demands("", []Load{l})
	if err != nil {
		return
	}
	own := 0.0
	for _, f := range d.Functions {
		own += f.Own.Value
		if f.Own.Value < 0 || math.IsNaN(f.Own.Variance) || f.Growing {
			t.Errorf("%+v", f)
		}
	}
	if total := d.Totals[0].Value; len(d.Functions) < mostFunctions && math.Abs(own-total) > 1e-6*total {
		t.Errorf("owners add up to %g of %g", own, total)
	}
	if x, err := Compare("", l, l); err != nil || x.Total.Changed {
		t.Errorf("compared with itself: %+v, %v", x.Total, err)
	}
	_, _ = Waits([]Load{l}, []Load{l}, 10)
	_, _ = Difference(l, l)
}

// Ids that point to themselves or to nothing, negative values, names with HTML and
// a graph of a million functions: an error, or figures of what is good, in bounded
// memory.
func TestHostileProfilesHaveNoDemand(t *testing.T) {
	m := newProfile(cpuTypes...).add([]int64{-3, -30}, "main.shrunk").add([]int64{5, 50}, "<img src=x onerror=alert(1)>")
	d, err := Demands("cpu", []Load{{RPS: 1, Requests: 1, Seconds: 1, Pprofs: [][]byte{m.bytes(t)}}})
	if err != nil || d.Totals[0].Value != 50 || len(d.Functions) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	raw, err := decompress(m.bytes(t), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"cut off": raw[:len(raw)-7], "not a profile": []byte("<html>"), "empty": nil} {
		if _, err := Demands("cpu", []Load{{RPS: 1, Requests: 1, Seconds: 1, Pprofs: [][]byte{data}}}); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := Merge(m.bytes(t), data); err == nil {
			t.Errorf("%s: merged", name)
		}
	}
}

// A profile that Go's runtime really writes.
func TestRealProfile(t *testing.T) {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 0); err != nil {
		t.Fatal(err)
	}
	root, functions, err := Flame(b.Bytes(), "goroutine", FlameOptions{})
	if err != nil || root.Value < 1 || len(functions) == 0 {
		t.Fatalf("%v %v %v", root, functions, err)
	}
	s, err := Summarise(b.Bytes())
	if err != nil || s.Samples != root.Value {
		t.Errorf("%d samples, %d in the graph: %v", s.Samples, root.Value, err)
	}
}
