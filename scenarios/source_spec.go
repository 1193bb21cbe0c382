package scenarios

// Pyroscope names a service on a Pyroscope server, whose profiles of each step are
// fetched, unless the target's own can be.
type Pyroscope struct {
	// URL of the server.
	URL string `yaml:"url" json:"url"`
	// Service is the value of its label service_name.
	Service string `yaml:"service" json:"service"`
	// Labels select among its profiles.
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
	// Tenant is sent as X-Scope-OrgID.
	Tenant string `yaml:"tenant,omitempty" json:"tenant,omitempty"`
	// Auth is sent as the header Authorization: Bearer ${TOKEN}, or Basic
	// name:${PASSWORD}, which is encoded.
	Auth string `yaml:"auth,omitempty" json:"auth,omitempty"`
	// Interval is how often the target uploads (default: as its profiles show, else
	// 15s). It must be given where the target has several instances.
	Interval Duration `yaml:"interval,omitempty" json:"interval,omitempty"`
}

// ProfileReceive selects among the profiles that agents send to Headroom: to the
// address of drill --receive, or of controller --receive.
type ProfileReceive struct {
	// Service is the value of their label service_name.
	Service string `yaml:"service" json:"service"`
	// Labels select among its profiles.
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
}

// ProfilePush is a Pyroscope server that captures are sent to.
type ProfilePush struct {
	// URL of the server.
	URL string `yaml:"url" json:"url"`
	// Service is the label service_name (default: the scenario's name).
	Service string `yaml:"service,omitempty" json:"service,omitempty"`
	// Tenant is sent as X-Scope-OrgID.
	Tenant string `yaml:"tenant,omitempty" json:"tenant,omitempty"`
	// Auth is sent as the header Authorization: Bearer ${TOKEN}, or Basic
	// name:${PASSWORD}, which is encoded.
	Auth string `yaml:"auth,omitempty" json:"auth,omitempty"`
}

// Prometheus is a server that scrapes the target, and what it is asked for. If
// that is its URL alone, it is written as a text.
type Prometheus struct {
	// URL of the server.
	URL string `yaml:"url" json:"url"`
	// Match are the label matchers that select the target's series, such as
	// namespace="shop", pod=~"web-.*" (default instance="<host:port of the target>").
	Match string `yaml:"match,omitempty" json:"match,omitempty"`
	// Sets are the ready-made queries: process, go, node, container (default
	// process and go).
	Sets []string `yaml:"sets,omitempty" json:"sets,omitempty"`
	// Queries are those of your own.
	Queries []ResourceQuery `yaml:"queries,omitempty" json:"queries,omitempty"`
	// Interval is how often the target is scraped (default: as the server has it).
	Interval Duration `yaml:"interval,omitempty" json:"interval,omitempty"`
	// Auth is sent as the header Authorization: Bearer ${TOKEN}, or Basic
	// name:${PASSWORD}, which is encoded.
	Auth string `yaml:"auth,omitempty" json:"auth,omitempty"`
}

// ResourceQuery is a resource by PromQL. In the queries, $match stands for the
// matchers, and $window for a time of two scrapes or more, as rate() needs.
type ResourceQuery struct {
	// Name of the resource, such as queue or pool.db.
	Name string `yaml:"name" json:"name"`
	// Used is the query for what is used: one series, such as
	// sum(rate(db_busy_seconds_total{$match}[$window])).
	Used string `yaml:"used" json:"used"`
	// Limit is the query for what there is, or a number.
	Limit string `yaml:"limit,omitempty" json:"limit,omitempty"`
	// Unit is cores, bytes, slots, count, bytes/s or ratio (default count).
	Unit string `yaml:"unit,omitempty" json:"unit,omitempty"`
}
