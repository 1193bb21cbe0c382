package importer

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/headroom-project/headroom/capacity/table"
)

func isJMeterXML(head []byte) bool { return bytes.Contains(head, []byte("<testResults")) }

// readJMeterXML reads a JTL in XML: elements sample and httpSample with attributes
// ts (start, ms since 1970), t (ms), lb, rc, rm, s and by. Those inside another are
// its redirects and embedded files, which it includes; those inside the sample of a
// transaction controller are its requests, and count in its place. A file that
// breaks off, as of a tool that was killed, reads up to there.
func readJMeterXML(in *input) (*Results, error) {
	x := &jmeterXML{in: xml.NewDecoder(in), log: &log{}, problems: &table.Problems{Name: in.name}}
	for {
		token, err := x.in.Token()
		var broken *xml.SyntaxError
		switch {
		case errors.Is(err, io.EOF), errors.As(err, &broken) && strings.Contains(broken.Msg, "unexpected EOF"):
			return x.results(in)
		case errors.As(err, &broken):
			x.problems.Add(broken.Line, 0, "", "%s", broken.Msg)
			return x.results(in)
		case err != nil:
			return nil, err
		}
		if start, ok := token.(xml.StartElement); ok && (start.Name.Local == "sample" || start.Name.Local == "httpSample") {
			if done := x.sample(start); done {
				return x.results(in)
			}
		}
	}
}

// jmeterXML gathers the samples of a file.
type jmeterXML struct {
	in           *xml.Decoder
	log          *log
	problems     *table.Problems
	transactions int
}

// sample takes one sample, and skips what is inside it. done says that no more is
// read.
func (x *jmeterXML) sample(start xml.StartElement) (done bool) {
	at := map[string]string{}
	for _, a := range start.Attr {
		at[a.Name.Local] = a.Value
	}
	if isTransaction(at["rm"]) {
		x.transactions++
		return false
	}
	line, _ := x.in.InputPos()
	r, err := xmlRecord(at)
	if err == nil {
		err = x.log.add(r)
	}
	if err != nil {
		x.problems.Add(line, 0, "", "%v", err)
		if errors.Is(err, errTooMany) || len(x.problems.List) >= 20 {
			return true
		}
	}
	_ = x.in.Skip() // an error comes again with the next token
	return false
}

func xmlRecord(at map[string]string) (record, error) {
	ms, err := strconv.ParseInt(at["ts"], 10, 64)
	if err != nil {
		return record{}, fmt.Errorf("ts: %.40q is no time in milliseconds", at["ts"])
	}
	lasted, err := millis(at["t"])
	if err != nil {
		return record{}, fmt.Errorf("t: %w", err)
	}
	r := record{start: time.UnixMilli(ms), lasted: lasted, name: at["lb"]}
	r.bytesIn, _ = strconv.ParseUint(at["by"], 10, 64) // egress is 0 without it
	if at["s"] != "true" {
		r.class = classOf(at["rc"], at["rm"])
	}
	return r, nil
}

func (x *jmeterXML) results(in *input) (*Results, error) {
	if err := x.problems.Err(); err != nil {
		return nil, err
	}
	return x.log.samples(in, x.transactions)
}
