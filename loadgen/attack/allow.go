package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// ErrBlocked is wrapped by the errors of dials that the allow-list refuses.
var ErrBlocked = errors.New("not on the allow-list")

// AllowList says which addresses may be reached. Loopback always may.
type AllowList struct {
	prefixes []netip.Prefix
	names    map[string]bool
	within   *AllowList // another list that must allow it too; nil for none
}

// Within returns a list that allows what both lists allow.
func (a *AllowList) Within(outer *AllowList) *AllowList {
	both := *a
	both.within = outer
	return &both
}

// NewAllowList reads addresses (10.1.2.3), prefixes (10.0.0.0/8) and host names,
// which allow whatever they resolve to.
func NewAllowList(entries []string) (*AllowList, error) {
	a := &AllowList{names: map[string]bool{}}
	for _, e := range entries {
		if p, err := netip.ParsePrefix(e); err == nil {
			a.prefixes = append(a.prefixes, p.Masked())
			continue
		}
		if ip, err := netip.ParseAddr(e); err == nil {
			a.prefixes = append(a.prefixes, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
			continue
		}
		if e == "" || strings.ContainsAny(e, "/ :") {
			return nil, fmt.Errorf("allow-list: %q is no address, prefix or host name", e)
		}
		a.names[strings.ToLower(e)] = true
	}
	return a, nil
}

// Check tells whether host, resolved to ip, may be reached.
func (a *AllowList) Check(host string, ip netip.Addr) error {
	ip = ip.Unmap()
	if a.within != nil {
		if err := a.within.Check(host, ip); err != nil {
			return err
		}
	}
	if ip.IsLoopback() || a.names[strings.ToLower(host)] {
		return nil
	}
	for _, p := range a.prefixes {
		if p.Contains(ip) {
			return nil
		}
	}
	return fmt.Errorf("%s (%s) is %w", host, ip, ErrBlocked)
}

// Dial connects to addr if the allow-list has it, within a time if that is not 0.
// The check is made on the address that is really connected to, after resolution, so that a name that
// resolves to something else the next time is caught too.
func (a *AllowList) Dial(ctx context.Context, network, addr string, timeout time.Duration) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{
		Timeout:   timeout,
		KeepAlive: -1,
		Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("allow-list: %w", err)
			}
			return a.Check(host, ap.Addr())
		},
	}
	return d.DialContext(ctx, network, addr)
}

// CheckName tells whether host may be reached by somebody else, such as a proxy:
// every address that it has must be allowed, since it is not known which will be
// used. A name that is on the list itself is not resolved.
func (a *AllowList) CheckName(ctx context.Context, host string) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		return a.Check(host, ip)
	}
	if a.names[strings.ToLower(host)] {
		return nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	for _, ip := range ips {
		if err := a.Check(host, ip); err != nil {
			return err
		}
	}
	return nil
}

// Resolve returns an address of host:port that may be reached, the first that
// the resolver gives.
func (a *AllowList) Resolve(ctx context.Context, addr string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for _, ip := range ips {
		if err = a.Check(host, ip); err == nil {
			return netip.AddrPortFrom(ip.Unmap(), uint16(port)), nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%s has no address", host)
	}
	return netip.AddrPort{}, err
}
