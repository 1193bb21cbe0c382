package recording

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseLine(t *testing.T) {
	zone := time.FixedZone("", -7*3600)
	at := time.Date(2000, 10, 10, 13, 55, 36, 0, zone)
	for _, tt := range []struct {
		line string
		want Entry
	}{
		{`127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`,
			Entry{Time: at, Whole: true, Method: "GET", Target: "/apache_pb.gif", Proto: "HTTP/1.0", Status: 200, Bytes: 2326}},
		{`h - - [10/Oct/2000:13:55:36 -0700] "POST /a?b=c HTTP/1.1" 201 - "http://x/start" "Mozilla/4.08 [en] (a \"b\")"`,
			Entry{Time: at, Whole: true, Method: "POST", Target: "/a?b=c", Proto: "HTTP/1.1", Status: 201, Bytes: -1, Referer: "http://x/start", UserAgent: `Mozilla/4.08 [en] (a "b")`}},
		{`shop:443 h - - [10/Oct/2000:13:55:36.250 -0700] "GET /\x22a HTTP/2.0" 499 0 "-" "-" 0.003`,
			Entry{Time: at.Add(250 * time.Millisecond), Method: "GET", Target: `/"a`, Proto: "HTTP/2.0", Status: 499}},
		{`h - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 150`, Entry{Time: at, Whole: true, Status: 400, Bytes: 150}},
		{`h - - [10/Oct/2000:13:55:36 -0700] "-" 408 -`, Entry{Time: at, Whole: true, Status: 408, Bytes: -1}},
		{`h - [x] [10/Oct/2000:13:55:36 -0700] "GET /" - -`, Entry{Time: at, Whole: true, Method: "GET", Target: "/", Bytes: -1}},
	} {
		got, err := ParseLine(tt.line)
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		if !got.Time.Equal(tt.want.Time) {
			t.Errorf("%s: time %v", tt.line, got.Time)
		}
		if got.Time = tt.want.Time; got != tt.want {
			t.Errorf("%s\ngot  %+v\nwant %+v", tt.line, got, tt.want)
		}
	}
	for _, bad := range []string{"", "x", "[", "[1", "[1]", `[10/Oct/2000:13:55:36 -0700]`, `[10/Oct/2000:13:55:36 -0700] "GET`, `[32/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0"`} {
		if _, err := ParseLine(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func log(times ...string) string {
	var b strings.Builder
	for _, at := range times {
		b.WriteString("h - - [10/Oct/2000:" + at + ` +0000] "GET / HTTP/1.0" 200 1` + "\r\n")
	}
	return b.String()
}

func TestTimes(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []struct {
		name, format, text string
		want               []time.Duration
	}{
		{"whole seconds are spread", Log, "# comment\n\n" + log("00:00:01", "00:00:02", "00:00:01", "00:00:01", "00:00:05"), []time.Duration{0, 333333334, 666666667, 1333333334, 4333333334}},
		{"fractions are kept", Log, log("00:00:01.500", "00:00:01.250", "00:00:03"), []time.Duration{0, 250 * ms, 1750 * ms}},
		{"one column", CSV, "0.25\n0.1\n", []time.Duration{0, 150 * ms}},
		{"nanoseconds", CSV, "1700000000.123456789\n1700000000.123456790\n", []time.Duration{0, 1}},
		{"a header", CSV, "\ufeffid,Time\n5,2026-01-31T12:00:00Z\n6,2026-01-31T13:00:00.5+01:00\n", []time.Duration{0, 500 * ms}},
		{"an archive", Har, `{"log":{"entries":[{"startedDateTime":"2026-01-31T12:00:01.004Z"},{"startedDateTime":"2026-01-31T12:00:00Z"}]}}`, []time.Duration{0, 1004 * ms}},
	} {
		got, err := Times(tt.format, strings.NewReader(tt.text), 100)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

func TestTimesErrors(t *testing.T) {
	for _, tt := range []struct{ format, text, want string }{
		{Log, "", "recording has no arrivals"},
		{Log, log("00:00:01") + "x\n", "line 2: line has no time"},
		{Log, log("00:00:01") + strings.Repeat("x", MaxLine+1), "line 2: longer than 65536 bytes"},
		{Log, log("00:00:01", "00:00:01", "00:00:01", "00:00:01"), "too many arrivals"},
		{CSV, "a,b\n1,2\n", "line 1: no column is named time"},
		{CSV, "a,time\n1\n", "line 2: row has 1 fields, the time is field 2"},
		{CSV, "1\n-2\n", "line 2: \"-2\" is neither"},
		{CSV, "1\n1e99\n", "line 2:"},
		{CSV, "1\n\"2\n", "line 2"},
		{Har, "{", "archive is no HAR"},
		{Har, `{"log":{"entries":[{}]}}`, "entry 0 of the archive has no startedDateTime"},
		{"x", "", "unknown format"},
	} {
		_, err := Times(tt.format, strings.NewReader(tt.text), 3)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %.40q: %v, want %s", tt.format, tt.text, err, tt.want)
		}
	}
	if _, err := Times(Log, strings.NewReader(log("00:00:01", "00:00:01")), 1); !errors.Is(err, ErrTooMany) {
		t.Errorf("got %v", err)
	}
	if _, err := ReadHAR(io.MultiReader(strings.NewReader(`{"log":{"x":"`), &endless{})); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("got %v", err)
	}
}

type endless struct{}

func (*endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestFormatOf(t *testing.T) {
	for name, want := range map[string]string{"a.csv": CSV, "A.HAR": Har, "access.log": Log, "x": Log, "a.csv.log": Log} {
		if got := FormatOf(name); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
}

// Whatever the file, the answer is times in order that begin at 0, or an error.
func FuzzTimes(f *testing.F) {
	for _, seed := range []string{log("00:00:01", "00:00:02.5"), "time,x\n1,2\n", "1.5\n2\n", `{"log":{"entries":[{"startedDateTime":"2026-01-31T12:00:00Z"}]}}`, `h [1] [2`, `h - - [10/Oct/2000:13:55:36 -0700] "\`} {
		for format := range uint8(3) {
			f.Add(format, seed)
		}
	}
	f.Fuzz(func(t *testing.T, format uint8, text string) {
		got, err := Times([]string{Log, CSV, Har}[format%3], strings.NewReader(text), 1000)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without text")
			}
			return
		}
		if len(got) == 0 || len(got) > 1000 || got[0] != 0 || !slices.IsSorted(got) {
			t.Fatalf("times are %v", got)
		}
	})
}
