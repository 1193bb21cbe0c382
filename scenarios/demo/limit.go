package demo

import (
	"net/http"
	"strconv"
)

// answer is what a request is answered with. kind is its name in the metrics.
type answer struct {
	kind   string
	status int
	body   string
}

// limit is the part of a target that the load meets.
type limit struct {
	// serve answers one request; number is unique to it.
	serve func(r *http.Request, number uint64) answer
	// ceilings are what is known of it, the first to be reached first.
	ceilings []Ceiling
	pools    []*pool
	cache    *cache // nil but for LimitMemory
}

// Ceiling is the load at which a resource reaches its limit.
type Ceiling struct {
	// Resource is named as in a report: cpu, memory, pool.<name>, lock;
	// "unmeasured" is a queue that no metric shows.
	Resource string  `json:"resource"`
	RPS      float64 `json:"rps"`
}

const anyRequest = "any"

func ok() answer { return answer{kind: anyRequest, status: http.StatusOK, body: "{\"ok\":true}\n"} }

func unavailable(kind, why string) answer {
	return answer{kind: kind, status: http.StatusServiceUnavailable, body: `{"error":` + strconv.Quote(why) + "}\n"}
}

// newLimit builds what cfg asks for; cfg is complete and valid.
func newLimit(cfg Config) (limit, error) {
	switch cfg.Limit {
	case LimitPool:
		return poolLimit(cfg.CapacityRPS), nil
	case LimitLock:
		return lockLimit(cfg.CapacityRPS), nil
	case LimitDownstream:
		return downstreamLimit(cfg.CapacityRPS), nil
	case LimitMemory:
		return memoryLimit(cfg.CapacityRPS), nil
	case LimitCPU:
		return cpuLimit(cfg.CapacityRPS)
	case LimitShop:
		return shopLimit(cfg.CapacityRPS)
	default: // LimitNone
		return limit{serve: func(*http.Request, uint64) answer { return ok() }}, nil
	}
}

func poolLimit(capacityRPS float64) limit {
	slots, hold := poolSize(capacityRPS)
	workers := newPool("workers", slots)
	return limit{
		serve: func(r *http.Request, _ uint64) answer {
			if err := workers.visit(r.Context(), hold); err != nil {
				return unavailable(anyRequest, "no worker was free in time")
			}
			return ok()
		},
		ceilings: []Ceiling{{"pool.workers", capacityRPS}},
		pools:    []*pool{workers},
	}
}

func lockLimit(capacityRPS float64) limit {
	l := newLedger(seconds(1 / capacityRPS))
	return limit{
		serve: func(r *http.Request, _ uint64) answer {
			if err := l.write(r.Context()); err != nil {
				return unavailable(anyRequest, "the ledger was not free in time")
			}
			return ok()
		},
		ceilings: []Ceiling{{"lock", capacityRPS}},
	}
}

func downstreamLimit(capacityRPS float64) limit {
	d := newDownstream(seconds(1 / capacityRPS))
	return limit{
		serve: func(r *http.Request, _ uint64) answer {
			if err := d.call(r.Context()); err != nil {
				return unavailable(anyRequest, "the downstream did not answer in time")
			}
			return ok()
		},
		ceilings: []Ceiling{{"unmeasured", capacityRPS}},
	}
}

func memoryLimit(capacityRPS float64) limit {
	c := newCache(capacityRPS)
	return limit{
		serve: func(*http.Request, uint64) answer {
			if !c.store() {
				return unavailable(anyRequest, "the memory budget is used up")
			}
			return ok()
		},
		ceilings: []Ceiling{{"go.memory", capacityRPS}},
		cache:    c,
	}
}

func cpuLimit(capacityRPS float64) (limit, error) {
	m, err := newMeter(seconds(1/capacityRPS), 1, computePrices)
	if err != nil {
		return limit{}, err
	}
	return limit{
		serve: func(_ *http.Request, number uint64) answer {
			prices := m.do(1, number)
			a := ok()
			a.body = `{"prices":"` + strconv.FormatUint(prices, 16) + "\"}\n"
			return a
		},
		ceilings: []Ceiling{{"cpu", capacityRPS}},
	}, nil
}

func shopLimit(capacityRPS float64) (limit, error) {
	s, err := newShop(capacityRPS)
	if err != nil {
		return limit{}, err
	}
	return limit{
		serve:    s.serve,
		ceilings: []Ceiling{{"pool.shop", capacityRPS}, {"cpu", shopCPUOverPool * capacityRPS}},
		pools:    []*pool{s.database},
	}, nil
}
