package importer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/headroom-project/headroom/capacity/table"
	"github.com/headroom-project/headroom/loadgen/observation"
)

// The tools whose results are read.
const (
	Points  = "points"
	K6      = "k6"
	Vegeta  = "vegeta"
	Gatling = "gatling"
	Locust  = "locust"
	JMeter  = "jmeter"
)

// MaxBytes is the greatest size of a file, after decompression.
const MaxBytes = 4 << 30

// Tools lists them.
func Tools() []string { return []string{Points, K6, Vegeta, Gatling, Locust, JMeter} }

// Config says how a file is read.
type Config struct {
	// Tool names whose file it is; empty to tell by its first lines.
	Tool string
	// Discard says how much of a step of a length is warm-up and kept out; nil
	// for nothing. It applies to logs only.
	Discard func(lasts time.Duration) time.Duration
}

// Results is what was read of one file.
type Results struct {
	// Tool and Format say what it was: k6, "k6 CSV".
	Tool, Format string
	// Started is when the first request was sent; zero if the file does not say.
	Started time.Time
	Points  []observation.Point
	// Columns are the names of the figures, for a table; nil for a log, which has
	// all of them.
	Columns []string
	// Gaps are those of the columns that are empty in some point.
	Gaps []string
	// Method says how the points came about, Lacks what they lack against a
	// drill's, each in a sentence.
	Method, Lacks []string
}

// Metric says whether an objective's metric can be read off the results, and if
// not, what is missing.
func (r *Results) Metric(metric string) (missing string, ok bool) {
	if r.Columns == nil {
		return "", true
	}
	t := table.Table{Columns: r.Columns, Gaps: r.Gaps}
	return t.Has(metric)
}

// format reads one kind of file.
type format struct {
	tool, name string
	// is tells by the begin of the file.
	is   func(head []byte) bool
	read func(in *input) (*Results, error)
}

func formats() []format {
	return []format{
		{K6, "k6 CSV", isHeader("metric_name", "metric_value"), readK6CSV},
		{K6, "k6 JSON lines", isK6Lines, readK6Lines},
		{K6, "k6 machine-readable summary", isK6Machine, readK6Machine},
		{K6, "k6 summary", isK6Summary, readK6Summary},
		{Gatling, "Gatling statistics", isGatlingStats, readGatlingStats},
		{Gatling, "Gatling simulation.log", isGatlingLog, readGatlingLog},
		{Locust, "Locust history", isHeader("Timestamp", "User Count"), readLocustHistory},
		{Locust, "Locust statistics", isHeader("Type", "Name", "Request Count"), readLocustStats},
		{JMeter, "JMeter JTL", isJTL, readJMeter},
		{JMeter, "JMeter JTL without a header", isBareJTL, readBareJTL},
		{JMeter, "JMeter XML", isJMeterXML, readJMeterXML},
		{Vegeta, "vegeta report", isVegetaReport, readVegetaReport},
		{Vegeta, "vegeta results", isVegeta, readVegeta},
		{Points, "points.csv", isTable, readTable},
	}
}

// input is a file that is read.
type input struct {
	name string
	*bufio.Reader
	limit *limited
	cfg   Config
}

// headBytes is how much of a file is looked at to tell what it is.
const headBytes = 4096

// Read reads one file; name is what errors call it. The error says what is wrong
// with the file, with the line where there are lines.
func Read(name string, r io.Reader, cfg Config) (*Results, error) {
	if cfg.Discard == nil {
		cfg.Discard = func(time.Duration) time.Duration { return 0 }
	}
	if cfg.Tool != "" && !slices.Contains(Tools(), cfg.Tool) {
		return nil, fmt.Errorf("unknown tool %q; known are %s", cfg.Tool, strings.Join(Tools(), ", "))
	}
	plain, err := decompressed(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	limit := &limited{r: plain, left: MaxBytes, line: maxLine}
	in := &input{name: name, cfg: cfg, limit: limit, Reader: bufio.NewReaderSize(limit, 64<<10)}
	head, err := in.Peek(headBytes)
	if err != nil && len(head) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", name)
	}
	head = bytes.TrimPrefix(head, []byte("\ufeff"))
	for _, f := range formats() {
		if cfg.Tool != "" && f.tool != cfg.Tool || !f.is(head) {
			continue
		}
		out, err := f.read(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		out.Tool, out.Format = f.tool, f.name
		return out, nil
	}
	return nil, unknown(name, head, cfg.Tool)
}

// ErrUnknown is wrapped by Read's error where the file is none of the tool's, or of any.
var (
	ErrUnknown = errors.New("cannot tell whose results these are")
	errNotOf   = notOf{}
)

// notOf is ErrUnknown of a file whose tool was named.
type notOf struct{}

func (notOf) Error() string        { return "this does not look like a file of" }
func (notOf) Is(target error) bool { return target == ErrUnknown }

// unknown names the formats that are not read but may be meant.
func unknown(name string, head []byte, tool string) error {
	text := string(head)
	switch {
	case strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff"):
		return fmt.Errorf("%s: this is UTF-16, as spreadsheets save \"Unicode text\"; save it as CSV in UTF-8", name)
	case strings.HasPrefix(text, "var stats = {"):
		return fmt.Errorf("%s: this is Gatling's stats.js; beside it is stats.json", name)
	case strings.Contains(text, `"schema": "headroom.run/v1"`):
		return fmt.Errorf("%s: this is run.json; give the bundle, the folder that it is in", name)
	case len(head) > 0 && head[0] == 0 && (tool == "" || tool == Gatling):
		return fmt.Errorf("%s: a binary simulation.log, as Gatling writes from 3.11 on, is not read; give js/stats.json of its report", name)
	case tool != "":
		return fmt.Errorf("%s: %w %s", name, errNotOf, tool)
	}
	return fmt.Errorf("%s: %w; a table begins with offered_rps,throughput_rps,p99_ms", name, ErrUnknown)
}

// decompressed undoes gzip.
func decompressed(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		return gzip.NewReader(in)
	}
	return in, nil
}

// isHeader tells a CSV file by the names in its first line.
func isHeader(names ...string) func([]byte) bool {
	return func(head []byte) bool {
		line, _, _ := bytes.Cut(head, []byte("\n"))
		fields := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(line), `"`, "")), ",")
		for _, n := range names {
			if !slices.Contains(fields, n) {
				return false
			}
		}
		return true
	}
}

func isTable(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	for bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) {
		_, head, _ = bytes.Cut(head, []byte("\n"))
		line, _, _ = bytes.Cut(head, []byte("\n"))
	}
	text := strings.ToLower(string(line))
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") || strings.HasPrefix(text, "<") {
		return false // JSON or XML of somebody else
	}
	return strings.Contains(text, "rps") || strings.Contains(text, "p99") || strings.Contains(text, "offered") || strings.Contains(text, "throughput")
}

func readTable(in *input) (*Results, error) {
	t, err := table.Read(in.name, in)
	if err != nil {
		return nil, err
	}
	return &Results{
		Points: t.Points, Columns: t.Columns, Gaps: t.Gaps,
		Method: []string{"Points were read from a table, one for each row."},
		Lacks:  append(t.Warnings, "a table has no histograms: intervals rest on quantiles and on the length of a step"),
	}, nil
}
