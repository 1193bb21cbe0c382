package pyroscope

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// upload is one profile as it was sent.
type upload struct {
	data   []byte
	labels map[string]string
	// from and until are by the sender's clock; zero if it did not say.
	from, until time.Time
	// hint tells lock profiles apart; see kindOf.
	hint string
	// bad is why it is refused already; then there is nothing else.
	bad error
}

// readIngest reads a request to /ingest, as pyroscope-go and the agents of other
// languages send it. Its errors are refusals.
func (l Limits) readIngest(w http.ResponseWriter, r *http.Request) (upload, error) {
	var u upload
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return u, refuse(http.StatusBadRequest, "the query cannot be read: %w", err)
	}
	if u.labels, err = l.labelled(query.Get("name")); err != nil {
		return u, err
	}
	if u.from, u.until, err = bounds(query); err != nil {
		return u, err
	}
	format := strings.ToLower(query.Get("format"))
	if format != "" && format != "pprof" {
		return u, refuse(http.StatusUnprocessableEntity, "format %q is not taken here, only pprof; hint: set the agent to pprof, as pyroscope-go is", harmless(format))
	}
	body, err := l.body(w, r)
	if err != nil {
		return u, err
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && kind == "multipart/form-data" {
		err = l.readForm(&u, multipart.NewReader(body, params["boundary"]))
		return u, err
	}
	if u.data, err = readAtMost(body, l.Uncompressed); err != nil {
		return u, err
	}
	if format == "" && !strings.HasPrefix(string(u.data), string(gzipMagic)) {
		return u, refuse(http.StatusUnprocessableEntity, "the profile is neither multipart/form-data nor marked as format=pprof; only pprof is taken here")
	}
	return u, nil
}

// maxReversed is how much until may be before from: pyroscope-go rounds the time
// of a flush down to a multiple of its upload rate, but not that of the begin.
const maxReversed = time.Minute

// bounds reads when the profile was taken. Both may be missing, or until alone.
func bounds(query url.Values) (from, until time.Time, err error) {
	for _, f := range []struct {
		name string
		to   *time.Time
	}{{"from", &from}, {"until", &until}} {
		text := query.Get(f.name)
		if text == "" {
			continue
		}
		t, ok := parseTime(text)
		if !ok {
			return from, until, refuse(http.StatusBadRequest, "%s=%s is no Unix time of 10, 13, 16 or 19 digits", f.name, harmless(text))
		}
		*f.to = t
	}
	switch {
	case from.IsZero() != until.IsZero():
		err = refuse(http.StatusBadRequest, "from and until go together")
	case until.Before(from.Add(-maxReversed)):
		err = refuse(http.StatusBadRequest, "until is before from")
	case until.Before(from):
		until = time.Time{} // it is now
	}
	return from, until, err
}

// body is the request's, decompressed and bounded.
func (l Limits) body(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	limited := http.MaxBytesReader(w, r.Body, int64(l.Uncompressed+maxOverhead))
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return limited, nil
	case "gzip":
		zr, err := gzip.NewReader(limited)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the body is not valid gzip: %w", err)
		}
		return &bounded{zr, l.Uncompressed + maxOverhead}, nil
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, "Content-Encoding %q is not taken here, only gzip", harmless(encoding))
	}
}

// bounded fails where a decompressed body is larger than it may be, so that what
// is skipped of a bomb costs no more than what is read of it.
type bounded struct {
	r    io.Reader
	left int
}

// Read reads up to the bound.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, refuse(http.StatusRequestEntityTooLarge, "the request is too large when decompressed")
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// readAtMost reads a body or a part of one.
func readAtMost(r io.Reader, most int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	switch {
	case err != nil:
		return nil, unread("the body is cut off or damaged", err)
	case len(data) > most:
		return nil, refuse(http.StatusRequestEntityTooLarge, "the profile is larger than %d bytes", most)
	}
	return data, nil
}

// maxParts bounds the parts of a form: there are two that mean something.
const maxParts = 16

// readForm reads the parts of a form one after the other, into memory only what
// is wanted.
func (l Limits) readForm(u *upload, form *multipart.Reader) error {
	for n := 0; ; n++ {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unread("the form cannot be read", err)
		}
		if n == maxParts {
			return refuse(http.StatusBadRequest, "the form has more than %d parts", maxParts)
		}
		switch part.FormName() {
		case "profile":
			if u.data != nil {
				return refuse(http.StatusBadRequest, "the form has two profiles")
			}
			if u.data, err = readAtMost(part, l.Uncompressed); err != nil {
				return err
			}
		case "prev_profile":
			return refuse(http.StatusUnprocessableEntity, "profiles that go with a previous one (prev_profile) are not taken here; hint: send the difference, as pyroscope-go since 1.0 does")
		case "sample_type_config":
			text, err := readAtMost(part, maxOverhead)
			if err != nil {
				return err
			}
			if u.hint, err = displayNames(text); err != nil {
				return err
			}
		}
	}
	if len(u.data) == 0 {
		return refuse(http.StatusBadRequest, "the form has no file profile, or it is empty")
	}
	return nil
}

// unread is why a body cannot be read.
func unread(what string, err error) error {
	var large *http.MaxBytesError
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, "the request is larger than %d bytes", large.Limit)
	}
	return refuse(http.StatusBadRequest, "%s: %w", what, err)
}

// displayNames returns what the sender calls the values of its profile.
func displayNames(config []byte) (string, error) {
	var types map[string]struct {
		DisplayName string `json:"display-name"`
	}
	if err := json.Unmarshal(config, &types); err != nil {
		return "", refuse(http.StatusBadRequest, "sample_type_config is no JSON: %w", err)
	}
	var names []string
	for name, t := range types {
		names = append(names, name, t.DisplayName)
	}
	return fmt.Sprint(names), nil
}
