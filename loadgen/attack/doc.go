// Package attack turns one slice of a plan into load, and what comes of it into
// windows.
//
// Vegeta's Attacker drives the hits. Its pacer is our timeline, which knows the
// instant for which each hit was planned; its transport is ours too, so that the
// instants of sending and of the answer are taken around the request itself, and
// not around what the generator does before and after:
//
//	timeline --tick--> vegeta worker --> transport --> target
//	    |                                    |
//	    '--- planned hit, by number -------->|--- ended hit ---> recorder --> windows
//
// Response time runs from the planned instant, service time from the sending,
// and send lag is the difference. A hit that had to wait for a connection or for
// the generator is therefore late in the figures, never lost from them.
//
// Behind the transport are senders: one for HTTP/1.1 (wire), one for HTTP/2 (h2).
// Both take their connections from a dialer, which knows proxies, TLS and the
// allow-list. Redirects and the requests of a flow go through them one by one, so
// that each is counted.
//
// This is the only package that imports vegeta.
package attack
