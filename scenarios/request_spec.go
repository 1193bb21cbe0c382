package scenarios

// Request is one request of the mix, or of a flow. Exactly one of the methods is
// set, to a path or an absolute URL; paths, header values and bodies are
// templates.
type Request struct {
	// Name is what figures and objectives call it.
	Name string `yaml:"name" json:"name"`
	// Weight is its share of the mix, relative to the others (default 1; none in
	// a flow).
	Weight float64 `yaml:"weight,omitempty" json:"weight,omitempty"`

	// Get is the path or URL of a GET.
	Get string `yaml:"get,omitempty" json:"get,omitempty"`
	// Post is the path or URL of a POST.
	Post string `yaml:"post,omitempty" json:"post,omitempty"`
	// Put is the path or URL of a PUT.
	Put string `yaml:"put,omitempty" json:"put,omitempty"`
	// Patch is the path or URL of a PATCH.
	Patch string `yaml:"patch,omitempty" json:"patch,omitempty"`
	// Delete is the path or URL of a DELETE.
	Delete string `yaml:"delete,omitempty" json:"delete,omitempty"`
	// Head is the path or URL of a HEAD.
	Head string `yaml:"head,omitempty" json:"head,omitempty"`
	// Options is the path or URL of an OPTIONS.
	Options string `yaml:"options,omitempty" json:"options,omitempty"`

	// Query is added to the URL, in the order of the names. Values are templates;
	// what they hold is percent-encoded.
	Query map[string]string `yaml:"query,omitempty" json:"query,omitempty"`
	// Headers by name.
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// Cookies by name; values are templates.
	Cookies map[string]string `yaml:"cookies,omitempty" json:"cookies,omitempty"`
	// Body is sent with the request.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
	// BodyFile is a file that is sent, at most 16MiB, as it is unless Template is set.
	BodyFile string `yaml:"body_file,omitempty" json:"body_file,omitempty"`
	// Template says that BodyFile, at most 1MiB of it, is a template.
	Template bool `yaml:"template,omitempty" json:"template,omitempty"`
	// Multipart is a form of fields and files, sent as multipart/form-data.
	Multipart []Part `yaml:"multipart,omitempty" json:"multipart,omitempty"`
	// Feed is a file whose rows the templates use as .row.
	Feed Feed `yaml:"feed,omitempty" json:"feed,omitempty"`
	// Timeout bounds this request (default that of the target).
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`
	// Redirects is what is done about them (default that of the target).
	Redirects Redirects `yaml:"redirects,omitempty" json:"redirects,omitempty"`
	Check     Check     `yaml:"check,omitempty" json:"check,omitempty"`
	// Capture takes values out of the answer, for later requests of the same
	// virtual user in a flow: by the name under which templates use them, such as
	// {{ .token }}, one of `json PATH`, `header NAME`, `header NAME matches
	// "REGEXP"`, `cookie NAME`, `matches "REGEXP"` (of the body: its first group,
	// or all of it). An answer that lacks a value has failed.
	Capture map[string]string `yaml:"capture,omitempty" json:"capture,omitempty"`
}

// Part is a field or a file of a form.
type Part struct {
	// Name of the field.
	Name string `yaml:"name" json:"name"`
	// Value of the field, a template.
	Value string `yaml:"value,omitempty" json:"value,omitempty"`
	// File is sent as it is, instead of a value.
	File string `yaml:"file,omitempty" json:"file,omitempty"`
	// Filename is what the file is called (default the base of File).
	Filename string `yaml:"filename,omitempty" json:"filename,omitempty"`
	// Type is its content type (default application/octet-stream for a file).
	Type string `yaml:"type,omitempty" json:"type,omitempty"`
}

// Feed is a file of rows: CSV whose first row names the columns, or, if it is
// named .json, .jsonl or .ndjson, JSON objects of the same keys, in a list or one
// after the other. It is written as the name of the file alone if nothing else
// is set.
//
// Hit n of the drill uses row n, so that no two workers use the same row at the
// same time, and after the last row the first comes again.
type Feed struct {
	// File is its name.
	File string `yaml:"file" json:"file"`
	// Reuse says what comes after the last row: the first one (true, the
	// default), or nothing (false): a hit for which there is no row is not sent,
	// and a drill that is known to need more rows is refused.
	Reuse *bool `yaml:"reuse,omitempty" json:"reuse,omitempty"`
}

// Check is what a response must be; by default its status is below 400.
type Check struct {
	// Status is what is right: a status such as 201, a class such as 2xx, a range
	// such as 200-204, or a list of them.
	Status Statuses `yaml:"status,omitempty" json:"status,omitempty"`
	// Headers are conditions on headers, by name: contains "text", is "text",
	// matches "REGEXP", each also with not, exists, absent; joined by and.
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// Body is a condition on the body: contains "text", is "text",
	// matches "REGEXP", each also with not; joined by and.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
	// JSON are conditions on values in a JSON body, by their path, such as
	// items[0].id: == "text", != 5, >= 1, exists, absent, and those of the body.
	JSON map[string]string `yaml:"json,omitempty" json:"json,omitempty"`
}

// Redirects is what is done about redirects: no (the default; the redirect is
// the answer), follow N for up to N of them, or follow N same host for those that
// stay on the host, where one that leads elsewhere is the answer. What is figured
// is the time to the last answer. Each hop must be allowed by safety.allow.
type Redirects string

// Protocol is what is spoken: http1 (the default), http2 (over TLS), or h2c
// (HTTP/2 without TLS, known beforehand).
type Protocol string

// The protocols.
const (
	HTTP1 Protocol = "http1"
	HTTP2 Protocol = "http2"
	H2C   Protocol = "h2c"
)

// TLS are options of encrypted connections. Files are PEM.
type TLS struct {
	// CA is a file of certificates that are trusted, instead of the system's.
	CA string `yaml:"ca,omitempty" json:"ca,omitempty"`
	// Cert is a file of the client's certificate, and of those that sign it.
	Cert string `yaml:"cert,omitempty" json:"cert,omitempty"`
	// Key is a file of the key of Cert.
	Key string `yaml:"key,omitempty" json:"key,omitempty"`
	// Insecure takes any certificate of the target for right.
	Insecure bool `yaml:"insecure,omitempty" json:"insecure,omitempty"`
}

// Statuses are the statuses that are right.
type Statuses []StatusRange

// StatusRange is a range of statuses, both ends included.
type StatusRange struct{ From, To int }
