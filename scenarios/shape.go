package scenarios

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// Shape is an offered load that is no straight line. Exactly one field is set.
type Shape struct {
	// Pieces are straight lines, one after the other; their times add up to the
	// step's.
	Pieces []Piece     `json:"pieces,omitempty"`
	Sine   *SineShape  `json:"sine,omitempty"`
	Trace  *TraceShape `json:"trace,omitempty"`
}

// Piece is a straight line of the offered load, in requests/s.
type Piece struct {
	From  float64       `json:"from"`
	To    float64       `json:"to"`
	Lasts time.Duration `json:"lasts"`
}

// SineShape is a rate of Mean + Amplitude sin(2 pi t / Period), in requests/s.
type SineShape struct {
	Mean      float64       `json:"mean"`
	Amplitude float64       `json:"amplitude"`
	Period    time.Duration `json:"period"`
}

// TraceShape is a recording: Trace indexes the plan's, Speed divides its times.
type TraceShape struct {
	Trace int     `json:"trace"`
	Speed float64 `json:"speed"`
}

// Rate is the offered load at an instant after the begin of the step, in
// requests/s. For a recording it is the mean of the step, for a closed step 0.
func (s Step) Rate(at time.Duration) float64 {
	if s.Shape == nil {
		return s.From + (s.To-s.From)*at.Seconds()/s.Lasts.Seconds()
	}
	if sine := s.Shape.Sine; sine != nil {
		return sine.Mean + sine.Amplitude*math.Sin(2*math.Pi*at.Seconds()/sine.Period.Seconds())
	}
	for _, p := range s.Shape.Pieces {
		if at < p.Lasts {
			return p.From + (p.To-p.From)*at.Seconds()/p.Lasts.Seconds()
		}
		at -= p.Lasts
	}
	return s.From
}

// scaled is the step with its load multiplied. A recording is left as it is.
func (s Step) scaled(by float64) Step {
	s.From, s.To = s.From*by, s.To*by
	if s.Shape == nil {
		return s
	}
	shape := Shape{Trace: s.Shape.Trace}
	for _, p := range s.Shape.Pieces {
		shape.Pieces = append(shape.Pieces, Piece{p.From * by, p.To * by, p.Lasts})
	}
	if w := s.Shape.Sine; w != nil {
		shape.Sine = &SineShape{Mean: w.Mean * by, Amplitude: w.Amplitude * by, Period: w.Period}
	}
	s.Shape = &shape
	return s
}

// Peak is the highest offered load of the step, in requests/s. For a recording it
// is the mean, for a closed step 0.
func (s Step) Peak() float64 {
	peak := max(s.From, s.To)
	if s.Shape == nil {
		return peak
	}
	if sine := s.Shape.Sine; sine != nil {
		return sine.Mean + sine.Amplitude
	}
	for _, p := range s.Shape.Pieces {
		peak = max(peak, p.From, p.To)
	}
	return peak
}

// inverse finds the instant, in seconds from the begin of a step, by which the
// integrated rate has come to mass. It is asked in the order of masses, and may
// begin where it was before.
type inverse interface {
	at(mass float64) float64
}

// lines is the integrated rate of straight lines, one after the other.
type lines struct {
	pieces []Piece
	i      int     // the piece that holds the last mass
	begin  float64 // of piece i, seconds
	before float64 // mass before piece i
}

func (p Piece) mass() float64 { return (p.From + p.To) / 2 * p.Lasts.Seconds() }

func (l *lines) at(mass float64) float64 {
	for l.i < len(l.pieces)-1 && mass >= l.before+l.pieces[l.i].mass() {
		l.before += l.pieces[l.i].mass()
		l.begin += l.pieces[l.i].Lasts.Seconds()
		l.i++
	}
	p := l.pieces[l.i]
	seconds := p.Lasts.Seconds()
	return l.begin + min(rootOfLine(p.From, (p.To-p.From)/seconds, mass-l.before), seconds)
}

// rootOfLine solves from t + slope t^2/2 = mass for t, in the form that loses no
// digits when the slope is small.
func rootOfLine(from, slope, mass float64) float64 {
	root := from + math.Sqrt(max(from*from+2*slope*mass, 0))
	if root <= 0 || mass <= 0 {
		return 0
	}
	return 2 * mass / root
}

// wave is the integrated rate of a sine,
// L(t) = mean t + amplitude/omega (1 - cos(omega t)), omega = 2 pi / period.
type wave struct {
	mean, amplitude, omega float64
	last                   float64
}

func (w *wave) mass(t float64) float64 {
	// 1 - cos x = 2 sin^2(x/2) keeps the digits near 0.
	s := math.Sin(w.omega * t / 2)
	return w.mean*t + w.amplitude/w.omega*2*s*s
}

// at solves L(t) = mass by Newton's method inside a bracket that is halved
// whenever a Newton step would leave it: the rate may be 0 at the trough.
func (w *wave) at(mass float64) float64 {
	// mean t <= L(t) <= mean t + 2 amplitude/omega bounds the root.
	high := mass / w.mean
	low := max(w.last, high-2*w.amplitude/w.omega/w.mean)
	t := low
	const tolerance = 1e-11 // seconds
	for range 100 {
		over := w.mass(t) - mass
		if over > 0 {
			high = t
		} else {
			low = t
		}
		next := t - over/(w.mean+w.amplitude*math.Sin(w.omega*t))
		if !(next > low && next < high) {
			next = low + (high-low)/2
		}
		if math.Abs(next-t) <= tolerance || high-low <= tolerance {
			t = next
			break
		}
		t = next
	}
	w.last = max(w.last, t)
	return t
}

// Recording is the instants of recorded arrivals, from the first of them, in
// order. Its JSON is compact: the differences in nanoseconds as varints, in
// base64.
type Recording struct{ offsets []time.Duration }

// Len is the number of arrivals.
func (r *Recording) Len() int { return len(r.offsets) }

// MarshalJSON writes the compact form.
func (r Recording) MarshalJSON() ([]byte, error) {
	var raw []byte
	last := time.Duration(0)
	for _, at := range r.offsets {
		raw = binary.AppendUvarint(raw, uint64(at-last))
		last = at
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(raw))
}

// UnmarshalJSON reads the compact form. It refuses more arrivals than a file may
// hold, and instants beyond what a drill may last.
func (r *Recording) UnmarshalJSON(text []byte) error {
	var encoded string
	if err := json.Unmarshal(text, &encoded); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	r.offsets = nil
	at := uint64(0)
	for len(raw) > 0 {
		gap, n := binary.Uvarint(raw)
		if n <= 0 || gap > math.MaxInt64 || at+gap > math.MaxInt64 {
			return errors.New("recording: an arrival is no varint")
		}
		if len(r.offsets) >= maxArrivals {
			return fmt.Errorf("recording: more than %d arrivals", maxArrivals)
		}
		at += gap
		r.offsets = append(r.offsets, time.Duration(at))
		raw = raw[n:]
	}
	return nil
}

// scaled is arrival k with time divided by speed.
func (r *Recording) scaled(k uint64, speed float64) time.Duration {
	if speed == 1 {
		return r.offsets[k]
	}
	return time.Duration(float64(r.offsets[k])/speed + 0.5)
}

// length is how long a replay at a speed lasts: to the last arrival, and the
// mean gap after it.
func (r *Recording) length(speed float64) time.Duration {
	last := r.scaled(uint64(len(r.offsets)-1), speed)
	gap := time.Second
	if n := len(r.offsets) - 1; n > 0 {
		gap = last / time.Duration(n)
	}
	return last + max(gap, time.Millisecond)
}

// busiest is the most arrivals within any one second of a replay at a speed.
func (r *Recording) busiest(speed float64) int {
	most, first := 0, 0
	for k := range r.offsets {
		for r.scaled(uint64(k), speed)-r.scaled(uint64(first), speed) >= time.Second {
			first++
		}
		most = max(most, k-first+1)
	}
	return most
}
