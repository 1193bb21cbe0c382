package observation

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// tallyJSON is a Tally on the wire: histograms in HDR V2 encoding (base64 of the
// compressed form), so that any HdrHistogram library reads them.
type tallyJSON struct {
	tallyCounts
	Response string `json:"response,omitempty"`
	Service  string `json:"service,omitempty"`
	SendLag  string `json:"send_lag,omitempty"`
}

// tallyCounts has Tally's fields without its methods.
type tallyCounts Tally

// MarshalJSON encodes the counts and the three histograms.
func (t *Tally) MarshalJSON() ([]byte, error) { return json.Marshal(t.encoded()) }

// encoded is what the tally is on the wire.
func (t *Tally) encoded() tallyJSON {
	out := tallyJSON{tallyCounts: tallyCounts(*t)}
	for _, h := range []struct {
		from *hdrhistogram.PackedHistogram
		to   *string
	}{{t.Response, &out.Response}, {t.Service, &out.Service}, {t.SendLag, &out.SendLag}} {
		if h.from == nil || h.from.TotalCount() == 0 {
			continue
		}
		*h.to = encodeHistogram(h.from)
	}
	return out
}

// Parts of the HDR V2 encoding, as hdrhistogram-go and the libraries of other
// languages read it: base64 of a cookie, a length, and a zlib stream of a header and
// of the counts.
const (
	countsCookie     = 0x1c849303 | 0x10
	compressedCookie = 0x1c849304 | 0x10
	countsHeader     = 40 // bytes
)

// deflaters are used again: a new one costs more than what it compresses. They look for
// no repetitions: among small counts there are so few that finding them takes a fifth
// more time and saves nothing.
var deflaters = sync.Pool{New: func() any {
	w, err := zlib.NewWriterLevel(nil, zlib.HuffmanOnly)
	if err != nil {
		panic(fmt.Sprintf("zlib: %v", err)) // the level is a valid one
	}
	return w
}}

// encodeHistogram writes what EncodeV2 of hdrhistogram-go does, with the bounds of this
// package, but a weaker compression: a controller stores the windows of thousands of
// workers each second.
func encodeHistogram(h *hdrhistogram.PackedHistogram) string {
	plain := make([]byte, countsHeader, countsHeader+3*int(h.Populated())+16)
	if h.Populated() == 0 {
		plain = append(plain, 0)
	}
	next := int64(0)
	for value, count := range h.ForEachBucket {
		at := bucketIndex(value)
		switch zeros := at - next; {
		case zeros == 1:
			plain = append(plain, 0)
		case zeros > 1:
			plain = binary.AppendVarint(plain, -zeros)
		}
		plain = binary.AppendVarint(plain, count)
		next = at + 1
	}
	binary.BigEndian.PutUint32(plain[0:], countsCookie)
	binary.BigEndian.PutUint32(plain[4:], uint32(len(plain)-countsHeader))
	binary.BigEndian.PutUint32(plain[12:], Digits)
	binary.BigEndian.PutUint64(plain[16:], LowestMicros)
	binary.BigEndian.PutUint64(plain[24:], uint64(HighestMicros))
	binary.BigEndian.PutUint64(plain[32:], math.Float64bits(1)) // counts are not scaled

	out := bytes.NewBuffer(make([]byte, 8, 8+len(plain)))
	w := deflaters.Get().(*zlib.Writer)
	w.Reset(out)
	_, _ = w.Write(plain) // into memory: it cannot fail
	_ = w.Close()
	deflaters.Put(w)
	b := out.Bytes()
	binary.BigEndian.PutUint32(b[0:], compressedCookie)
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)-8))
	return base64.StdEncoding.EncodeToString(b)
}

// subBuckets is the number of buckets of equal width in each power of two, as follows
// from Digits: the power of two above 2 * 10^Digits.
const subBuckets = 2048

// bucketIndex is the position of the bucket that begins at value among all buckets.
func bucketIndex(value int64) int64 {
	shift := int64(bits.Len64(uint64(value)|(subBuckets-1))) - 11 // 2^11 sub-buckets
	return (shift+1)*(subBuckets/2) + value>>shift - subBuckets/2
}

// UnmarshalJSON decodes what MarshalJSON wrote. A histogram with other bounds
// than this package's is refused: it could not be merged without loss.
func (t *Tally) UnmarshalJSON(b []byte) error {
	var in tallyJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*t = Tally(in.tallyCounts)
	for _, h := range []struct {
		from string
		to   **hdrhistogram.PackedHistogram
	}{{in.Response, &t.Response}, {in.Service, &t.Service}, {in.SendLag, &t.SendLag}} {
		d, err := decodeHistogram(h.from)
		if err != nil {
			return err
		}
		*h.to = d
	}
	return nil
}

// maxEncodedHistogram bounds an encoded histogram in bytes: some 14,000 buckets
// exist, so that an honest one is far smaller.
const maxEncodedHistogram = 1 << 20

func decodeHistogram(s string) (*hdrhistogram.PackedHistogram, error) {
	if s == "" {
		return NewHistogram(), nil
	}
	if len(s) > maxEncodedHistogram {
		return nil, fmt.Errorf("decode histogram: %d bytes, more than %d", len(s), maxEncodedHistogram)
	}
	h, err := hdrhistogram.DecodePacked([]byte(s))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	if h.LowestTrackableValue() != LowestMicros || h.HighestTrackableValue() != HighestMicros || h.SignificantFigures() != Digits {
		return nil, fmt.Errorf("decode histogram: bounds %d..%d with %d digits, want %d..%d with %d",
			h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures(), LowestMicros, HighestMicros, Digits)
	}
	return h, nil
}
