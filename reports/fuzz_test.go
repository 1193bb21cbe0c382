package reports

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// FuzzViews feeds the views with whatever run.json may hold: none may panic, and
// the page may never hold a script but its own.
func FuzzViews(f *testing.F) {
	for _, name := range []string{"pool", "minimal", "closed", "invalid", "below", "hostile", "empty"} {
		seed, err := json.Marshal(variants()[name])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Add([]byte(`{"steps":[{"offered_rps":1e308},{"offered_rps":-1e308}],"timeline":[{"t":1e300},{"t":-1}],"duration_s":1e300}`))
	f.Add([]byte(`{"flames":[{"root":{"value":9223372036854775807,"children":[null,{"value":-1}]}}],"capacity":{"rps":{"value":-0}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		var r Run
		if json.Unmarshal(data, &r) != nil {
			return
		}
		var page strings.Builder
		if err := HTML(&page, &r); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(page.String(), "<script"); n != 2 {
			t.Errorf("the page has %d scripts", n)
		}
		if err := Markdown(io.Discard, &r); err != nil {
			t.Fatal(err)
		}
		if err := Text(io.Discard, &r, TextOptions{Width: 40}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(Sentence(&r), "\n\r\x1b") {
			t.Error("the sentence is not one line")
		}
	})
}
