package pyroscope

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headroom-project/headroom/profiler"
)

// Procedures of querier.v1.
const (
	querier            = "/querier.v1.QuerierService/"
	selectStacktraces  = querier + "SelectMergeStacktraces"
	selectMergeProfile = querier + "SelectMergeProfile"
	selectSeries       = querier + "SelectSeries"
	labelValues        = querier + "LabelValues"
)

// Fields of the querier's messages.
const (
	fieldTypeID   = 1
	fieldSelector = 2
	fieldStart    = 3
	fieldEnd      = 4
	fieldFormat   = 6 // SelectMergeStacktracesRequest
	fieldStep     = 6 // SelectSeriesRequest

	fieldPprof        = 5 // SelectMergeStacktracesResponse
	fieldPprofProfile = 1 // PprofProfile

	fieldPoints    = 2 // types.v1.Series
	fieldPointTime = 2 // types.v1.Point

	formatPprof = 4 // PROFILE_FORMAT_PPROF
)

// selection is what is asked of a server: one type of a service over some time.
type selection struct {
	typeID, selector string
	from, until      time.Time
}

func (s selection) message() message {
	return message(nil).text(fieldTypeID, s.typeID).text(fieldSelector, s.selector).
		number(fieldStart, millis(s.from)).number(fieldEnd, millis(s.until))
}

// errNothing: the server has no such profile of that time.
var errNothing = errors.New("the server has no such profile of that time")

// merged fetches what a server has of a selection as one profile. It asks in the
// newest way first, and in older ones if the server has not heard of that. The
// error wraps errNothing if there is none.
func (s *Server) merged(ctx context.Context, sel selection) (*profile.Profile, error) {
	answer, err := s.call(ctx, selectStacktraces, sel.message().number(fieldFormat, formatPprof))
	var raw []byte
	if err == nil {
		if raw, err = field(answer, fieldPprof); err == nil && raw != nil {
			raw, err = field(raw, fieldPprofProfile)
		}
	}
	// A server that does not know the format answers with a flame graph.
	if absent(err) || err == nil && len(raw) == 0 {
		raw, err = s.call(ctx, selectMergeProfile, sel.message())
	}
	if absent(err) {
		return s.rendered(ctx, sel)
	}
	if err != nil {
		return nil, err
	}
	return parseAnswer(raw)
}

// answerLimits bound a profile from a server, which is configured by the user:
// above what services have, below what harms.
var answerLimits = Limits{Uncompressed: maxAnswer, Samples: 1_000_000, Entries: 2_000_000, Frames: 16_000_000}.withDefaults()

func parseAnswer(raw []byte) (*profile.Profile, error) {
	if len(raw) == 0 {
		return nil, errNothing
	}
	p, err := answerLimits.check(raw)
	switch {
	case err != nil && !hasSamples(raw):
		return nil, errNothing // an empty profile does not name its types
	case err != nil:
		return nil, fmt.Errorf("read the server's profile: %w", err)
	case len(p.Sample) == 0:
		return nil, errNothing
	}
	return p, nil
}

func hasSamples(raw []byte) bool {
	found, err := field(raw, fieldSample)
	return err == nil && found != nil
}

// times are the instants at which a server has profiles of a selection, in order.
func (s *Server) times(ctx context.Context, sel selection) ([]time.Time, error) {
	answer, err := s.call(ctx, selectSeries, sel.message().double(fieldStep, 1))
	if err != nil {
		return nil, err
	}
	var list []time.Time
	err = profiler.EachField(answer, func(n protowire.Number, series []byte) error {
		if n != 1 {
			return nil
		}
		return profiler.EachField(series, func(n protowire.Number, point []byte) error {
			if n != fieldPoints {
				return nil
			}
			at, err := varintOf(point, fieldPointTime)
			if err == nil && at > 0 {
				list = append(list, time.UnixMilli(at))
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the server's series: %w", err)
	}
	slices.SortFunc(list, time.Time.Compare)
	return slices.CompactFunc(list, time.Time.Equal), nil
}

// varintOf is the last value of a number field; 0 if there is none.
func varintOf(data []byte, wanted protowire.Number) (v int64, err error) {
	for len(data) > 0 {
		n, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return 0, protowire.ParseError(size)
		}
		data = data[size:]
		if n == wanted && kind == protowire.VarintType {
			u, _ := protowire.ConsumeVarint(data)
			v = int64(u)
		}
		if size = protowire.ConsumeFieldValue(n, kind, data); size < 0 {
			return 0, protowire.ParseError(size)
		}
		data = data[size:]
	}
	return v, nil
}

// Services lists the services of which a server has profiles between two times.
func (s *Server) Services(ctx context.Context, from, until time.Time) ([]string, error) {
	request := message(nil).text(1, labelService).number(3, millis(from)).number(4, millis(until))
	answer, err := s.call(ctx, labelValues, request)
	if err != nil {
		return nil, fmt.Errorf("list the services of the Pyroscope server: %w", err)
	}
	var names []string
	err = profiler.EachField(answer, func(n protowire.Number, name []byte) error {
		if n == 1 && len(names) < 1000 {
			names = append(names, harmless(string(name)))
		}
		return nil
	})
	return names, err
}

// selectorOf writes a label selector; the labels are equal to the values.
func selectorOf(service string, labels map[string]string) string {
	parts := []string{labelService + "=" + strconv.Quote(service)}
	for name, value := range labels {
		parts = append(parts, name+"="+strconv.Quote(value))
	}
	slices.Sort(parts[1:])
	return "{" + strings.Join(parts, ", ") + "}"
}

// encoded is a profile as it is kept.
func encoded(p *profile.Profile) ([]byte, error) {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if err := p.WriteUncompressed(zw); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
