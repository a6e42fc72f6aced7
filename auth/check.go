package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// Report is the result of Check.
type Report struct {
	URL     string        // without user, password and query
	Addr    string        // the address that answered; empty when none did
	TLS     string        // the negotiated version, as in "TLS 1.3"; empty for http
	Expires time.Time     // when its certificate ends to be trusted; zero for http
	Elapsed time.Duration // the time for lookup, dial and handshake
	Hint    string        // advice after an error; may be empty
}

// String returns the report as one line.
func (r Report) String() string {
	if r.Addr == "" {
		if r.Hint == "" {
			return fmt.Sprintf("authorizer %s cannot be reached", r.URL)
		}
		return fmt.Sprintf("authorizer %s cannot be reached: %s", r.URL, r.Hint)
	}
	over := ""
	if r.TLS != "" {
		over = " over " + r.TLS
	}
	return fmt.Sprintf("authorizer %s reached at %s%s in %s", r.URL, r.Addr, over, r.Elapsed.Round(10*time.Microsecond))
}

// Check connects to the authorizer, with a handshake, and closes the connection without a call,
// because webhooks need not expect one. It blocks for at most Config.Timeout, or until the deadline
// of ctx. Canceling ctx ends dialling, but not a handshake under way. The error is a *CallError;
// the report is valid in either case.
func (c *Client) Check(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	report := Report{URL: c.name}
	start := time.Now()
	conn, _, err := c.dialer.dial(ctx)
	report.Elapsed = time.Since(start)
	if err == nil {
		err = c.dialer.rejected(conn)
	}
	if err != nil {
		report.Hint = c.dialer.hint(err)
		return report, err
	}
	report.Addr = conn.RemoteAddr().String()
	if secure, ok := conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		report.TLS = tls.VersionName(state.Version)
		report.Expires = firstExpiry(state.VerifiedChains)
	}
	_ = conn.Close()
	return report, nil
}

// firstExpiry returns when the trust in chains ends: that of a chain ends with its first certificate
// to expire, and one chain is enough.
func firstExpiry(chains [][]*x509.Certificate) (last time.Time) {
	for _, chain := range chains {
		var first time.Time
		for _, cert := range chain {
			if first.IsZero() || cert.NotAfter.Before(first) {
				first = cert.NotAfter
			}
		}
		if first.After(last) {
			last = first
		}
	}
	return last
}
