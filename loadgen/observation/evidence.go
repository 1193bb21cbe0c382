package observation

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Names of the files in an evidence folder.
const (
	ScenarioFile = "scenario.yaml"
	JournalFile  = "journal.jsonl"
	WindowsFile  = "windows.jsonl.gz"
	SamplesFile  = "samples.csv"
	// HistoryFile is a copy of capacity.demand.history, if the scenario has one.
	HistoryFile = "history.csv"
	ProfilesDir = "profiles"
)

var samplesHeader = []string{"t_s", "over_s", "step", "source", "resource", "used", "limit", "unit"}

// Recorder writes evidence as it comes, windows from a goroutine of its own, which
// Close ends. After a process dies, or a disk fills up, what was written before can be
// read. It is safe for concurrent use; after the first error every call returns that
// error, and nothing more is written.
type Recorder struct {
	dir string
	// digest is that of the scenario in the folder.
	digest string

	order sync.Mutex // held to hand over a window; never by the goroutine that writes
	queue chan kept
	ended bool
	idle  chan struct{} // closed when nothing of the queue is left

	mu      sync.Mutex
	err     error
	journal *os.File
	windows *os.File
	zip     *gzip.Writer
	samples *os.File
	csv     *csv.Writer
	closed  bool
}

// Record creates the folder dir, which may be there if it is empty, and writes
// the scenario into it. Nothing that exists is ever overwritten.
func Record(dir string, scenario []byte) (*Recorder, error) {
	r := &Recorder{dir: dir, digest: Digest(scenario)}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("create bundle: %s is not empty", dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, ProfilesDir), 0o755); err != nil {
		return nil, fmt.Errorf("create bundle: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ScenarioFile), scenario, 0o644); err != nil {
		return nil, fmt.Errorf("create bundle: %w", err)
	}
	for _, f := range []struct {
		name string
		to   **os.File
	}{{JournalFile, &r.journal}, {WindowsFile, &r.windows}, {SamplesFile, &r.samples}} {
		file, err := os.OpenFile(filepath.Join(dir, f.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			r.closeFiles()
			return nil, fmt.Errorf("create bundle: %w", err)
		}
		*f.to = file
	}
	return r, r.begin(true)
}

// begin makes the writers of the files that are open, and starts the one of windows.
func (r *Recorder) begin(header bool) error {
	r.zip, r.csv = newZip(r.windows), csv.NewWriter(r.samples)
	if header {
		r.fail("write samples", r.csv.Write(samplesHeader))
	}
	r.queue, r.idle = make(chan kept, queued), make(chan struct{})
	go r.keep()
	return r.err
}

// newZip compresses for speed: what is in it is mostly compressed histograms, of which
// a better compression makes little, and of thousands of workers it is a lot.
func newZip(to io.Writer) *gzip.Writer {
	z, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		panic(fmt.Sprintf("gzip: %v", err)) // the level is a valid one
	}
	return z
}

// History keeps the history of the demand that the drill is held against.
func (r *Recorder) History(b []byte) error {
	if err := os.WriteFile(filepath.Join(r.dir, HistoryFile), b, 0o644); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// Dir is the folder.
func (r *Recorder) Dir() string { return r.dir }

// Err is the first error, if there was one.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// fail keeps the first error; the caller holds the lock.
func (r *Recorder) fail(op string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s in %s: %w", op, r.dir, err)
	}
}

// Digest tells scenarios apart: the SHA-256 of the file's bytes, in hex.
func Digest(scenario []byte) string {
	sum := sha256.Sum256(scenario)
	return hex.EncodeToString(sum[:])
}

// Note appends an entry to the journal. The one of the drill is told which scenario lies
// beside it: nobody else has the bytes that were written.
func (r *Recorder) Note(e Entry) error {
	if e.Drill != nil && e.Drill.ScenarioDigest == "" && r.digest != "" {
		drill := *e.Drill
		drill.ScenarioDigest = r.digest
		e.Drill = &drill
	}
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode journal entry: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && !r.closed {
		_, err := r.journal.Write(append(b, '\n'))
		r.fail("write journal", err)
	}
	return r.err
}

// Samples appends readings.
func (r *Recorder) Samples(xs []Sample) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || r.closed {
		return r.err
	}
	for _, x := range xs {
		r.fail("write samples", r.csv.Write([]string{
			seconds(x.At), seconds(x.Over), strconv.Itoa(x.Step), x.Source, x.Resource,
			strconv.FormatFloat(x.Used, 'g', -1, 64), strconv.FormatFloat(x.Limit, 'g', -1, 64), x.Unit,
		}))
	}
	return r.err
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }

// Capture writes a profile to c.File, and then c into the journal. data is empty
// for a capture that failed.
func (r *Recorder) Capture(at time.Duration, c Capture, data []byte) error {
	if len(data) > 0 {
		// Written beside and renamed, so that a profile is there whole or not at all.
		path := filepath.Join(r.dir, filepath.FromSlash(c.File))
		err := os.WriteFile(path+".part", data, 0o644)
		if err == nil {
			err = os.Rename(path+".part", path)
		}
		if err != nil {
			_ = os.Remove(path + ".part")
			r.mu.Lock()
			defer r.mu.Unlock()
			r.fail("write profile", err)
			return r.err
		}
	}
	return r.Note(Entry{Kind: EntryCapture, At: at, Capture: &c})
}

// Flush makes everything written so far readable by others.
func (r *Recorder) Flush() error {
	r.settle()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && !r.closed {
		r.fail("write windows", r.zip.Flush())
		r.csv.Flush()
		r.fail("write samples", r.csv.Error())
	}
	return r.err
}

// Close ends the record and returns the first error of all.
func (r *Recorder) Close() error {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return r.err
	}
	r.closed = true
	r.fail("write windows", r.zip.Close())
	r.csv.Flush()
	r.fail("write samples", r.csv.Error())
	r.fail("close bundle", r.closeFiles())
	return r.err
}

func (r *Recorder) closeFiles() error {
	var errs []error
	for _, f := range []*os.File{r.journal, r.windows, r.samples} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Limits of what is read from an evidence folder, which may come from elsewhere.
const (
	maxScenario = 1 << 20
	maxLine     = 16 << 20
	maxWindows  = 8 << 30 // unpacked
	maxEntries  = 1 << 20
	maxSamples  = 1 << 24
)

// Evidence reads a folder that a Recorder wrote.
type Evidence struct {
	Dir      string
	Scenario []byte
	Journal  []Entry
	// Damage says what could not be read, in words for the report; a drill
	// that was killed leaves a torn last line, for instance.
	Damage []string
}

// maxHistory bounds the history of the demand in bytes.
const maxHistory = 64 << 20

// History is the history of the demand; nil if the folder holds none.
func (e *Evidence) History() ([]byte, error) {
	b, err := readLimited(filepath.Join(e.Dir, HistoryFile), maxHistory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return b, nil
}

// Open reads scenario and journal. Only a folder without these is an error.
func Open(dir string) (*Evidence, error) {
	e := &Evidence{Dir: dir}
	scenario, err := readLimited(filepath.Join(dir, ScenarioFile), maxScenario)
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	e.Scenario = scenario
	f, err := os.Open(filepath.Join(dir, JournalFile))
	if err != nil {
		return nil, fmt.Errorf("open bundle: %w", err)
	}
	defer f.Close()
	err = eachLine(f, func(line []byte) error {
		var x Entry
		if err := json.Unmarshal(line, &x); err != nil {
			return err
		}
		if len(e.Journal) == maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		if err := x.check(); err != nil {
			return err
		}
		e.Journal = append(e.Journal, x)
		return nil
	})
	e.damaged(JournalFile, err)
	return e, nil
}

func (e *Evidence) damaged(file string, err error) {
	if err != nil {
		e.Damage = append(e.Damage, fmt.Sprintf("%s can be read only in part: %v", file, err))
	}
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return b, err
}

func eachLine(r io.Reader, do func([]byte) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; s.Scan(); n++ {
		if len(s.Bytes()) == 0 {
			continue
		}
		if err := do(s.Bytes()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return s.Err()
}

// Windows calls do with each window, in the order written, as far as they can be
// read; what cannot is noted in Damage.
func (e *Evidence) Windows(do func(*Window)) {
	err := func() error {
		f, err := os.Open(filepath.Join(e.Dir, WindowsFile))
		if err != nil {
			return err
		}
		defer f.Close()
		z, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			return err
		}
		return eachLine(io.LimitReader(z, maxWindows), func(line []byte) error {
			var w Window
			if err := json.Unmarshal(line, &w); err != nil {
				return err
			}
			if err := w.check(); err != nil {
				return err
			}
			do(&w)
			return nil
		})
	}()
	e.damaged(WindowsFile, err)
}

// Limits of what a drill can be: beyond them, evidence is not from one.
const (
	maxSteps   = 10000
	maxLasts   = 31 * 24 * time.Hour
	maxPlanned = 1 << 40 // hits in one window
)

// check refuses entries that no controller writes.
func (x *Entry) check() error {
	index, lasts := 0, time.Duration(0)
	switch {
	case x.Step != nil:
		index, lasts = x.Step.Index, x.Step.Lasts
		if x.Step.Start < 0 || x.Step.Discard < 0 {
			return errors.New("a step has a negative time")
		}
	case x.StepEnd != nil:
		index, lasts = x.StepEnd.Index, x.StepEnd.Lasted
	case x.Capture != nil:
		index = x.Capture.Step
	case x.Fleet != nil:
		if lasts = x.Fleet.Until - x.Fleet.From; x.Fleet.From < 0 || lasts < 0 {
			return errors.New("a record of the fleet has a negative time")
		}
	}
	if index < 0 || index >= maxSteps {
		return fmt.Errorf("step %d is not between 0 and %d", index, maxSteps-1)
	}
	if lasts < 0 || lasts > maxLasts || x.At < 0 {
		return fmt.Errorf("step %d lasts %v", index, lasts)
	}
	return nil
}

// check refuses windows that no worker writes, and that would break the merge.
func (w *Window) check() error {
	if w.Second < 0 || w.Step < 0 || w.At < 0 || w.Over < 0 {
		return fmt.Errorf("window %s/%d has a negative time or step", w.Worker, w.Seq)
	}
	if time.Duration(w.Second) > maxLasts/time.Second {
		return fmt.Errorf("window %s/%d is of second %d", w.Worker, w.Seq, w.Second)
	}
	if max(w.Planned, w.Sent, w.Followed, w.Dropped, w.Waited) > maxPlanned {
		return fmt.Errorf("window %s/%d counts more hits than there can be", w.Worker, w.Seq)
	}
	for name, t := range w.Requests {
		if t == nil {
			return fmt.Errorf("window %s/%d: request %q has no tally", w.Worker, w.Seq, name)
		}
		// The sum may wrap around, but then it is not what the histogram holds.
		if max(t.OK, t.Failed) > maxPlanned || int64(t.Ended()) != t.Response.TotalCount() {
			return fmt.Errorf("window %s/%d: request %q counts %d hits and holds %d", w.Worker, w.Seq, name, t.Ended(), t.Response.TotalCount())
		}
	}
	return nil
}

// Samples calls do with each reading, as far as they can be read.
func (e *Evidence) Samples(do func(Sample)) {
	err := func() error {
		f, err := os.Open(filepath.Join(e.Dir, SamplesFile))
		if err != nil {
			return err
		}
		defer f.Close()
		r := csv.NewReader(bufio.NewReader(f))
		r.FieldsPerRecord = len(samplesHeader)
		r.ReuseRecord = true
		for n := 0; n < maxSamples; n++ {
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			x, err := parseSample(row)
			if err != nil {
				return err
			}
			do(x)
		}
		return fmt.Errorf("more than %d rows", maxSamples)
	}()
	e.damaged(SamplesFile, err)
}

func parseSample(row []string) (Sample, error) {
	var nums [5]float64
	for i, field := range []int{0, 1, 2, 5, 6} {
		v, err := strconv.ParseFloat(row[field], 64)
		if err != nil {
			return Sample{}, fmt.Errorf("column %s: %w", samplesHeader[field], err)
		}
		nums[i] = v
	}
	d := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	return Sample{At: d(nums[0]), Over: d(nums[1]), Step: int(nums[2]), Source: strings.Clone(row[3]), Resource: strings.Clone(row[4]),
		Used: nums[3], Limit: nums[4], Unit: strings.Clone(row[7])}, nil
}

// Profile reads one capture's file; file is its path inside the folder.
func (e *Evidence) Profile(file string, limit int64) ([]byte, error) {
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return nil, fmt.Errorf("read profile: %q is outside the bundle", file)
	}
	return readLimited(filepath.Join(e.Dir, filepath.FromSlash(file)), limit)
}

// Reduce merges all windows and samples of the folder.
func (e *Evidence) Reduce() *Reducer {
	r := NewReducer()
	for _, x := range e.Journal {
		switch {
		case x.Step != nil:
			r.Begin(*x.Step)
		case x.StepEnd != nil:
			r.End(*x.StepEnd)
		case x.Capture != nil:
			r.Capture(*x.Capture)
		case x.Fleet != nil:
			r.Exclude(x.Fleet.From, x.Fleet.Until)
		}
	}
	e.Windows(func(w *Window) { r.Add(w) })
	e.Samples(r.Sample)
	return r
}
