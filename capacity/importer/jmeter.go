package importer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var jmeterLacks = []string{
	"JMeter's thread groups are a closed load unless a throughput timer or the open model thread group is used: a slow target is asked less often, and the capacity may lie below what is shown",
	"JMeter's times are whole milliseconds, and run from the sending of a request",
	"JMeter records nothing of the target: without resource use there is no bottleneck and no cost",
}

// readJMeter reads a JTL in CSV with a header. timeStamp is the start of a sample
// (sampleresult.timestamp.start=true, as shipped), elapsed its milliseconds. The
// samples of transaction controllers repeat those inside them, and are left out.
func readJMeter(in *input) (*Results, error) {
	rows, err := newRows(in)
	if err != nil {
		return nil, err
	}
	if !rows.has("success") {
		return nil, fmt.Errorf("%s: no column success; set jmeter.save.saveservice.successful=true", in.name)
	}
	l := &log{}
	transactions := 0
	for rows.next() {
		if strings.HasPrefix(rows.get("responseMessage"), "Number of samples in transaction") {
			transactions++
			continue
		}
		at, _, err := instant(rows.get("timeStamp"))
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
	out, err := l.results(in, jmeterLacks)
	if err == nil && transactions > 0 {
		out.Lacks = append(out.Lacks, fmt.Sprintf("%d samples of transaction controllers were left out, as they repeat the requests inside them", transactions))
	}
	return out, err
}
