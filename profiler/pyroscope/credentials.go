package pyroscope

import (
	"errors"
	"net/http"
	"net/url"
)

// Credentials are what a Pyroscope server asks for. They come from the
// environment, never from a scenario, and are shown nowhere.
type Credentials struct {
	// Tenant is sent as X-Scope-OrgID; empty for a server with one tenant.
	Tenant string
	// Authorization is sent as that header; else Token as a bearer token; else User
	// and Password by basic authentication, if there is a user.
	Authorization         string
	Token, User, Password string
}

// tenantHeader names the tenant to a Pyroscope server.
const tenantHeader = "X-Scope-OrgID"

// header is what goes with each request.
func (c Credentials) header() http.Header {
	h := http.Header{}
	if c.Tenant != "" {
		h.Set(tenantHeader, c.Tenant)
	}
	switch {
	case c.Authorization != "":
		h.Set("Authorization", c.Authorization)
	case c.Token != "":
		h.Set("Authorization", "Bearer "+c.Token)
	case c.User != "":
		req := http.Request{Header: h}
		req.SetBasicAuth(c.User, c.Password)
	}
	return h
}

// serverURL parses the address of a Pyroscope server. Its user, if there is one,
// becomes the credentials.
func serverURL(raw string, c *Credentials) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the address of the Pyroscope server is no http or https URL; hint: write it like http://127.0.0.1:4040")
	}
	if u.User != nil {
		c.User = u.User.Username()
		c.Password, _ = u.User.Password()
		u.User = nil
	}
	return u, nil
}
