package capacity

import "math"

// station is how requests are served, apart from by how many servers how fast.
type station struct {
	// shared says that all who are present share the cores. rest is the part of the
	// time without waiting, in seconds, that is no work for them; each the mean work
	// of any request where the responses do not show it, else 0.
	shared     bool
	rest, each float64
	talk       crosstalk // among those who share
	// parts is how much of a response is work, once it was made out; nil otherwise.
	parts *parted
	// outside is what a request takes besides its work, where the base is that of the
	// work alone; nil where it is that of both.
	outside *outside
	// bucket says that it is a limiter that gathers tokens, whose burst is in the place
	// of the number of servers (see metered).
	bucket bool
	// ahead is the squared coefficient of variation of the arrivals that responses are
	// predicted for; 0 is Poisson.
	ahead float64
	// taken is how often a request takes it, one after the other; 0 is once.
	taken float64
	// besides is a second resource that requests wait for, of which all is known by
	// its use; nil for none.
	besides *beside
}

// foreseen is the squared coefficient of variation of the arrivals of production.
func (s *station) foreseen() float64 {
	if s.ahead > 0 {
		return s.ahead
	}
	return 1
}

// beside is a resource that requests pass besides the one that is fitted. As its
// law is fixed, what it does to the responses at a load is worked out once.
type beside struct {
	latency
	loads []float64
	bands [][]band
}

// band is where requests of one bin end up: share k in the k-th bin above.
type band []float64

// at returns the bands of the load.
func (b *beside) at(load float64) []band {
	for i, known := range b.loads {
		if known == load {
			return b.bands[i]
		}
	}
	bands := b.latency.bandsAt(load, 1)
	b.loads, b.bands = append(b.loads, load), append(b.bands, bands)
	return bands
}

// bandsAt works out where requests of each bin end up at a load of arrivals with a squared
// coefficient of variation of ca2.
func (l *latency) bandsAt(load, ca2 float64) []band {
	n := len(l.bins.middle)
	others, w := l.crowd(load).of(ca2), l.waiting(load, ca2)
	bands := make([]band, n)
	for j := range bands {
		tail := func(t float64) float64 { return w.tail(t) }
		if l.shared {
			d := l.added(others, l.bins.middle[j])
			tail = d.tail
		}
		above := 1.0
		for k := j; k < n-1 && above > 1e-5; k++ {
			next := tail(l.bins.edges[k+1] - l.bins.middle[j])
			bands[j] = append(bands[j], above-next)
			above = next
		}
		if len(bands[j]) == n-j-1 {
			bands[j] = append(bands[j], above)
		} else {
			bands[j][len(bands[j])-1] += above
		}
	}
	return bands
}

// moved returns the histogram behind the resource.
func moved(bands []band, from, into []float64) {
	clear(into)
	for j, p := range from {
		if p == 0 {
			continue
		}
		for k, share := range bands[j] {
			into[j+k] += p * share
		}
	}
}

// credited is moved backwards: how much of what was seen behind the resource each
// bin explains.
func credited(bands []band, seen, into []float64) {
	for j := range into {
		sum := 0.0
		for k, share := range bands[j] {
			sum += share * seen[j+k]
		}
		into[j] = sum
	}
}

// spare is how many bins more than were seen a response may reach: a factor of 10.
const spare = 30

// behind returns what the responses are at a load before the last wait in order,
// over wider bins, and that wait. Sharing comes first, as requests
// take part in it with their work alone.
func (l *latency) behind(load float64) ([]float64, bins, waiting) {
	wide := l.bins.wider(spare)
	base := make([]float64, len(wide.middle))
	first, then := &l.besides.latency, l
	if l.shared {
		first, then = l, &l.besides.latency
	}
	f := *first
	f.bins = wide
	copy(base, l.base)
	into := make([]float64, len(base))
	moved(f.bandsAt(load, l.foreseen()), base, into)
	return into, wide, then.waiting(load, l.foreseen())
}

// wider has n more bins at the top.
func (b bins) wider(n int) bins {
	w := bins{append([]float64{}, b.edges...), append([]float64{}, b.middle...)}
	for range n {
		last := w.edges[len(w.edges)-1]
		w.edges = append(w.edges, last*math.Exp(coarse*logBin))
		w.middle = append(w.middle, last*math.Exp(coarse*logBin/2))
	}
	return w
}

// besides returns the resource that is awaited besides i in replicate r (-1: by
// the fit; i -1: besides one that nothing measures), nil if none adds to the
// responses.
func (p *predictor) besides(list []stage, b bins, i, r int) *beside {
	low, at := distant*p.top, -1
	for k := range p.limited {
		if c := p.limited[k].ceiling(r); k != i && p.limited[k].unit != "bytes" && c < low {
			low, at = c, k
		}
	}
	if at < 0 {
		return nil
	}
	f := &p.limited[at]
	l := latency{server: server{saturation: max(low, 1.02*p.top), servers: f.servers(), scv: 1}, bins: b}
	service := f.demandAt(list[0].load)
	if l.talk = f.talkIn(r); !l.talk.none() {
		service = f.demand
	}
	l.ahead = p.ahead
	if l.taken = f.times; f.lock == "" {
		if scv, known := l.worked(quietest(list), b, service); known {
			l.scv = scv
		}
	}
	l.shared = f.name == cpu
	return &beside{latency: l}
}

// distant is how many times the highest load a ceiling may be for its resource to
// make anyone wait.
const distant = 8.0
