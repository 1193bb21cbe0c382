package pyroscope

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headroom-project/headroom/profiler"
)

// pushPath is the procedure of push.v1, as Connect names it.
const pushPath = "/push.v1.PusherService/Push"

// Fields of push.v1 and types.v1.
const (
	fieldSeries         = 1 // PushRequest
	fieldSeriesLabels   = 1 // RawProfileSeries
	fieldSeriesSamples  = 2
	fieldLabelName      = 1 // LabelPair
	fieldLabelValue     = 2
	fieldRawProfile     = 1 // RawSample
	fieldRawProfileID   = 2
	contentProto        = "application/proto"
	contentProtoGeneric = "application/protobuf"
	contentJSON         = "application/json"
)

// readPush reads a call of push.v1.PusherService/Push in Connect's unary form,
// as JSON or protobuf. Its errors are refusals.
func (l Limits) readPush(w http.ResponseWriter, r *http.Request) ([]upload, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, refuse(http.StatusUnsupportedMediaType, "Content-Type is missing or not valid: it is %s or %s", contentProto, contentJSON)
	}
	var parse func([]byte) ([]upload, error)
	most := l.Uncompressed + maxOverhead
	switch kind {
	case contentProto, contentProtoGeneric:
		parse = l.parseProto
	case contentJSON:
		parse = l.parseJSON
		most = most/3*4 + 4 // base64
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, "Content-Type %q is not taken here, only Connect's %s and %s", harmless(kind), contentProto, contentJSON)
	}
	wide := l
	wide.Uncompressed = most - maxOverhead
	body, err := wide.body(w, r)
	if err != nil {
		return nil, err
	}
	data, err := readAtMost(body, most)
	if err != nil {
		return nil, err
	}
	list, err := parse(data)
	if err == nil && len(list) == 0 {
		err = refuse(http.StatusBadRequest, "the push has no series")
	}
	return list, err
}

// parseProto reads a PushRequest in protobuf's encoding.
func (l Limits) parseProto(data []byte) (list []upload, err error) {
	err = profiler.EachField(data, func(field protowire.Number, content []byte) error {
		if field != fieldSeries || content == nil {
			return nil
		}
		s, err := l.parseSeries(content)
		if s, err = setAside(s, err); err != nil {
			return err
		}
		if list = append(list, s...); len(list) > l.Profiles {
			return refuse(http.StatusUnprocessableEntity, "the push has more than %d profiles", l.Profiles)
		}
		return nil
	})
	return list, malformed(err)
}

// setAside lets a series that is refused go along, so that it costs none of the others.
func setAside(list []upload, err error) ([]upload, error) {
	var r *refusal
	if errors.As(err, &r) {
		return []upload{{bad: err}}, nil
	}
	return list, err
}

// malformed makes a refusal of an error that is none yet.
func malformed(err error) error {
	var r *refusal
	if err == nil || errors.As(err, &r) {
		return err
	}
	return refuse(http.StatusBadRequest, "the push cannot be read: %w", err)
}

func (l Limits) parseSeries(data []byte) (list []upload, err error) {
	labels := map[string]string{}
	err = profiler.EachField(data, func(field protowire.Number, content []byte) error {
		switch {
		case field == fieldSeriesLabels && content != nil:
			name, value, err := pair(content)
			if err != nil {
				return err
			}
			return l.addLabel(labels, name, value)
		case field == fieldSeriesSamples && content != nil:
			if len(list) == l.Profiles {
				return refuse(http.StatusUnprocessableEntity, "the push has more than %d profiles", l.Profiles)
			}
			return profiler.EachField(content, func(inner protowire.Number, raw []byte) error {
				if inner == fieldRawProfile && raw != nil {
					list = append(list, upload{data: raw})
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.labelAll(list, labels)
}

// pair reads a LabelPair.
func pair(data []byte) (name, value string, err error) {
	err = profiler.EachField(data, func(field protowire.Number, content []byte) error {
		switch field {
		case fieldLabelName:
			name = string(content)
		case fieldLabelValue:
			value = string(content)
		}
		return nil
	})
	return name, value, err
}

// addLabel stops early, so that a label set of any size costs little.
func (l Limits) addLabel(labels map[string]string, name, value string) error {
	labels[name] = value
	if len(labels) > l.Labels+1 { // __name__ is not one of the sender's
		return refuse(http.StatusBadRequest, "a series has more than %d labels", l.Labels)
	}
	return nil
}

// labelAll gives each profile of a series its labels. The label __name__ says
// what it is.
func (l Limits) labelAll(list []upload, labels map[string]string) ([]upload, error) {
	hint := labels[labelName]
	delete(labels, labelName)
	if err := l.checkLabels(labels); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, refuse(http.StatusBadRequest, "a series has no profile")
	}
	for i := range list {
		list[i].labels, list[i].hint = labels, hint
	}
	return list, nil
}

// pushJSON is a PushRequest in protobuf's JSON form.
type pushJSON struct {
	Series []seriesJSON `json:"series"`
}

type seriesJSON struct {
	Labels []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"labels"`
	Samples []struct {
		RawProfile  base64Bytes `json:"rawProfile"`
		RawProfile2 base64Bytes `json:"raw_profile"`
	} `json:"samples"`
}

// base64Bytes is read in the standard or the URL alphabet, padded or not, as
// protobuf's JSON form has it.
type base64Bytes []byte

// UnmarshalText reads the base64 text.
func (b *base64Bytes) UnmarshalText(text []byte) error {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(string(text), "="))
	data, err := rawBase64.DecodeString(plain)
	*b = data
	return err
}

func (l Limits) parseJSON(data []byte) ([]upload, error) {
	var request pushJSON
	if err := json.Unmarshal(data, &request); err != nil {
		return nil, refuse(http.StatusBadRequest, "the push is not the JSON of a PushRequest: %w", err)
	}
	var all []upload
	for i := range request.Series {
		list, err := setAside(l.seriesOf(&request.Series[i]))
		if err != nil {
			return nil, err
		}
		if all = append(all, list...); len(all) > l.Profiles {
			return nil, refuse(http.StatusUnprocessableEntity, "the push has more than %d profiles", l.Profiles)
		}
	}
	return all, nil
}

// seriesOf is parseSeries for JSON.
func (l Limits) seriesOf(s *seriesJSON) (list []upload, err error) {
	labels := map[string]string{}
	for _, p := range s.Labels {
		if err := l.addLabel(labels, p.Name, p.Value); err != nil {
			return nil, err
		}
	}
	if len(s.Samples) > l.Profiles {
		return nil, refuse(http.StatusUnprocessableEntity, "the push has more than %d profiles", l.Profiles)
	}
	for _, x := range s.Samples {
		raw := x.RawProfile
		if len(raw) == 0 {
			raw = x.RawProfile2
		}
		list = append(list, upload{data: raw})
	}
	return l.labelAll(list, labels)
}

var rawBase64 = base64.StdEncoding.WithPadding(base64.NoPadding)
