package table

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/headroom-project/headroom/loadgen/observation"
	"pgregory.net/rapid"
)

// Line ends of every system are read.
func TestLineEnds(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		x, err := Read("p.csv", strings.NewReader(strings.Join([]string{"\ufeffoffered_rps,throughput_rps,p99_ms", "1,1,5", "2,2,6", ""}, end)))
		if err != nil || len(x.Points) != 2 || x.Points[1].Response.P99 != 6 {
			t.Errorf("%q: %+v, %v", end, x, err)
		}
	}
}

// A lower quantile may stand in for p99, and what is empty in some row is no figure
// to hold an objective against.
func TestWithoutP99(t *testing.T) {
	x, err := Read("p.csv", strings.NewReader("offered_rps,throughput_rps,p95_ms,p90_ms\n1,1,5,4\n2,2,6,\n"))
	if err != nil {
		t.Fatal(err)
	}
	for metric, missing := range map[string]string{"p95": "", "p99": "p99_ms", "p90": "p90_ms in each row"} {
		if column, ok := x.Has(metric); ok != (missing == "") || !ok && column != missing {
			t.Errorf("%s: %q, %t", metric, column, ok)
		}
	}
	var b bytes.Buffer
	if err := Write(&b, x.Points, "error_ratio"); err != nil {
		t.Fatal(err)
	}
	if want := "step,offered_rps,throughput_rps,p90_ms,p95_ms,error_ratio\n0,1,1,4,5,0\n1,2,2,,6,0\n"; b.String() != want {
		t.Errorf("written as\n%s", b.String())
	}
}

// What is wrong is told all at once, each with its place and what to write.
func TestProblems(t *testing.T) {
	const head = "offered_rps,throughput_rps,p99_ms"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"empty":             {"", []string{"p.csv:1: the table is empty"}},
		"header alone":      {head + "\n", []string{"no row"}},
		"missing":           {"offered_rps,p99_ms\n1,1\n", []string{"column throughput_rps is missing"}},
		"unknown":           {head + ",error_rate\n1,1,1,0\n", []string{"p.csv:1:4: unknown column \"error_rate\"", "did you mean error_ratio?"}},
		"seconds by name":   {"offered_rps,throughput_rps,p99_s\n1,1,1\n", []string{"multiply by 1000"}},
		"twice":             {head + ",p99_ms\n1,1,1,1\n", []string{"p.csv:1:4: column p99_ms is there twice"}},
		"limit alone":       {head + ",cpu_limit\n1,1,1,1\n", []string{"no column cpu_used"}},
		"semicolons":        {"offered_rps;throughput_rps;p99_ms\n1;1;1\n", []string{"separate fields by commas"}},
		"minutes offered":   {head + "\n613,10.2,65\n1164,19.3,66\n3030,50.5,82\n", []string{"p.csv:2: a sixtieth", "offered_rps looks like requests per minute"}},
		"thousands":         {head + "\n\"10,211.0\",\"1.234,5\",\"1,234,567\"\n", []string{"leave out separators of thousands: 10211.0\n", "leave out separators of thousands, and write decimals with a point: 1234.5\n", "leave out separators of thousands: 1234567"}},
		"other thousands":   {head + "\n10'211.5,10\u202f211,1.234.567\n", []string{": 10211.5\n", ": 10211\n", ": 1234567"}},
		"either":            {head + "\n\"1,500\",1,\"0,500\"\n", []string{"write decimals with a point: 1.500; or leave out separators of thousands: 1500", "write decimals with a point: 0.500"}},
		"no one separator":  {head + "\n1,1,\"1,234.567,8\"\n", []string{"write milliseconds as a plain number"}},
		"unquoted":          {head + "\n10,211,1,5\n", []string{"4 fields", "thousands without a separator"}},
		"millicores, 10%":   {head + ",mean_ms,cpu_used,cpu_limit,in_flight\n10,10,65,13,113,1000,0.13\n50,50,82,20,499,1000,1\n", []string{"cpu_used is 113 cores of 1000, and 0.13 requests are in flight", "cpu is in cores: if these are millicores, divide both by 1000"}},
		"no limit of cpu":   {head + ",mean_ms,cpu_used\n10,10,65,13,50\n50,50,82,20,499\n", []string{"p.csv:3: cpu_used is 499 cores, ", "if these are millicores, divide it by 1000"}},
		"per cent of cores": {head + ",mean_ms,cpu_used,cpu_limit\n10,10,65,15,11,400\n50,50,82,20,49,400\n", []string{"p.csv:2: cpu_used is 11 cores of 400", "if per cent of a core, by 100"}},
		"millicores":        {head + ",cpu_used,cpu_limit\n10,10,65,113,1000\n20,20,66,190,1000\n", []string{"cpu_used is 113 cores of 1000", "divide both by 1000"}},
		"NaN":               {head + "\nNaN,1,1\n", []string{"p.csv:2:1: offered_rps: NaN is not a finite number"}},
		"negative, twice":   {head + "\n1,-1,1\n1,1,-0.5\n", []string{"p.csv:2:2: throughput_rps: -1 is negative", "p.csv:3:3: p99_ms: -0.5 is negative"}},
		"no load":           {head + "\n0,0,1\n", []string{"0 is not above 0"}},
		"units in cells":    {head + "\n100,100,12ms\n", []string{"p.csv:2:3", "plain number"}},
		"decimal comma":     {head + "\n\"1,5\",1,1\n", []string{"write decimals with a point: 1.5"}},
		"per cent":          {head + ",error_ratio\n1,1,1,5\n", []string{"write 0.05"}},
		"short row":         {head + "\n1,1\n", []string{"p.csv:2: 2 fields, and the header has 3"}},
		"more than offered": {head + "\n100,6000,1\n", []string{"divide it by 60"}},
		"quantiles":         {head + ",p50_ms\n100,100,0.05,20\n", []string{"p99_ms looks like seconds"}},
		"Little's law":      {head + ",mean_ms,in_flight\n100,100,0.03,0.01,1\n", []string{"Little's law", "mean_ms looks like seconds"}},
		"microseconds":      {head + ",mean_ms,in_flight\n100,100,30000,10000,1\n", []string{"divide it by 1000"}},
		"a row in seconds":  {head + "\n100,100,50\n200,200,0.06\n", []string{"p.csv:3", "looks like seconds in this row"}},
		"above its limit":   {head + ",pool_used,pool_limit\n1,1,1,12,8\n", []string{"pool_used (12) is above pool_limit (8)"}},
		"millicores of 2":   {head + ",cpu_used,cpu_limit\n1,1,1,301,2\n2,2,2,1500,2\n", []string{"p.csv:2: cpu_used (301) is above", "hint: cpu_used looks like millicores: divide it by 1000"}},
		"a ratio with %":    {head + ",error_ratio\n1,1,1,5%\n", []string{"a ratio is from 0 to 1: write 0.05"}},
		"cpu in per cent":   {head + ",cpu_used,cpu_limit\n1,1,1,150,2\n", []string{"divide it by 100"}},
		"cpu of 100":        {head + ",mean_ms,cpu_used,cpu_limit\n100,100,10,5,25,100\n150,150,12,6,37,100\n", []string{"p.csv:2", "25 cores of 100", "per cent of the machine"}},
		"by the minute":     {head + ",mean_ms,in_flight\n6000,6000,10,5,0.5\n9000,9000,12,6,0.9\n", []string{"p.csv:2", "requests per minute: divide them by 60"}},
		"nanocores":         {head + ",cpu_used,cpu_limit\n1,1,1,5e8,2e9\n", []string{"cores, not nanocores: divide by 1e9"}},
		"microcores":        {head + ",cpu_used\n1,1,1,5e5\n", []string{"cpu_used is 500000 cores", "not microcores"}},
		"memory in GB":      {head + ",memory_used,memory_limit\n1,1,1,1,4\n", []string{"4294967296"}},
		"no quantile":       {"offered_rps,throughput_rps,mean_ms\n1,1,1\n", []string{"column p99_ms is missing", "or p95_ms"}},
		"no fraction":       {head + ",step\n1,1,1,1.5\n", []string{"no whole number"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read("p.csv", strings.NewReader(c.text))
			var p *Problems
			if !errors.As(err, &p) {
				t.Fatalf("error %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

func TestReadTable(t *testing.T) {
	got, err := Read("p.csv", strings.NewReader("\ufeff# from a bench\r\noffered_rps,throughput_rps,p99_ms,seconds,mean_ms,error_ratio,cpu_used,cpu_limit,pool.shop_used,pool.shop_limit\r\n100, 90,12.5,10,5,0.1,0.5,2,3,\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := got.Points[0]
	if p.Offered != 100 || p.Throughput != 90 || p.Response.P99 != 12.5 || p.OK != 900 || p.Failed != 100 || p.InFlight != 0.45 || !p.Valid {
		t.Errorf("%+v", p)
	}
	if u := p.Resources["cpu"]; u.Used != 0.5 || u.Limit != 2 || u.Unit != "cores" {
		t.Errorf("cpu %+v", u)
	}
	if u := p.Resources["pool.shop"]; u.Used != 3 || u.Limit != 0 {
		t.Errorf("pool %+v", u)
	}
	if _, ok := got.Has("p999"); ok {
		t.Error("p999 is there")
	}
	fast, err := Read("p.csv", strings.NewReader("offered_rps,throughput_rps,p99_ms\n100,100,0.012\n200,200,0.3\n"))
	if err != nil || len(fast.Warnings) < 1 || !strings.Contains(fast.Warnings[0], "if these are seconds") {
		t.Errorf("%v, warnings %q", err, fast.Warnings)
	}
}

// A machine of a thousand cores is odd, and may be one where there are requests for so many.
func TestMillicoresAreAWarning(t *testing.T) {
	got, err := Read("p.csv", strings.NewReader("offered_rps,throughput_rps,p99_ms,cpu_used,cpu_limit\n100,100,2000,500,2000\n"))
	if err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), "if these are millicores, divide by 1000") {
		t.Errorf("%v, %+v", err, got)
	}
}

// A hint does not name what the figures rule out: a hundredth of 499 cores is too many for
// the one request in flight, and 0,500 is no thousand.
func TestHintsNameOneMeaning(t *testing.T) {
	for text, want := range map[string]string{
		"offered_rps,throughput_rps,p99_ms,mean_ms,cpu_used,cpu_limit\n10,10,65,13,113,1000\n50,50,82,20,499,1000\n": "if these are millicores, divide both by 1000",
		"offered_rps,throughput_rps,p99_ms\n1,1,\"0,500\"\n":                                                         "write decimals with a point: 0.500",
	} {
		if _, err := Read("p.csv", strings.NewReader(text)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %q at its end", err, want)
		}
	}
}

// What half of the rows or more do not show is no limit of a hundred, either.
func TestManyCoresThatAreUsed(t *testing.T) {
	const head = "offered_rps,throughput_rps,p99_ms,mean_ms,cpu_used,cpu_limit\n"
	for rows, want := range map[string]string{
		"10,10,20,10,30,128\n3000,3000,40,10,30,128\n6000,6000,40,10,60,128\n": "",
		"3000,3000,900,300,300,1000\n6000,6000,900,300,600,1000\n":             "if these are millicores, divide by 1000",
		"10,10,20,10,5,100\n3000,3000,40,10,30,100\n6000,6000,40,10,60,100\n":  "cpu_limit is 100 cores",
		"10,10,20,10,30,64\n20,20,20,10,30,64\n":                               "",
		"10,10,20,10,30,64\n20,20,20,10,110,640\n30,30,20,10,120,640\n":        "",
	} {
		got, err := Read("p.csv", strings.NewReader(head+rows))
		if err != nil {
			t.Errorf("%q: %v", rows, err)
			continue
		}
		said := strings.Join(slices.DeleteFunc(got.Warnings, func(w string) bool { return !strings.Contains(w, "cpu") }), "\n")
		if !strings.Contains(said, want) || want == "" && said != "" {
			t.Errorf("%q: %q, want %q", rows, said, want)
		}
	}
}

// Microseconds are a warning where a step is shorter than its responses, or a thousandth of
// them is what the cpu explains; a target that waits for another one is left alone.
func TestMicrosecondsAreAWarning(t *testing.T) {
	const head = "offered_rps,throughput_rps,p99_ms,mean_ms,seconds,cpu_used,cpu_limit\n"
	for name, c := range map[string]struct{ rows, want string }{
		"longer than the step":   {"10,10,64962,13331,38,,\n20,19.5,56012,11601,38,,\n", "line 2: 64.962 s in a step of 38 s); if these are microseconds, divide them by 1000"},
		"as the cpu says":        {"10,10,64962,13331,120,0.113,1\n20,20,56012,11601,120,0.19,1\n50,50,82520,19685,120,0.4988,1\n", "11.3 ms of cpu, and mean_ms is 13331); if these are microseconds"},
		"milliseconds":           {"10,10,64.9,13.3,38,0.113,1\n20,20,56,11.6,38,0.19,1\n", ""},
		"waits for another":      {"10,10,6000,2000,38,0.02,1\n20,20,6100,2000,38,0.04,1\n", ""},
		"waits long for another": {"10,10,130000,120000,300,0.2,1\n20,20,130000,121000,300,0.4,1\n", ""},
		"a step that was longer": {"10,10,64962,13331,38,,\n20,20,56012,11601,120,,\n", ""},
		"overload":               {"100,50,64962,13331,38,,\n200,50,66012,21601,38,,\n", ""},
		"much cpu":               {"1,1,4000,1500,38,1.3,4\n2,2,5000,1600,38,2.6,4\n", ""},
	} {
		got, err := Read("p.csv", strings.NewReader(head+c.rows))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if said := strings.Join(got.Warnings, "\n"); !strings.Contains(said, c.want) || c.want == "" && said != "" {
			t.Errorf("%s: %q, want %q", name, said, c.want)
		}
	}
}

// A throughput that counts failed hits is recognised where that cannot be else, and what is
// left of it counts.
func TestThroughputOfAllAnswers(t *testing.T) {
	got, err := Read("p.csv", strings.NewReader("offered_rps,throughput_rps,p99_ms,seconds,error_ratio\n100,100,9,10,0.01\n200,200,10,10,0.5\n"))
	if err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), "counts failed hits too (line 3") {
		t.Fatalf("%v, %+v", err, got)
	}
	if p := got.Points[0]; p.Throughput != 99 || p.Sent != 1000 {
		t.Errorf("the first row: %+v", p)
	}
	if p := got.Points[1]; p.Throughput != 100 || p.OK != 1000 || p.Failed != 1000 {
		t.Errorf("the second row: %+v", p)
	}
	for name, text := range map[string]string{
		"answered OK": "200,100,10,10,0.5", "none failed": "200,200,10,10,0",
	} {
		got, err := Read("p.csv", strings.NewReader("offered_rps,throughput_rps,p99_ms,seconds,error_ratio\n"+text+"\n"))
		if err != nil || len(got.Warnings) > 0 {
			t.Errorf("%s: %v, %q", name, err, got.Warnings)
		}
	}
}

// A machine of a hundred cores that many requests use may be one.
func TestHundredCoresAreAWarning(t *testing.T) {
	got, err := Read("p.csv", strings.NewReader("offered_rps,throughput_rps,p99_ms,mean_ms,cpu_used,cpu_limit\n3000,3000,40,10,28,100\n6000,6000,40,10,55,100\n"))
	if err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), "cpu_limit is 100 cores") {
		t.Errorf("%v, %+v", err, got)
	}
}

// A table that was written reads back as it was, to eight digits.
func TestWriteReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var points []observation.Point
		load := 10.0
		for i := range rapid.IntRange(1, 8).Draw(t, "points") {
			load *= rapid.Float64Range(1.1, 2).Draw(t, "growth")
			p50 := rapid.Float64Range(1, 5).Draw(t, "p50")
			points = append(points, observation.Point{
				Step: i, Offered: load, Seconds: rapid.Float64Range(1, 60).Draw(t, "seconds"), Valid: true,
				Figures:   observation.Figures{Throughput: load * rapid.Float64Range(0.5, 1).Draw(t, "served"), Response: observation.Quantiles{P50: p50, P99: 3 * p50}},
				Resources: map[string]observation.Use{"cpu": {Used: rapid.Float64Range(0, 2).Draw(t, "cpu"), Limit: 2}},
			})
		}
		var b bytes.Buffer
		if err := Write(&b, points); err != nil {
			t.Fatal(err)
		}
		got, err := Read("p.csv", &b)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range got.Points {
			want := points[i]
			for _, pair := range [][2]float64{{p.Offered, want.Offered}, {p.Throughput, want.Throughput}, {p.Response.P99, want.Response.P99}, {p.Resources["cpu"].Used, want.Resources["cpu"].Used}} {
				if math.Abs(pair[0]-pair[1]) > 1e-6*pair[1]+1e-9 {
					t.Fatalf("%g was written, %g read", pair[1], pair[0])
				}
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("offered_rps,throughput_rps,p99_ms,seconds,p50_ms,cpu_used,cpu_limit\n50,50,6,10,3,0.2,2\n100,99,7,10,3,0.4,2\n")
	f.Add("offered_rps;p99\n\"1,5\";NaN\n")
	f.Add("\ufeffstep,offered_rps,throughput_rps,p99_ms,in_flight,mean_ms\n1,1e300,-0,0x1p3,9,\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Read("p.csv", strings.NewReader(text))
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		for _, p := range got.Points {
			if !(p.Offered > 0) || math.IsInf(p.Offered, 0) || !(p.Throughput >= 0) || p.ErrorRatio < 0 || p.ErrorRatio > 1 {
				t.Fatalf("%+v", p)
			}
		}
	})
}
