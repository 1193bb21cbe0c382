package resources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// promServer is a client of Prometheus's HTTP API, version 1.
type promServer struct {
	base          *url.URL
	authorization string
	http          Doer
}

// Bounds of an answer.
const (
	maxPromAnswer = 8 << 20 // bytes
	maxPromSeries = 10_000
	promTime      = 10 * time.Second
)

// promSeries is one series of a matrix. Values are in order of time.
type promSeries struct{ values []promValue }

type promValue struct {
	at    float64 // Unix time in seconds
	value float64
}

// queryError is a query that the server does not take, or cannot answer.
type queryError struct{ message string }

func (e *queryError) Error() string { return e.message }

// query evaluates a query at an instant. A range vector gives its raw samples.
func (s *promServer) query(ctx context.Context, query string, at time.Time) ([]promSeries, error) {
	return s.call(ctx, "query", url.Values{"query": {query}, "time": {unixTime(at)}})
}

// queryRange evaluates a query every so often between two instants.
func (s *promServer) queryRange(ctx context.Context, query string, from, until time.Time, every time.Duration) ([]promSeries, error) {
	return s.call(ctx, "query_range", url.Values{
		"query": {query}, "start": {unixTime(from)}, "end": {unixTime(until)},
		"step": {strconv.FormatFloat(every.Seconds(), 'f', -1, 64)},
	})
}

func unixTime(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

func (s *promServer) call(ctx context.Context, name string, form url.Values) ([]promSeries, error) {
	ctx, cancel := context.WithTimeout(ctx, promTime)
	defer cancel()
	u := s.base.JoinPath("/api/v1/" + name)
	user := u.User
	u.User = nil
	// By POST, as a query may be longer than an address.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if s.authorization != "" {
		req.Header.Set("Authorization", s.authorization)
	} else if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		// Without the address, which is known and may hold a secret.
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPromAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("prometheus: receive the answer: %w", err)
	case len(body) > maxPromAnswer:
		return nil, &queryError{fmt.Sprintf("the answer is larger than %d MiB; hint: select less", maxPromAnswer>>20)}
	}
	return parsePromAnswer(resp.StatusCode, resp.Status, body)
}

// promAnswer is an answer of the API.
type promAnswer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

func parsePromAnswer(code int, status string, body []byte) ([]promSeries, error) {
	var a promAnswer
	err := json.Unmarshal(body, &a)
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return nil, fmt.Errorf("prometheus: %s; hint: set resources.prometheus.auth, such as Bearer ${TOKEN}", status)
	case err == nil && a.Status == "error" && (code == http.StatusBadRequest || code == http.StatusUnprocessableEntity):
		return nil, &queryError{"the server says: " + harmlessText(a.Error)}
	case code != http.StatusOK:
		return nil, fmt.Errorf("prometheus: %s", status)
	case err != nil || a.Status != "success":
		return nil, errors.New("prometheus: the answer is not that of its API; hint: check the address in resources.prometheus")
	}
	return parseResult(a.Data.ResultType, a.Data.Result)
}

// parseResult reads a matrix, or a vector as series of one value.
func parseResult(kind string, result json.RawMessage) ([]promSeries, error) {
	var list []struct {
		Value  *promPair  `json:"value"`
		Values []promPair `json:"values"`
	}
	switch kind {
	case "matrix", "vector":
		if err := json.Unmarshal(result, &list); err != nil {
			return nil, fmt.Errorf("prometheus: read the answer: %w", err)
		}
	default:
		return nil, &queryError{fmt.Sprintf("it gives a %s, not a vector", harmlessText(kind))}
	}
	if len(list) > maxPromSeries {
		return nil, &queryError{fmt.Sprintf("it gives %d series; hint: put sum() or max() around it", len(list))}
	}
	out := make([]promSeries, len(list))
	for i, x := range list {
		if x.Value != nil {
			x.Values = append(x.Values, *x.Value)
		}
		for _, v := range x.Values {
			out[i].values = append(out[i].values, promValue(v))
		}
	}
	return out, nil
}

// promPair is a value as the API writes it: [1435781430.781, "1"].
type promPair promValue

// UnmarshalJSON reads the pair.
func (p *promPair) UnmarshalJSON(text []byte) error {
	var pair []json.RawMessage
	var value string
	if err := json.Unmarshal(text, &pair); err != nil || len(pair) != 2 {
		return errors.New("a value is no pair of time and number")
	}
	if err := json.Unmarshal(pair[0], &p.at); err != nil {
		return err
	}
	if err := json.Unmarshal(pair[1], &value); err != nil {
		return err
	}
	v, err := strconv.ParseFloat(value, 64)
	p.value = v
	return err
}

// harmlessText is text of the server on one line, printable and short.
func harmlessText(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
