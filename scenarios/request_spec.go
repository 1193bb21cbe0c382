package scenarios

// Request is one request of the mix. Exactly one of the methods is set, to a
// path or an absolute URL; paths, header values and bodies are templates.
type Request struct {
	// Name is what figures and objectives call it.
	Name string `yaml:"name" json:"name"`
	// Weight is its share of the mix, relative to the others (default 1).
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

	// Headers by name.
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// Body is sent with the request.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
	// BodyFile is a file that is sent as it is, at most 16MiB; it is no template.
	BodyFile string `yaml:"body_file,omitempty" json:"body_file,omitempty"`
	// Feed is a CSV file whose rows the templates use as .row.
	// Its first row names the columns; hit n uses row n modulo the rows.
	Feed  string `yaml:"feed,omitempty" json:"feed,omitempty"`
	Check Check  `yaml:"check,omitempty" json:"check,omitempty"`
}

// Check is what a response must be; by default its status is below 400.
type Check struct {
	// Status is the one status that is right.
	Status int `yaml:"status,omitempty" json:"status,omitempty"`
	// Body is a condition on the body: `contains "text"`.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
}
