package demo

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what GET /metrics shows, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
}

func newMetrics(pools []*pool, c *cache) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "demo_http_requests_total",
			Help: "Requests of the load that were answered.",
		}, []string{"request", "code"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests,
	)
	for _, p := range pools {
		m.registry.MustRegister(newPoolCollector(p))
	}
	if c != nil {
		m.registry.MustRegister(cacheGauges(c)...)
	}
	return m
}

func (m *metrics) count(a answer) {
	m.requests.WithLabelValues(a.kind, strconv.Itoa(a.status)).Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func cacheGauges(c *cache) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "demo_memory_retained_bytes",
			Help: "Memory that requests retain.",
		}, func() float64 { return float64(c.retained.Load()) * float64(c.session()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "demo_memory_budget_bytes",
			Help: "Memory that requests may retain.",
		}, func() float64 { return float64(c.places) * float64(c.session()) }),
	}
}

// poolCollector shows a pool under the names that client_golang's DBStats
// collector gives to a database/sql pool, which is where most pools are met, and
// under names of its own with the exact time in use.
type poolCollector struct {
	pool *pool

	max, open, inUse, idle  *prometheus.Desc
	waitCount, waitDuration *prometheus.Desc
	slots, busy             *prometheus.Desc
}

func newPoolCollector(p *pool) *poolCollector {
	sql := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("go_sql_"+name, help, nil, prometheus.Labels{"db_name": p.name})
	}
	own := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("demo_pool_"+name, help, nil, prometheus.Labels{"pool": p.name})
	}
	return &poolCollector{
		pool:         p,
		max:          sql("max_open_connections", "Maximum number of open connections to the database."),
		open:         sql("open_connections", "The number of established connections both in use and idle."),
		inUse:        sql("in_use_connections", "The number of connections currently in use."),
		idle:         sql("idle_connections", "The number of idle connections."),
		waitCount:    sql("wait_count_total", "The total number of connections waited for."),
		waitDuration: sql("wait_duration_seconds_total", "The total time blocked waiting for a new connection."),
		slots:        own("slots", "The number of slots."),
		busy:         own("busy_seconds_total", "Slot-seconds in use, exact."),
	}
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.max, c.open, c.inUse, c.idle, c.waitCount, c.waitDuration, c.slots, c.busy} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.pool.read(time.Now())
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	counter := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
	gauge(c.max, float64(s.slots))
	gauge(c.open, float64(s.slots))
	gauge(c.inUse, float64(s.held))
	gauge(c.idle, float64(s.slots-s.held))
	counter(c.waitCount, float64(s.waits))
	counter(c.waitDuration, s.waited.Seconds())
	gauge(c.slots, float64(s.slots))
	counter(c.busy, s.busy.Seconds())
}
