package importer

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var jmeterLacks = []string{
	"JMeter's thread groups are a closed load unless a throughput timer or the open model thread group is used: a slow target is asked less often, and the capacity may lie below what is shown",
	"JMeter's times are whole milliseconds, and run from the sending of a request",
	"JMeter records nothing of the target: without resource use there is no bottleneck and no cost",
}

// delimiters that jmeter.save.saveservice.default_delimiter is set to.
var delimiters = []rune{',', ';', '\t', '|'}

// delimiterOf is the delimiter of a JTL by its header; 0 if it is none.
func delimiterOf(head []byte) rune {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	for _, d := range delimiters {
		fields := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(line), `"`, "")), string(d))
		if slices.Contains(fields, "timeStamp") && slices.Contains(fields, "elapsed") {
			return d
		}
	}
	return 0
}

func isJTL(head []byte) bool { return delimiterOf(head) != 0 }

// readJMeter reads a JTL in CSV with a header. timeStamp is the start of a sample
// (sampleresult.timestamp.start=true, as shipped), elapsed its milliseconds. The
// samples of transaction controllers repeat those inside them, and are left out.
func readJMeter(in *input) (*Results, error) {
	head, _ := in.Peek(headBytes)
	rows, err := newRowsBy(in, delimiterOf(bytes.TrimPrefix(head, []byte("\ufeff"))))
	if err != nil {
		return nil, err
	}
	if !rows.has("success") {
		return nil, fmt.Errorf("%s: no column success; set jmeter.save.saveservice.successful=true", in.name)
	}
	return readSamples(in, rows)
}

// bareColumns are the columns that a JTL without a header begins with, as shipped:
// JMeter writes none before 3.0, or if it is told so. failureMessage is between
// success and bytes from 3.1 on.
var bareColumns = []string{"timeStamp", "elapsed", "label", "responseCode", "responseMessage", "threadName", "dataType", "success"}

// isBareJTL tells a JTL without a header by its first row: milliseconds since 1970,
// milliseconds, and whether it was a success in the eighth place.
func isBareJTL(head []byte) bool {
	fields := bareFields(head)
	if len(fields) <= len(bareColumns) || len(fields[0]) != 13 {
		return false
	}
	_, err1 := strconv.ParseUint(fields[0], 10, 64)
	_, err2 := strconv.ParseUint(fields[1], 10, 64)
	success := fields[len(bareColumns)-1]
	return err1 == nil && err2 == nil && (success == "true" || success == "false")
}

func bareFields(head []byte) []string {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	fields, _ := csv.NewReader(bytes.NewReader(line)).Read() // nil if it is no CSV
	return fields
}

func readBareJTL(in *input) (*Results, error) {
	head, _ := in.Peek(headBytes)
	names := slices.Clone(bareColumns)
	fields := bareFields(bytes.TrimPrefix(head, []byte("\ufeff")))
	if _, err := strconv.ParseUint(fields[len(names)], 10, 64); err != nil {
		names = append(names, "failureMessage")
	}
	if len(fields) > len(names) {
		names = append(names, "bytes")
	}
	out, err := readSamples(in, bareRows(in, ',', names))
	if err == nil {
		out.Lacks = append(out.Lacks, "the JTL has no header: its columns are taken to be those that JMeter writes as shipped; hint: jmeter.save.saveservice.print_field_names=true")
	}
	return out, err
}

// readSamples reads the rows of a JTL.
func readSamples(in *input, rows *rows) (*Results, error) {
	l, transactions := &log{}, 0
	for rows.next() {
		if isTransaction(rows.get("responseMessage")) {
			transactions++
			continue
		}
		at, err := instant(rows.get("timeStamp"))
		if err != nil {
			rows.wrong("timeStamp", "set jmeter.save.saveservice.timestamp_format=ms", "timeStamp: %v", err)
			continue
		}
		lasted, err := millis(rows.get("elapsed"))
		if err != nil {
			rows.wrong("elapsed", "", "elapsed: %v", err)
			continue
		}
		r := record{start: at, lasted: lasted, name: rows.get("label")}
		r.bytesIn, _ = strconv.ParseUint(rows.get("bytes"), 10, 64) // egress is 0 without it
		if !strings.EqualFold(rows.get("success"), "true") {
			r.class = classOf(rows.get("responseCode"), rows.get("responseMessage")+" "+rows.get("failureMessage"))
		}
		if err := l.add(r); err != nil {
			rows.wrong("timeStamp", "", "%v", err)
			if errors.Is(err, errTooMany) {
				break
			}
		}
	}
	if err := rows.problems.Err(); err != nil {
		return nil, err
	}
	return l.samples(in, transactions)
}

// isTransaction tells the sample of a transaction controller by its message.
func isTransaction(message string) bool {
	return strings.HasPrefix(message, "Number of samples in transaction")
}

// samples are the results of JMeter's log.
func (l *log) samples(in *input, transactions int) (*Results, error) {
	out, err := l.results(in, jmeterLacks)
	if err == nil && transactions > 0 {
		out.Lacks = append(out.Lacks, fmt.Sprintf("%d samples of transaction controllers were left out, as they repeat the requests inside them", transactions))
	}
	return out, err
}
