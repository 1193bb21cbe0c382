package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/headroom-project/headroom/loadgen/attack"
	"github.com/headroom-project/headroom/scenarios"
)

// Exit codes: a promise, listed in --help.
const (
	exitOK          = 0
	exitFail        = 1
	exitBadInput    = 2
	exitInvalid     = 3
	exitGuard       = 4
	exitCannotRun   = 5
	exitInterrupted = 130
)

const exitCodesHelp = `EXIT CODES:
   0    objectives met, no regression
   1    an objective failed, or a regression
   2    bad input
   3    invalid or inconclusive measurement
   4    ended by a guard
   5    could not run: target unreachable, fleet lost, evidence not writable
   130  interrupted; the first signal drains and still writes the bundle, the second kills
`

// codedError gives an error its exit code and, where there is one, the next step.
type codedError struct {
	code int
	err  error
	hint string
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func badInput(hint, format string, args ...any) error {
	return &codedError{exitBadInput, fmt.Errorf(format, args...), hint}
}

func cannotRun(err error, hint string) error { return &codedError{exitCannotRun, err, hint} }

// errVerdict ends a command whose report says why it did not pass.
type errVerdict int

func (e errVerdict) Error() string { return "" }

// exitCode is the only place where errors become exit codes.
func exitCode(err error) int {
	var verdict errVerdict
	var coded *codedError
	var problems *scenarios.Problems
	switch {
	case errors.As(err, &verdict):
		return int(verdict)
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &problems):
		return exitBadInput
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return exitBadInput
	}
	return exitCannotRun
}

// describe is what the user reads of an error.
func describe(err error) string {
	if err.Error() == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "headroom: %s\n", strings.TrimSuffix(err.Error(), "\n"))
	var coded *codedError
	if errors.As(err, &coded) && coded.hint != "" && !strings.Contains(err.Error(), "hint:") {
		fmt.Fprintf(&b, "hint: %s\n", coded.hint)
	}
	return b.String()
}

// unreachable explains why a target, host:port, cannot be connected to.
func unreachable(addr string, err error) error {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	hint := "check the URL, and that the target is up"
	switch {
	case errors.Is(err, attack.ErrBlocked):
		return &codedError{exitBadInput, fmt.Errorf("connect to %s: %w", addr, err),
			"only loopback is allowed by default; if you may load this target, list its address under safety.allow (or --allow)"}
	case errors.Is(err, attack.ErrNotHTTP2):
		hint = "target.protocol http1 speaks HTTP/1.1, http2 is for TLS, and h2c for HTTP/2 without it"
	case errors.Is(err, attack.ErrProxy):
		hint = "check target.proxy, and that the proxy is up and lets this machine connect to the target"
	case errors.As(err, &dns):
		hint = "the name does not resolve; check its spelling and your DNS"
	case errors.As(err, &cert):
		hint = "the certificate is not trusted here; target.tls.ca or SSL_CERT_FILE names a file of certificates to trust"
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "nothing listens there; start the target, or check the port"
	}
	return cannotRun(fmt.Errorf("connect to %s: %w", addr, err), hint)
}
