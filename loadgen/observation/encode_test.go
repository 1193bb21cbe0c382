package observation

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// inflated is the HDR V2 payload of an encoded histogram, with its header.
func inflated(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(b[8:]))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestHistogramsAreWrittenAsTheLibraryWritesThem: byte for byte once inflated, over all
// sizes, with the bounds of the range, runs of empty buckets and large counts.
func TestHistogramsAreWrittenAsTheLibraryWritesThem(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 200 {
		h := NewHistogram()
		for range r.IntN(400) {
			value := int64(1) << r.IntN(30)
			value = min(value+r.Int64N(value+1), HighestMicros)
			if err := h.RecordValues(value, 1+r.Int64N(1<<r.IntN(40))); err != nil {
				t.Fatal(err)
			}
		}
		switch n {
		case 0:
			h = NewHistogram()
		case 1:
			_ = h.RecordValue(0)
		case 2:
			_ = h.RecordValue(HighestMicros)
		}
		theirs, err := h.EncodeV2()
		if err != nil {
			t.Fatal(err)
		}
		ours := encodeHistogram(h)
		if a, b := inflated(t, ours), inflated(t, string(theirs)); !bytes.Equal(a, b) {
			t.Fatalf("histogram %d: %x, the library writes %x", n, a, b)
		}
		back, err := hdrhistogram.DecodePacked([]byte(ours))
		if err != nil || back.TotalCount() != h.TotalCount() || back.Max() != h.Max() {
			t.Fatalf("histogram %d is read back with %v", n, err)
		}
	}
}

// BenchmarkRecordWindow is what keeping one window costs: 300 hits of one name over
// three orders of magnitude.
func BenchmarkRecordWindow(b *testing.B) {
	rec, err := Record(filepath.Join(b.TempDir(), "bundle"), nil)
	if err != nil {
		b.Fatal(err)
	}
	w := exampleWindow(rand.New(rand.NewPCG(5, 6)))
	b.ReportAllocs()
	for b.Loop() {
		next := *w // what is handed over must not be changed
		next.Seq = w.Seq + 1
		w = &next
		if err := rec.Window(w); err != nil {
			b.Fatal(err)
		}
	}
	rec.settle()
	b.StopTimer()
	size, err := rec.windows.Seek(0, io.SeekCurrent)
	if err == nil {
		err = rec.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size)/float64(b.N), "disk-B/window")
}

func exampleWindow(r *rand.Rand) *Window {
	tally := NewTally()
	for range 300 {
		us := func(mean float64) int64 { return 200 + int64(r.ExpFloat64()*mean) }
		_ = tally.Response.RecordValue(us(20_000))
		_ = tally.Service.RecordValue(us(20_000))
		_ = tally.SendLag.RecordValue(us(100))
		tally.OK++
	}
	return &Window{Worker: "w", Second: 1, Planned: 300, Sent: 300, Last: true, Requests: map[string]*Tally{"browse": tally}}
}
