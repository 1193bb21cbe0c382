package importer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/headroom-project/headroom/scenarios"
)

const maxTargetLine = 1 << 20 // bytes

var methodLine = regexp.MustCompile(`^[A-Z]+\s`)

// vegetaTarget is one target of a vegeta file.
type vegetaTarget struct {
	line     int
	method   string
	url      string
	headers  []header
	body     string
	bodyFile string
}

// vegeta adds a target: vegeta sends them in turn, a scenario by weight.
func (d *draft) vegeta(t vegetaTarget) error {
	d.strange = true
	it := &item{method: t.method}
	var ok bool
	if it.origin, it.target, ok = d.split(t.url); !ok {
		return lineError(t.line, "URL %q cannot be sent", cut(strings.ToValidUTF8(t.url, "?"), 60))
	}
	if !setMethod(&scenarios.Request{}, t.method, "/") {
		d.note("Targets with the method %s are left out: scenarios do not know it.", cut(t.method, 20))
		return nil
	}
	d.headers(&it.request, t.headers)
	d.body(&it.request, t.body)
	if t.bodyFile != "" && scenarios.CanHold(t.bodyFile) {
		it.request.BodyFile = t.bodyFile
		d.note("Body files are named as in the source: they are looked for next to the scenario.")
	}
	d.add(it)
	return nil
}

func (d *draft) inTurn() {
	if len(d.items) > 1 {
		d.note("Vegeta sends targets in turn; here they are drawn by weight, as often in the mean.")
	}
}

// vegetaHTTP reads the http format: a method and a URL, headers below them, and
// perhaps @ and the name of a body's file.
func vegetaHTTP(d *draft, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxTargetLine)
	var t *vegetaTarget
	end := func() error {
		if t == nil {
			return nil
		}
		done := *t
		t = nil
		return d.vegeta(done)
	}
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		var err error
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			err = end()
		case methodLine.MatchString(line):
			if err = end(); err == nil {
				method, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
				t = &vegetaTarget{line: n, method: method, url: strings.TrimSpace(rest)}
			}
		case t == nil:
			err = lineError(n, "target is not a method and a URL")
		case line[0] == '@':
			t.bodyFile = line[1:]
			err = end()
		default:
			name, value, found := strings.Cut(line, ":")
			if !found {
				return lineError(n, "header has no colon")
			}
			t.headers = append(t.headers, header{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return lineError(n+1, "longer than %s", scenarios.Size(maxTargetLine))
	} else if err != nil {
		return fmt.Errorf("read after line %d: %w", n, err)
	}
	d.inTurn()
	return end()
}

// vegetaJSON reads the JSON format: one object a line.
func vegetaJSON(d *draft, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), 2*maxTargetLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(line) == 0 {
			continue
		}
		var raw struct {
			Method string              `json:"method"`
			URL    string              `json:"url"`
			Body   []byte              `json:"body"`
			Header map[string][]string `json:"header"`
		}
		if err := json.Unmarshal(line, &raw); err != nil {
			return lineError(n, "target is no JSON object of vegeta: %w", err)
		}
		if raw.Method == "" || raw.URL == "" {
			return lineError(n, "target has no method, or no url")
		}
		t := vegetaTarget{line: n, method: raw.Method, url: raw.URL, body: string(raw.Body)}
		for name, values := range raw.Header {
			for _, v := range values {
				t.headers = append(t.headers, header{name, v})
			}
		}
		slices.SortStableFunc(t.headers, func(a, b header) int { return strings.Compare(a.name, b.name) })
		if err := d.vegeta(t); err != nil {
			return err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return lineError(n+1, "longer than %s", scenarios.Size(2*maxTargetLine))
	} else if err != nil {
		return fmt.Errorf("read after line %d: %w", n, err)
	}
	d.inTurn()
	return nil
}
