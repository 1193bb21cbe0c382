package importer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/capacity/table"
)

func read(t *testing.T, text string) *Results {
	t.Helper()
	r, err := Read("file", strings.NewReader(text), Config{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A k6 summary is one point, in the form of handleSummary and of --summary-export.
func TestK6Summaries(t *testing.T) {
	nested := `{"root_group":{"name":""},"options":{"summaryTrendStats":["avg","min","med","max","p(90)","p(95)","p(99)"]},
		"state":{"isStdOutTTY":true,"testRunDurationMs":30000},
		"metrics":{
		"http_reqs":{"type":"counter","contains":"default","values":{"count":3000,"rate":100}},
		"http_req_failed":{"type":"rate","contains":"default","values":{"rate":0.01,"passes":30,"fails":2970}},
		"http_req_duration":{"type":"trend","contains":"time","values":{"avg":12,"min":1,"med":10,"max":90,"p(90)":20,"p(95)":30,"p(99)":44}}}}`
	flat := `{"metrics":{"http_reqs":{"count":3000,"rate":100},"http_req_failed":{"value":0.01,"passes":30,"fails":2970},
		"http_req_duration":{"avg":12,"min":1,"med":10,"max":90,"p(90)":20,"p(95)":30,"p(99)":44}}}`
	for name, text := range map[string]string{"handleSummary": nested, "--summary-export": flat} {
		r := read(t, text)
		p := r.Points[0]
		if r.Tool != K6 || p.Offered != 100 || p.Throughput != 99 || p.Response.P99 != 44 || p.Response.P50 != 10 || p.Seconds != 30 || p.Failed != 30 || p.OK != 2970 {
			t.Errorf("%s: %+v", name, p)
		}
		if _, ok := r.Metric("p99"); !ok {
			t.Errorf("%s: p99 is not known", name)
		}
	}
	r := read(t, strings.ReplaceAll(flat, `,"p(99)":44`, ""))
	if missing, ok := r.Metric("p99"); ok || missing != "p99_ms" {
		t.Error("a summary without p99 has one")
	}
}

func TestGatlingStatistics(t *testing.T) {
	figures := `{"name":"All Requests","numberOfRequests":{"total":"2458","ok":"2400","ko":"58"},"minResponseTime":{"total":"1","ok":"1","ko":"-"},
		"maxResponseTime":{"total":"743","ok":"743","ko":"-"},"meanResponseTime":{"total":"54","ok":"50","ko":"-"},"standardDeviation":{"total":"9","ok":"9","ko":"-"},
		"percentiles1":{"total":"45","ok":"45","ko":"-"},"percentiles2":{"total":"60","ok":"60","ko":"-"},"percentiles3":{"total":"86","ok":"86","ko":"-"},"percentiles4":{"total":"221","ok":"221","ko":"-"},
		"meanNumberOfRequestsPerSecond":{"total":"40.967","ok":"40","ko":"0.967"}}`
	for _, text := range []string{figures, `{"type":"GROUP","name":"All Requests","path":"","pathFormatted":"group_missing-name-b06d1","stats":` + figures + `,"contents":{}}`} {
		p := read(t, text).Points[0]
		if p.Offered != 40.967 || p.Throughput != 40 || p.Response.P50 != 45 || p.Response.P95 != 86 || p.Response.P99 != 221 || p.Response.Max != 743 || p.Failed != 58 {
			t.Errorf("%+v", p)
		}
	}
}

// Ten seconds of Locust's history are a point: differences of the counts, and the
// percentiles at their end. Rows of one request name are not the whole, and ten
// seconds in which users are added are of no one load.
func TestLocustHistory(t *testing.T) {
	var b strings.Builder
	b.WriteString("Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%,Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,Total Min Response Time,Total Max Response Time,Total Average Content Size\n")
	b.WriteString("1772445600,5,,Aggregated,0.000000,0.000000,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,0,0,0,0.0,0,0,0\n")
	b.WriteString("1772445605,5,GET,/,50,0,7,8,9,9,10,11,12,13,20,22,22,250,0,7,8.0,1,22,100\n")
	b.WriteString("1772445610,5,,Aggregated,50.0,0.5,7,8,9,9,10,11,12,13,20,22,22,500,5,7,8.0,1,22,100\n")
	b.WriteString("1772445611,10,,Aggregated,55.0,0.5,7,8,9,9,10,11,12,13,21,25,25,500,5,7,8.0,1,22,100\n")
	b.WriteString("1772445615,10,,Aggregated,90.0,0.5,8,8,9,9,11,12,13,15,21,25,25,950,5,7,8.5,1,22,100\n")
	b.WriteString("1772445621,10,,Aggregated,100.0,0.0,9,9,9,9,12,13,14,16,22,30,30,1500,5,7,9.0,1,30,100\n")
	r := read(t, b.String())
	if len(r.Points) != 2 {
		t.Fatalf("%d points, want 2", len(r.Points))
	}
	a, z := r.Points[0], r.Points[1]
	if a.Offered != 50 || a.Throughput != 49.5 || a.Response.P99 != 13 || a.Seconds != 10 || a.Failed != 5 {
		t.Errorf("first %+v", a)
	}
	// (9.0*1500 - 8.0*500) / 1000
	if z.Offered != 100 || z.Throughput != 100 || z.Response.P99 != 16 || math.Abs(z.Response.Mean-9.5) > 1e-9 {
		t.Errorf("second %+v", z)
	}
	s := read(t, "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%\nGET,/,1500,5,7,9.0,1,30,100,75,0.25,9,9,9,9,12,13,14,16,22,30,30\n,Aggregated,1500,5,7,9.0,1,30,100,75,0.25,9,9,9,9,12,13,14,16,22,30,30\n").Points[0]
	if s.Offered != 75 || s.Throughput != 74.75 || s.Response.P99 != 16 || s.Seconds != 20 {
		t.Errorf("statistics %+v", s)
	}
}

// A file that was cut off in its last line reads up to there; a line that is
// wrong in the middle is named.
func TestTornAndWrongLines(t *testing.T) {
	csv := string(written()["k6 CSV"].text)
	whole := read(t, csv)
	torn := read(t, csv[:len(csv)-30])
	if len(torn.Points) != len(whole.Points) {
		t.Errorf("%d points of a torn file, want %d", len(torn.Points), len(whole.Points))
	}
	lines := strings.SplitAfter(csv, "\n")
	lines[5] = strings.Replace(lines[5], ",", ",soon,", 1)
	for name, text := range map[string]string{
		"k6 CSV":                 strings.Join(lines, ""),
		"JMeter JTL":             "timeStamp,elapsed,label,success\n1772445600000,12,a,true\n1772445600000,-3,a,true\n",
		"Gatling simulation.log": "RUN\ta\tb\t1\t \t3.9\nREQUEST\t\tx\tsoon\t2\tOK\t \nUSER\tx\n",
		"k6 JSON lines":          `{"type":"Metric","data":{},"metric":"http_reqs"}` + "\n" + `{"metric":"http_req_duration","type":"Point","data":{"time":"2026-01-01T00:00:00Z","val` + "\n{}\n",
	} {
		_, err := Read("file", strings.NewReader(text), Config{})
		var problems *table.Problems
		if !errors.As(err, &problems) || problems.List[0].Line < 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNotRead(t *testing.T) {
	for text, want := range map[string]string{
		"": "empty",
		"<?xml version=\"1.0\"?>\n<testResults ver": "no request",
		"var stats = {\n type: \"GROUP\"":           "stats.json",
		"\x00\x00\x00\x05gatling":                   "binary",
		"{\n  \"schema\": \"headroom.run/v1\",":     "bundle",
		"hello":                                     "cannot tell",
		"\xff\xfeo\x00f\x00":                        "UTF-16",
		"{\"throughput\":1,\"p99\":2}":              "cannot tell",
		"timeStamp,elapsed,label,success\n":         "no request",
		"{\"metrics\":{}}":                          "no http_reqs",
		"offered_rps,throughput_rps,p99_ms\n1,1\n":  "2 fields",
	} {
		if _, err := Read("file", strings.NewReader(text), Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read("file", strings.NewReader("x"), Config{Tool: "wrk"}); err == nil {
		t.Error("an unknown tool is read")
	}
	if _, err := Read("file", strings.NewReader("timeStamp,elapsed\n"), Config{Tool: K6}); err == nil {
		t.Error("a JTL is read as k6's")
	}
}

// A quote that is never closed does not make a reader hold the whole file.
func TestUnclosedQuote(t *testing.T) {
	text := "timeStamp,elapsed,label,success\n1772445600000,1,\"" + strings.Repeat("x\n", maxLine) + "\",true\n"
	if _, err := Read("file", strings.NewReader(text), Config{}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("%v", err)
	}
}

func TestGzip(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte("offered_rps,throughput_rps,p99_ms\n10,10,5\n"))
	_ = z.Close()
	if r := read(t, b.String()); r.Tool != Points || len(r.Points) != 1 {
		t.Errorf("%+v", r)
	}
}

// Whatever a file holds, it is read or refused, and points are finite.
func FuzzRead(f *testing.F) {
	for _, file := range written() {
		f.Add(file.text[:min(len(file.text), 1500)])
	}
	f.Add([]byte(`<testResults><sample t="5" ts="1772445600000" s="true" rm="Number of samples in transaction"><httpSample t="5" ts="1772445600000" s="false" rc="503"/></sample></testResults>`))
	f.Add([]byte(`{"metrics":{"http_reqs":{"count":3000,"rate":100},"http_req_duration":{"avg":12,"p(99)":44}}}`))
	f.Add([]byte("Timestamp,User Count,Type,Name,Total Request Count,Total Failure Count,Total Average Response Time,50%\n1,1,,Aggregated,1,0,1,1\n20,1,,Aggregated,9,0,1,1\n"))
	f.Add([]byte(gatlingOverflow))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read("file", bytes.NewReader(b), Config{})
		if err != nil {
			return
		}
		for _, p := range r.Points {
			for _, v := range []float64{p.Offered, p.Throughput, p.Seconds, p.Response.P99, p.Response.Mean, p.InFlight, p.ErrorRatio} {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					t.Fatalf("%g in %+v", v, p)
				}
			}
		}
	})
}

// gatlingOverflow is a log with a request whose time in nanoseconds is 2^64 and a bit: as a
// time.Duration, 448.384 us.
const gatlingOverflow = "REQUEST\t1\tx\t1772445600000\t1772445600010\tOK\nREQUEST\t1\tx\t1772445600000\t20219189673710\tOK\n"

// Times of a log may be any numbers, and none of them is taken for another one.
func TestGatlingTimesThatNoDurationHolds(t *testing.T) {
	if end := int64(20219189673710); time.Duration(end-1772445600000)*time.Millisecond > time.Second {
		t.Fatal("the log has no time that overflows")
	}
	if r, err := Read("simulation.log", strings.NewReader(gatlingOverflow), Config{}); err == nil || !strings.Contains(err.Error(), "takes more than 24h") {
		t.Errorf("read as %+v, %v", r, err)
	}
	for _, c := range []struct {
		start, end int64
		want       time.Duration // -1 for an error
	}{
		{1000, 1012, 12 * time.Millisecond},
		{1000, 1000 + maxLasts.Milliseconds(), maxLasts},
		{1000, 1001 + maxLasts.Milliseconds(), -1},
		{0, math.MaxInt64, -1},
		{math.MinInt64, math.MaxInt64, -1},
		{math.MaxInt64, math.MinInt64, -1},
		{math.MaxInt64, 0, -time.Millisecond}, // negative, which the log refuses
	} {
		got, err := elapsed(c.start, c.end)
		if (err != nil) != (c.want == -1) || err == nil && got != c.want {
			t.Errorf("%d to %d: %s, %v", c.start, c.end, got, err)
		}
	}
}

// JMeter writes the same samples in XML, and in CSV without a header as releases
// before 3.0 do and those from 3.1 on: all read alike.
func TestJMeterInItsOtherForms(t *testing.T) {
	var old, new, xml strings.Builder
	xml.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testResults version=\"1.2\">\n")
	for i := range 1000 {
		at, ms, ok := 1772445600000+int64(20*i), 5+i%7, i%100 != 0
		code := map[bool]string{true: "200", false: "503"}[ok]
		fmt.Fprintf(&old, "%d,%d,\"buy, \"\"now\"\"\",%s,OK,Thread Group 1-%d,text,%t,1000,%d\n", at, ms, code, i%8, ok, ms)
		fmt.Fprintf(&new, "%d,%d,\"buy, \"\"now\"\"\",%s,OK,Thread Group 1-%d,text,%t,,1000,120,8,8,http://shop/buy,%d,0,1\n", at, ms, code, i%8, ok, ms)
		sample := fmt.Sprintf(`<httpSample t="%d" lt="%d" ts="%d" s="%t" lb="buy, &quot;now&quot;" rc="%s" rm="OK" tn="Thread Group 1-%d" dt="text" by="1000">`, ms, ms, at, ok, code, i%8)
		if i%2 == 0 { // a redirect inside, which the sample includes
			fmt.Fprintf(&xml, "%s<httpSample t=\"1\" ts=\"%d\" s=\"true\" lb=\"other\" rc=\"302\" rm=\"Found\"/></httpSample>\n", sample, at)
			continue
		}
		fmt.Fprintf(&xml, "<sample t=\"%d\" ts=\"%d\" s=\"true\" lb=\"checkout\" rc=\"\" rm=\"Number of samples in transaction : 1, number of failing samples : 0\">%s</httpSample></sample>\n", ms, at, sample)
	}
	whole := xml.String() + "</testResults>\n"
	for name, text := range map[string]string{"before 3.0": old.String(), "from 3.1": new.String(), "XML": whole, "XML that broke off": xml.String() + "<httpSample t=\"5"} {
		r := read(t, text)
		if r.Tool != JMeter || len(r.Points) != 1 {
			t.Fatalf("%s: %s with %d points", name, r.Format, len(r.Points))
		}
		p := r.Points[0]
		if p.OK != 990 || p.Failed != 10 || p.Errors["status"] != 10 || len(p.Requests) != 1 || p.Requests["buy, \"now\""].OK != 990 || math.Abs(p.Response.P50-8) > 0.01 || p.Windows[0].Tally.BytesIn/p.Windows[0].Tally.Ended() != 1000 {
			t.Errorf("%s: %+v", name, p.Figures)
		}
	}
	for text, want := range map[string]string{
		"<testResults><sample t=\"5\" ts=\"soon\"/></testResults>":                 "ts: ",
		"<testResults><sample t=\"-5\" ts=\"1772445600000\"/></testResults>":       "t: ",
		"<testResults><sample t=\"5\" ts=\"1772445600000\"></other></testResults>": "element",
	} {
		if _, err := Read("file", strings.NewReader(text), Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
