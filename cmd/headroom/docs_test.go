package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/headroom-project/headroom/loadgen/attack/recorded/recordedtest"
)

// commands are the lines of a page's plain code blocks that begin with headroom.
// Blocks with a language are not run.
func commands(t *testing.T, page string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	open, plain := false, false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if fence, ok := strings.CutPrefix(line, "```"); ok {
			open, plain = !open, !open && fence == ""
			continue
		}
		if plain && strings.HasPrefix(line, "headroom ") {
			out = append(out, line)
		}
	}
	return out
}

// words splits a command line at spaces outside single quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out[len(out)-1] += part
			continue
		}
		out = append(out, strings.Split(part, " ")...)
	}
	kept := out[:0]
	for _, w := range out {
		if w != "" {
			kept = append(kept, w)
		}
	}
	return kept
}

// Every command shown on the pages about planning works, in a folder that has the
// files that they speak of.
func TestCommandsOfTheDocs(t *testing.T) {
	prometheus := httptest.NewServer(http.HandlerFunc(rangeQuery))
	t.Cleanup(prometheus.Close)
	pages := map[string][]string{}
	for page, least := range map[string]int{"planning.md": 12, "importers.md": 9} {
		pages[page] = commands(t, page)
		if len(pages[page]) < least {
			t.Fatalf("%s has %d commands: is it read as it is written?", page, len(pages[page]))
		}
	}
	bundle, err := filepath.Abs(filepath.Join("..", "..", "capacity", "testdata", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.CopyFS(filepath.Join("runs", "shop"), os.DirFS(bundle)); err != nil {
		t.Fatal(err)
	}
	writeExamples(t)
	for page, lines := range pages {
		for _, line := range lines {
			t.Run(page+"/"+line, func(t *testing.T) { runLine(t, strings.ReplaceAll(line, "$PROMETHEUS", prometheus.URL)) })
		}
	}
}

// runLine runs a command line; "# exits N" at its end is the exit code to expect.
func runLine(t *testing.T, line string) {
	line, comment, _ := strings.Cut(line, " #")
	want := 0
	if comment != "" {
		if _, err := fmt.Sscanf(comment, " exits %d", &want); err != nil {
			t.Fatalf("comment %q: %v", comment, err)
		}
	}
	line, file, _ := strings.Cut(line, " > ")
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), words(line), streams{strings.NewReader(""), &stdout, &stderr}); code != want {
		t.Fatalf("exit code %d, want %d\n%s%s", code, want, stdout.String(), stderr.String())
	}
	if stdout.Len() == 0 {
		t.Error("nothing on standard output")
	}
	if file != "" {
		if strings.TrimSpace(file) == "points.csv" {
			return // the table of this folder is the one with cores
		}
		if err := os.WriteFile(strings.TrimSpace(file), stdout.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// writeExamples writes the files that the pages speak of: tables, a price list, a
// history, and results of a server that saturates at 200/s, in several tools' words.
func writeExamples(t *testing.T) {
	t.Helper()
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("points.csv", "offered_rps,throughput_rps,p99_ms,seconds,p50_ms,mean_ms,cpu_used,cpu_limit\n50,50,6.1,10,3,3.2,0.28,2\n100,100,6.9,10,3.1,3.4,0.49,2\n200,200,9.1,10,3.4,4,0.91,2\n300,299,17,10,4.2,5.6,1.32,2\n400,398,48,10,8,12,1.75,2\n440,431,160,10,40,48,1.93,2\n")
	for n, name := range map[int]string{1: "one.csv", 2: "two.csv", 4: "four.csv"} {
		load := 300 * float64(n) / (1 + 0.05*float64(n-1))
		text := "offered_rps,throughput_rps,p99_ms,seconds,p50_ms\n"
		for _, x := range [][2]float64{{0.4, 7}, {0.7, 11}, {1, 30}, {1.15, 90}} {
			text += fmt.Sprintf("%.0f,%.0f,%g,20,3\n", x[0]*load, x[0]*load, x[1])
		}
		write(name, text)
	}
	write("prices.yaml", "currency: EUR\nvcpu_hour: 0.04\ngb_hour: 0.005\ninstances:\n  c7g.xlarge: {vcpu: 4, memory_gb: 8, hour: 0.145, speed: 1.2}\n")
	summary := `{"metrics":{"http_reqs":{"count":%d,"rate":%d},"http_req_failed":{"value":0},"http_req_duration":{"avg":12,"med":%d,"max":190,"p(90)":%d,"p(95)":%d}}}`
	write("low.json", fmt.Sprintf(summary, 3000, 100, 10, 20, 30))
	write("high.json", fmt.Sprintf(summary, 6000, 200, 30, 70, 90))
	history := "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%,Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,Total Min Response Time,Total Max Response Time,Total Average Content Size\n"
	before := 0
	for k, total := range []int{500, 1500, 3000, 5000} {
		p := 9 + 4*k*(k+2)
		for _, row := range [][2]int{{11 * k, before}, {11*k + 10, total}} { // ten seconds of one number of users
			history += fmt.Sprintf("%d,%d,,Aggregated,50,0,%d,7,8,8,%d,%d,%d,%d,%d,%d,%d,%d,0,6,6.5,1,90,100\n", 1772445600+row[0], 5*k+5, p/2, p, p, p, p, p, p, p, row[1])
		}
		before = total
	}
	write("locust_stats_history.csv", history)
	var traffic strings.Builder
	since := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	traffic.WriteString("time,rps\n")
	for h := range 10 * 168 {
		at := since.Add(time.Duration(h) * time.Hour)
		fmt.Fprintf(&traffic, "%s,%.1f\n", at.Format(time.RFC3339), weekday(at, since))
	}
	write("traffic.csv", traffic.String())
	writeLogs(t, write)
}

// writeLogs writes Poisson arrivals at 50 to 230/s on a server that takes 5 ms for
// each request, as k6, JMeter, Gatling and vegeta would.
func writeLogs(t *testing.T, write func(name, text string)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, 9))
	csv, lines := "metric_name,timestamp,metric_value,expected_response,method,name,status,error_code,error\n", ""
	jtl, simulation := "timeStamp,elapsed,label,responseCode,responseMessage,success,bytes\n", "RUN\tshop.Simulation\tsimulation\t1772445600000\t \t3.10.5\n"
	var b1, b2, b3, b4 strings.Builder
	var hits []recordedtest.Hit
	at, free := 0.0, 0.0
	began := time.UnixMilli(1772445600000)
	for step, rate := range []float64{50, 100, 150, 180, 230} {
		for at < float64(15*(step+1)) {
			done := max(at, free) + 0.005
			free = done
			start, lasted := began.Add(time.Duration(at*1e9)), time.Duration((done-at)*1e9)
			ms := lasted.Seconds() * 1000
			end := start.Add(lasted)
			fmt.Fprintf(&b1, "http_req_duration,%d,%.4f,true,GET,/,200,,\n", end.UnixMilli(), ms)
			fmt.Fprintf(&b2, `{"metric":"http_req_duration","type":"Point","data":{"time":%q,"value":%.4f,"tags":{"expected_response":"true","method":"GET","name":"/","status":"200"}}}`+"\n", end.Format(time.RFC3339Nano), ms)
			fmt.Fprintf(&b3, "%d,%d,home,200,OK,true,1000\n", start.UnixMilli(), lasted.Milliseconds())
			fmt.Fprintf(&b4, "REQUEST\t\thome\t%d\t%d\tOK\t \n", start.UnixMilli(), end.UnixMilli())
			hits = append(hits, recordedtest.Hit{Sent: start, Latency: lasted, Code: 200, Method: "GET", URL: "http://shop/", BytesIn: 1000})
			at += rng.ExpFloat64() / rate
		}
	}
	write("k6.csv", csv+b1.String())
	write("k6.json", lines+b2.String())
	write("results.jtl", jtl+b3.String())
	write("simulation.log", simulation+b4.String())
	write("results.bin", string(recordedtest.Write("gob", hits)))
}
