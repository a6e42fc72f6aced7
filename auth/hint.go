package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Hint returns advice after Ask has returned cause; it may be empty. After a 400 over http it
// dials, to find out whether the server speaks TLS, and blocks for at most Config.Timeout.
// Otherwise it does not block.
func (c *Client) Hint(cause error) string {
	if status := (*StatusError)(nil); errors.As(cause, &status) {
		return c.hintAt(status.Status)
	}
	return c.dialer.hint(cause)
}

// hintAt returns the hint for an answer. Servers answer 400 to plain HTTP on a TLS port, and
// (nginx) to a client without a certificate.
func (c *Client) hintAt(status int) string {
	switch {
	case status != http.StatusBadRequest:
		return ""
	case c.dialer.tls == nil && c.speaksTLS():
		return errTLS.Error()
	case c.dialer.wantsOurs.Load():
		return wantsCertificate
	}
	return ""
}

const wantsCertificate = "it wants a certificate of its client, and wsify shows none"

// speaksTLS tries a handshake and accepts any certificate.
func (c *Client) speaksTLS() bool {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	tcp, err := c.dialer.connect(ctx)
	if err != nil {
		return false
	}
	defer tcp.Close()
	err = handshake(ctx, tls.Client(tcp, &tls.Config{InsecureSkipVerify: true})) // nothing is sent over it
	return err == nil || isAlert(err)
}

// rejected waits for the alert of a server that requires a client certificate. With TLS 1.3 it
// comes after the handshake. It returns nil when no alert comes.
func (d *dialer) rejected(conn net.Conn) error {
	if !d.wantsOurs.Load() {
		return nil
	}
	const patience = time.Second // a server that requires none sends nothing
	_ = conn.SetReadDeadline(time.Now().Add(min(patience, d.timeout)))
	if _, err := conn.Read(make([]byte, 1)); err != nil && !timedOut(err) {
		_ = conn.Close()
		return unreachable(err)
	}
	return nil
}

// hint returns advice for the usual failures.
func (d *dialer) hint(err error) string {
	var (
		name *net.DNSError
		op   *net.OpError
	)
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf("the name %q cannot be looked up here", name.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens on " + d.addr + ": is the webhook running?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to " + d.addr
	case timedOut(err) && errors.As(err, &op) && op.Op == "dial":
		return "no connection to " + d.addr + " in time: does a firewall drop it?"
	case timedOut(err):
		return d.addr + " takes connections and does not answer in time"
	case errors.Is(err, errTLS):
		return "" // the error says it itself
	case d.tls != nil:
		return d.hintTLS(err)
	}
	return ""
}

// hintTLS returns the hint for failures of TLS.
func (d *dialer) hintTLS(err error) string {
	var (
		failed  *CallError
		plain   tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		other   x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &plain):
		return d.addr + " does not speak TLS: should the URL start with http://?"
	case errors.As(err, &unknown):
		return "its certificate is from an authority that is not trusted here: name a file with that in -authorizer-ca"
	case errors.As(err, &other):
		return "its certificate is for another name: " + other.Error()
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired, or a clock is wrong: " + invalid.Error()
	case errors.As(err, &invalid):
		return "its certificate is not valid: " + invalid.Error()
	case d.wantsOurs.Load() && (isAlert(err) || isLost(err)):
		return wantsCertificate
	case isAlert(err):
		return "it does not agree to TLS with wsify"
	case isLost(err) && errors.As(err, &failed) && failed.Result == ResultUnreachable:
		return d.addr + " closes the connection on a TLS handshake: should the URL start with http://?"
	}
	return ""
}

// isLost reports whether the other end has closed the connection.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// isAlert reports whether err is an alert of the other end's TLS.
func isAlert(err error) bool {
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "remote error"
}
