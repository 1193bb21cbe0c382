package scenarios

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Bounds of values. They keep every product of a rate and a time far below the
// 2^53 up to which a float64 counts exactly.
const (
	maxRate     = 1e7 // requests/s
	maxDuration = 31 * 24 * time.Hour
	maxUsers    = 1_000_000
	maxName     = 64 // bytes of a name
)

// check complains about every value that cannot be meant.
func (s *Scenario) check(c *complaints) {
	if s.Version != 1 {
		c.add("version", "version must be 1", "this version of Headroom reads version 1 only")
	}
	if !isName(s.Name) {
		c.quoteIfNew("name", s.Name, "name must be letters, digits, and . _ - inside, at most 64", "did you mean "+strconv.Quote(nameFrom(s.Name))+"?")
	}
	s.checkTarget(c)
	s.checkLoad(c)
	s.checkConditions(c)
	s.checkSources(c)
	s.checkCapacity(c)
	s.checkSafety(c)
}

// quoteIfNew quotes the text as written if it is known, else as given.
func (c *complaints) quoteIfNew(path, text, message, hint string) {
	if at, ok := c.places[path]; ok {
		text = at.text
	}
	c.quote(path, text, message, hint)
}

func isNameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-'
}

// isName accepts what is safe as a part of a file's name everywhere.
func isName(name string) bool {
	return name != "" && len(name) <= maxName && strings.Trim(name, "-._") == name &&
		strings.IndexFunc(name, func(r rune) bool { return !isNameRune(r) }) < 0
}

// positive complains about anything but a number above 0 and up to a bound.
func (c *complaints) positive(path string, v, bound float64) {
	if !(v > 0) || v > bound {
		c.quoteIfNew(path, number(v), fmt.Sprintf("%s must be above 0 and at most %s", path, number(bound)), "")
	}
}

func (c *complaints) notNegative(path string, v, bound float64) {
	if !(v >= 0) || v > bound {
		c.quoteIfNew(path, number(v), fmt.Sprintf("%s must be from 0 to %s", path, number(bound)), "")
	}
}

func (c *complaints) lasts(path string, d Duration) {
	if d <= 0 || time.Duration(d) > maxDuration {
		c.quoteIfNew(path, d.String(), fmt.Sprintf("%s must be above 0s and at most %s", path, Duration(maxDuration)), "")
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// rate is positive, for a load: what safety allows bounds it.
func (c *complaints) rate(path string, v float64, s *Scenario, zero bool) {
	if zero && v == 0 {
		return
	}
	before := len(c.list)
	c.positive(path, v, maxRate)
	if len(c.list) == before && v > s.Safety.MaxRPS && !c.broken["safety.max_rps"] {
		c.quoteIfNew(path, number(v), fmt.Sprintf("%s is above safety.max_rps, which is %s", path, number(s.Safety.MaxRPS)),
			"raise safety.max_rps if the target may be given that much")
	}
}

// checkConditions checks objectives and guards as they may also come from code.
func (s *Scenario) checkConditions(c *complaints) {
	if s.Objectives != nil && len(s.Objectives) == 0 {
		c.quote("objectives", "", "objectives is empty", "name one, such as p99 < 50ms, or remove the key for the defaults")
	}
	requests, _ := s.Target.mix()
	names := make([]string, len(requests))
	for i, r := range requests {
		names[i] = r.Name
	}
	for i, o := range s.Objectives {
		path := fmt.Sprintf("objectives[%d]", i)
		if _, err := ParseObjective(o.String()); err != nil && !c.broken[path] {
			message, hint := parts(err)
			c.quoteIfNew(path, o.String(), path+": "+message, hint)
		}
		c.names(path, o.Request, names)
	}
	for i, g := range s.Guards {
		path := fmt.Sprintf("guards[%d]", i)
		if _, err := ParseGuard(g.String()); err != nil && !c.broken[path] {
			message, hint := parts(err)
			c.quoteIfNew(path, g.String(), path+": "+message, hint)
		}
		c.names(path, g.Request, names)
	}
}

func (c *complaints) names(path, request string, known []string) {
	for _, k := range known {
		if k == request {
			return
		}
	}
	if request != "" && !c.broken[path] && !c.broken["target.requests"] && !c.broken["target.flow"] {
		c.quoteIfNew(path, request, path+fmt.Sprintf(" names the request %q, which is not there", request), suggest(request, known))
	}
}

// none turns a source off that is tried by default.
const none = "none"

func (s *Scenario) checkSources(c *complaints) {
	optional := func(path, raw string, mayBeNone bool) {
		if raw != "" && (raw != none || !mayBeNone) || raw == "" && c.given(path) {
			c.url(path, raw)
		}
	}
	s.checkProfiles(c)
	optional("resources.metrics", s.Resources.Metrics, true)
	s.checkPrometheus(c)
	s.checkPyroscope(c)
	if s.Resources.Process < 0 || s.Resources.Process == 0 && c.given("resources.process") {
		c.add("resources.process", "resources.process must be the id of a process", "")
	}
	for _, part := range strings.Split(s.Resources.Cgroup, "/") {
		if part == ".." || strings.ContainsAny(part, "\x00\n") {
			c.add("resources.cgroup", "resources.cgroup must be a path without ..", "write it like /checkout")
			break
		}
	}
}

// url parses a URL of a service and complains about what it cannot be.
func (c *complaints) url(path, raw string) *url.URL {
	u, err := url.Parse(raw)
	message, hint := "", "write it like http://127.0.0.1:8080"
	switch {
	case err != nil:
		message = "is no URL"
		if strings.Contains(raw, "${") {
			message, hint = "cannot hold ${NAME}", "put secrets into a request's headers: Authorization: Bearer ${TOKEN}"
		} else if _, err := url.Parse("http://" + raw); err == nil {
			hint = "did you mean " + strconv.Quote("http://"+raw) + "?"
		}
	case strings.Contains(raw, "{{") || strings.Contains(raw, "${"):
		message, hint = "cannot be a template", "templates belong into the requests' paths, headers and bodies"
	case u.Host == "" && u.Opaque != "" || u.Scheme == "" && u.Path != "":
		message = "has no scheme"
		hint = "did you mean " + strconv.Quote("http://"+strings.TrimPrefix(raw, "//")) + "?"
	case u.Scheme != "http" && u.Scheme != "https":
		message = "must be http or https"
	case u.Hostname() == "":
		message = "has no host"
	case !validPort(u.Port()):
		message = "has a port outside 1..65535"
	case u.Fragment != "":
		message, hint = "has a fragment", "remove everything from the #"
	default:
		return u
	}
	if u != nil && u.User != nil || strings.Contains(raw, "@") {
		raw = "" // may hold a password
	}
	c.quote(path, raw, path+" "+message, hint)
	return nil
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port == "" || err == nil && n >= 1 && n <= 65535
}

var growthForm = regexp.MustCompile(`^-?[0-9]{1,4}(\.[0-9]{1,4})?%/(day|week|month|quarter|year)$`)

func (s *Scenario) checkCapacity(c *complaints) {
	if d := s.Capacity.Demand; d != nil {
		c.positive("capacity.demand.peak", d.Peak, 1e12)
		if d.Growth != "" && !growthForm.MatchString(d.Growth) {
			c.quoteIfNew("capacity.demand.growth", d.Growth, "capacity.demand.growth is no growth", "write it like 5%/month")
		}
	}
	if p := s.Capacity.Prices; p != nil {
		if len(p.Currency) != 3 || strings.Trim(p.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			c.quoteIfNew("capacity.prices.currency", p.Currency, "capacity.prices.currency must be three capital letters", "such as USD or EUR")
		}
		c.notNegative("capacity.prices.vcpu_hour", p.VCPUHour, 1e6)
		c.notNegative("capacity.prices.gb_hour", p.GBHour, 1e6)
		c.notNegative("capacity.prices.egress_gb", p.EgressGB, 1e6)
	}
	c.notNegative("capacity.arrivals_scv", s.Capacity.ArrivalsSCV, 1000)
	if r := s.Capacity.Redundancy; r != nil {
		c.positive("capacity.redundancy.zones", float64(r.Zones), 1000)
		if r.Survive < 0 || r.Survive >= r.Zones && r.Zones > 0 {
			c.add("capacity.redundancy.survive", "capacity.redundancy.survive must be from 0 to less than zones", "")
		}
	}
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,62}\.?)*$`)

func (s *Scenario) checkSafety(c *complaints) {
	c.form("lost_worker", string(s.LostWorker), new(LostWorker))
	if v := s.Safety.MaxRPS; math.IsNaN(v) || v <= 0 || v > maxRate {
		c.positive("safety.max_rps", v, maxRate)
	}
	for i, a := range s.Safety.Allow {
		_, errAddr := netip.ParseAddr(a)
		_, errPrefix := netip.ParsePrefix(a)
		if errAddr == nil || errPrefix == nil {
			continue
		}
		path := fmt.Sprintf("safety.allow[%d]", i)
		if len(a) > 253 || !hostForm.MatchString(a) {
			c.quoteIfNew(path, a, path+" is no address, prefix or host name", "write it like 10.0.0.5, 10.0.0.0/8 or shop.internal, without scheme and port")
		}
	}
}
