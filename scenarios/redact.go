package scenarios

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// redacted stands where a secret stood.
const redacted = "REDACTED"

// YAML is the canonical text of the scenario, secrets redacted: what is written
// into the evidence. Load reads it back as the same scenario, apart from what
// was redacted.
func (s *Scenario) YAML() ([]byte, error) {
	return yaml.Marshal(s.Redacted())
}

// Source is the whole text of the scenario, secrets as they are written: for whoever
// is to run it, never for the evidence.
func (s *Scenario) Source() ([]byte, error) { return yaml.Marshal(s) }

// Redacted is a copy without secrets: literal values of cookies and of headers
// that carry credentials, the user info of URLs, and query parameters and form
// fields with telling names.
// References ${NAME} stay, since they tell nothing. Bodies are not searched.
func (s *Scenario) Redacted() *Scenario {
	out := *s
	out.Target.URL = redactURL(out.Target.URL)
	out.Target.Proxy = redactURL(out.Target.Proxy)
	out.Target.Requests = redactRequests(out.Target.Requests)
	out.Target.Flow = redactRequests(out.Target.Flow)
	out.Profiles.Pprof = slices.Clone(out.Profiles.Pprof)
	for i, u := range out.Profiles.Pprof {
		out.Profiles.Pprof[i] = redactURL(u)
	}
	out.Profiles.Auth = redactAuth(out.Profiles.Auth)
	out.Profiles.Pyroscope = redactPyroscope(out.Profiles.Pyroscope)
	out.Profiles.Push = redactPush(out.Profiles.Push)
	out.Resources.Metrics = redactURL(out.Resources.Metrics)
	out.Resources.Prometheus = redactPrometheus(out.Resources.Prometheus)
	return &out
}

func redactRequests(list []Request) []Request {
	list = slices.Clone(list)
	for i := range list {
		r := &list[i]
		for _, target := range []*string{&r.Get, &r.Post, &r.Put, &r.Patch, &r.Delete, &r.Head, &r.Options} {
			*target = redactURL(*target)
		}
		r.Headers = maps.Clone(r.Headers)
		for name, value := range r.Headers {
			if isSecretName(name) {
				r.Headers[name] = redactHeader(name, value)
			}
		}
		r.Query = maps.Clone(r.Query)
		for name, value := range r.Query {
			if isSecretName(name) {
				r.Query[name] = redactText(value)
			}
		}
		r.Cookies = maps.Clone(r.Cookies)
		for name, value := range r.Cookies {
			r.Cookies[name] = redactText(value)
		}
		r.Multipart = slices.Clone(r.Multipart)
		for k := range r.Multipart {
			if p := &r.Multipart[k]; isSecretName(p.Name) {
				p.Value = redactText(p.Value)
			}
		}
	}
	return list
}

// isSecretName says whether a header or parameter by its name carries a
// credential. It errs on the side of redacting.
func isSecretName(name string) bool {
	name = strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
	for _, part := range []string{"auth", "cookie", "apikey", "accesskey", "token", "secret", "password", "passwd", "credential", "session", "signature"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// redactHeader keeps the scheme of an Authorization and the names of cookies.
func redactHeader(name, value string) string {
	if strings.EqualFold(name, "Cookie") {
		pairs := strings.Split(value, ";")
		for i, p := range pairs {
			key, v, found := strings.Cut(p, "=")
			if found && !strings.ContainsAny(key, "${") {
				pairs[i] = key + "=" + redactText(v)
			} else {
				pairs[i] = redactText(p)
			}
		}
		return strings.Join(pairs, ";")
	}
	scheme, rest, found := strings.Cut(value, " ")
	if found && slices.Contains([]string{"bearer", "basic", "digest", "token", "apikey", "negotiate"}, strings.ToLower(scheme)) {
		return scheme + " " + redactText(rest)
	}
	return redactText(value)
}

// redactText keeps references and generated values and replaces literal text.
func redactText(text string) string {
	t, err := parseTemplate(text)
	if err != nil {
		return redacted
	}
	var b strings.Builder
	for _, s := range t {
		switch s.action {
		case actEnv:
			b.WriteString("${" + s.text + "}")
		case actRow:
			b.WriteString(`{{ row ` + strconv.Quote(s.text) + ` }}`)
		case actUUID:
			b.WriteString("{{ uuid }}")
		case actVar:
			b.WriteString("{{ ." + s.text + " }}")
		default:
			if !strings.HasSuffix(b.String(), redacted) {
				b.WriteString(redacted)
			}
		}
	}
	return b.String()
}

// redactURL redacts the user info and the secret parameters of a URL or path.
func redactURL(raw string) string {
	if scheme, rest, found := strings.Cut(raw, "://"); found {
		host, tail := rest, ""
		if end := strings.IndexAny(rest, "/?"); end >= 0 {
			host, tail = rest[:end], rest[end:]
		}
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			host = redacted + host[at:]
		}
		raw = scheme + "://" + host + tail
	}
	path, query, found := strings.Cut(raw, "?")
	if !found {
		return raw
	}
	pairs := strings.Split(query, "&")
	for i, p := range pairs {
		key, value, _ := strings.Cut(p, "=")
		name, err := url.QueryUnescape(key)
		if err == nil && value != "" && isSecretName(name) {
			pairs[i] = key + "=" + redactText(value)
		}
	}
	return path + "?" + strings.Join(pairs, "&")
}
