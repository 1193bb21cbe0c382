package observation

import (
	"encoding/json"
	"fmt"

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
func (t *Tally) MarshalJSON() ([]byte, error) {
	out := tallyJSON{tallyCounts: tallyCounts(*t)}
	for _, h := range []struct {
		from *hdrhistogram.PackedHistogram
		to   *string
	}{{t.Response, &out.Response}, {t.Service, &out.Service}, {t.SendLag, &out.SendLag}} {
		if h.from == nil || h.from.TotalCount() == 0 {
			continue
		}
		b, err := h.from.EncodeV2()
		if err != nil {
			return nil, fmt.Errorf("encode histogram: %w", err)
		}
		*h.to = string(b)
	}
	return json.Marshal(out)
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
