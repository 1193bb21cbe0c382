package recording

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxHAR bounds a HAR file, in bytes.
const MaxHAR = 64 << 20

// HAR is what is of use of an HTTP archive, version 1.2.
type HAR struct {
	Log struct {
		Entries []HAREntry `json:"entries"`
	} `json:"log"`
}

// HAREntry is one request and its response.
type HAREntry struct {
	Started  time.Time   `json:"startedDateTime"`
	Request  HARRequest  `json:"request"`
	Response HARResponse `json:"response"`
	// Type is the kind of resource in archives of Chrome: document, xhr, image ...
	Type string `json:"_resourceType"`
}

// HARRequest is a request as the browser sent it.
type HARRequest struct {
	Method   string     `json:"method"`
	URL      string     `json:"url"`
	Headers  []HARField `json:"headers"`
	PostData *HARPost   `json:"postData"`
}

// HARField is a header, or a field of a form.
type HARField struct {
	Name        string `json:"name"`
	Value       string `json:"value"`
	FileName    string `json:"fileName"`
	ContentType string `json:"contentType"`
}

// HARPost is the body of a request.
type HARPost struct {
	MimeType string     `json:"mimeType"`
	Text     string     `json:"text"`
	Params   []HARField `json:"params"`
	// Encoding is base64 for a body that is no text, in some archives.
	Encoding string `json:"encoding"`
}

// HARResponse is a response, its body left out.
type HARResponse struct {
	Status int `json:"status"`
}

// ReadHAR reads an HTTP archive of up to MaxHAR bytes.
func ReadHAR(r io.Reader) (*HAR, error) {
	limited := &io.LimitedReader{R: r, N: MaxHAR + 1}
	var h HAR
	if err := json.NewDecoder(limited).Decode(&h); err != nil {
		if limited.N <= 0 {
			return nil, fmt.Errorf("archive is larger than %d MiB", MaxHAR>>20)
		}
		return nil, fmt.Errorf("archive is no HAR: %w", err)
	}
	if len(h.Log.Entries) == 0 {
		return nil, errors.New("archive has no entries")
	}
	return &h, nil
}
