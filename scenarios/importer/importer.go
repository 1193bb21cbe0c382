package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/headroom-project/headroom/scenarios"
	"github.com/headroom-project/headroom/scenarios/recording"
)

// Kinds of sources.
const (
	Auto       = ""            // find out by the content
	VegetaHTTP = "vegeta"      // vegeta's target file, http format
	VegetaJSON = "vegeta-json" // vegeta's target file, JSON format
	HAR        = "har"         // HTTP archive 1.2
	OpenAPI    = "openapi"     // OpenAPI 3 document, YAML or JSON
	AccessLog  = "log"         // access log, common or combined
)

// Kinds lists the kinds that Import takes by name.
func Kinds() []string { return []string{VegetaHTTP, VegetaJSON, HAR, OpenAPI, AccessLog} }

// Limits of sources.
const (
	MaxSource  = 64 << 20 // bytes of a source that is no log
	MaxOpenAPI = 8 << 20  // bytes
	MaxLog     = 1 << 30  // bytes
	// DefaultRequests bounds the mix unless Options say otherwise.
	DefaultRequests = 100
	// mostRequests is what a scenario can hold.
	mostRequests = 1000
)

// Options are what a source may not say.
type Options struct {
	// URL is the target's, instead of the one in the source: a recording of
	// production is commonly offered to something else. Sources that name no host
	// get http://127.0.0.1:8080 without it.
	URL string
	// MaxRequests bounds the mix: the most frequent requests are kept (default
	// DefaultRequests, at most 1000).
	MaxRequests int
}

// Import reads a source of a kind, or of the kind that its content shows, into
// a scenario. name is what errors call the source, and its base names the
// scenario. The notes say, in sentences, what could not be carried over and
// what was assumed. Errors name the line or entry, where there is one.
func Import(kind, name string, r io.Reader, opt Options) (*scenarios.Scenario, []string, error) {
	s, notes, err := importAs(kind, name, r, opt)
	if err != nil {
		return nil, nil, fmt.Errorf("import %s: %w", name, err)
	}
	return s, notes, nil
}

func importAs(kind, name string, r io.Reader, opt Options) (*scenarios.Scenario, []string, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if kind == Auto {
		head, err := in.Peek(16 << 10)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		if kind = Detect(head); kind == Auto {
			return nil, nil, fmt.Errorf("cannot tell what it is (hint: name the kind: %s)", strings.Join(Kinds(), ", "))
		}
	}
	d, err := newDraft(name, opt)
	if err != nil {
		return nil, nil, err
	}
	read := map[string]func(*draft, io.Reader) error{
		VegetaHTTP: vegetaHTTP, VegetaJSON: vegetaJSON, HAR: harArchive, OpenAPI: openAPI, AccessLog: accessLog,
	}[kind]
	if read == nil {
		return nil, nil, fmt.Errorf("unknown kind %q (hint: there are %s)", kind, strings.Join(Kinds(), ", "))
	}
	most := map[string]int64{OpenAPI: MaxOpenAPI, AccessLog: MaxLog}[kind]
	if most == 0 {
		most = MaxSource
	}
	limited := &io.LimitedReader{R: in, N: most + 1}
	if err := read(d, limited); limited.N <= 0 {
		return nil, nil, fmt.Errorf("source is larger than %s, the limit", scenarios.Size(most))
	} else if err != nil {
		return nil, nil, err
	}
	return d.finish()
}

var (
	targetLine  = regexp.MustCompile(`^[A-Z]+\s+(https?://|/)\S*$`)
	openAPILine = regexp.MustCompile(`(?m)^["']?(openapi|swagger)["']?\s*:`)
	jsonKey     = regexp.MustCompile(`"(openapi|swagger|log|method|url)"\s*:`)
)

// Detect tells the kind of a source by its begin, of which a few kilobytes are
// enough; Auto if it is none that is known.
func Detect(head []byte) string {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if bytes.HasPrefix(head, []byte("{")) {
		m := jsonKey.FindSubmatch(head)
		if m == nil {
			return Auto
		}
		return map[string]string{"openapi": OpenAPI, "swagger": OpenAPI, "log": HAR, "method": VegetaJSON, "url": VegetaJSON}[string(m[1])]
	}
	for line := range strings.Lines(string(head)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "---") {
			continue
		}
		if targetLine.MatchString(line) {
			return VegetaHTTP
		}
		if _, err := recording.ParseLine(line); err == nil {
			return AccessLog
		}
		break
	}
	if openAPILine.Match(head) {
		return OpenAPI
	}
	return Auto
}

// lineError is an error with its line.
func lineError(line int, format string, args ...any) error {
	return &recording.LineError{Line: line, Err: fmt.Errorf(format, args...)}
}

// defaultLoad is that of sources without frequencies: a search for the capacity.
func defaultLoad() scenarios.LoadSpec {
	return scenarios.LoadSpec{Warmup: scenarios.Duration(3 * time.Second), Search: &scenarios.SearchLoad{}}
}
