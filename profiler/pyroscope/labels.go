package pyroscope

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// Labels that mean something here.
const (
	labelName    = "__name__"
	labelService = "service_name"
)

// labelled reads the name of a profile, such as shop.web{region=eu,pod=a-1},
// within the limits. The application is the label service_name.
func (l Limits) labelled(name string) (map[string]string, error) {
	app, rest, braced := strings.Cut(name, "{")
	app = strings.TrimSpace(app)
	if app == "" {
		return nil, refuse(http.StatusBadRequest, "name is missing: it is the application's, such as shop.web{region=eu}")
	}
	labels := map[string]string{}
	if braced {
		inner, _, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, refuse(http.StatusBadRequest, "name %q has no closing brace", harmless(name))
		}
		for inner != "" {
			var pair string
			pair, inner, _ = strings.Cut(inner, ",")
			key, value, ok := strings.Cut(pair, "=")
			if key = strings.TrimSpace(key); !ok || key == "" {
				if strings.TrimSpace(pair) == "" {
					continue
				}
				return nil, refuse(http.StatusBadRequest, "label %q of the name is not written as key=value", harmless(pair))
			}
			if len(labels) > l.Labels {
				break // too many already
			}
			labels[key] = strings.TrimSpace(value)
		}
	}
	if labels[labelService] == "" {
		labels[labelService] = app
	}
	return labels, l.checkLabels(labels)
}

// checkLabels refuses label sets that no agent has.
func (l Limits) checkLabels(labels map[string]string) error {
	if len(labels) > l.Labels {
		return refuse(http.StatusBadRequest, "the profile has more than %d labels", l.Labels)
	}
	for name, value := range labels {
		switch {
		case name == "":
			return refuse(http.StatusBadRequest, "a label has no name")
		case len(name) > maxLabelName:
			return refuse(http.StatusBadRequest, "the name of a label has %d bytes, more than %d", len(name), maxLabelName)
		case len(value) > maxLabelValue:
			return refuse(http.StatusBadRequest, "label %q has %d bytes, more than %d", harmless(name), len(value), maxLabelValue)
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return refuse(http.StatusBadRequest, "label %q is not UTF-8", harmless(name))
		}
	}
	return nil
}
