package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"wsify/internal/lastread"
)

// dialer opens connections to one address. It is immutable, except for its atomic fields.
//
// It does the TLS handshake itself, because the pool's own would run outside of the call's timeout.
type dialer struct {
	addr    string        // host:port
	timeout time.Duration // used when a caller has none
	tls     *tls.Config   // nil: plain TCP
	maxAge  time.Duration // connections are not reused after this time

	headDecides bool // Config.HeadDecides

	dials     atomic.Uint64 // connections that were asked for
	wantsOurs atomic.Bool   // the server has requested a client certificate, and got none
}

// maxLinkAge is how long a connection is reused. The name is looked up for a new connection only,
// so a webhook that has moved is found within that time.
const maxLinkAge = time.Minute

func newDialer(u *url.URL, config *tls.Config, timeout time.Duration) *dialer {
	d := &dialer{addr: address(u), timeout: timeout, maxAge: maxLinkAge}
	if u.Scheme == "https" {
		d.tls = tlsConfig(config, u.Hostname())
		if len(d.tls.Certificates) == 0 && d.tls.GetClientCertificate == nil {
			d.tls.GetClientCertificate = d.showNone
		}
	}
	return d
}

// showNone returns no certificate, as Go does by default.
func (d *dialer) showNone(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	d.wantsOurs.Store(true)
	return &tls.Certificate{}, nil
}

func tlsConfig(config *tls.Config, host string) *tls.Config {
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	config.NextProtos = []string{"http/1.1"}
	return config
}

// pooled dials for fasthttp. The address is always d.addr.
func (d *dialer) pooled(_ string, timeout time.Duration) (net.Conn, error) {
	if timeout <= 0 { // dialled for a waiting call
		timeout = d.timeout
	}
	l := newLink(d)
	if err := l.open(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	return l, nil
}

// dial returns the connection to use and the TCP connection below it. An error is a *CallError.
func (d *dialer) dial(ctx context.Context) (net.Conn, *net.TCPConn, error) {
	d.dials.Add(1)
	tcp, err := d.connect(ctx)
	if err != nil {
		return nil, nil, unreachable(err)
	}
	conn := lastread.New(tcp, d.timeout)
	if d.tls == nil {
		return conn, tcp, nil
	}
	secure := tls.Client(conn, d.tls)
	if err := handshake(ctx, secure); err != nil {
		_ = tcp.Close()
		return nil, nil, unreachable(err)
	}
	return secure, tcp, nil
}

// connect dials until the deadline of ctx, and once more when it found the deadline late.
func (d *dialer) connect(ctx context.Context) (*net.TCPConn, error) {
	conn, err := d.patiently(ctx)
	if due, ok := ctx.Deadline(); ok && timedOut(err) && lastread.Late(due) {
		ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), lastread.Extended(due, d.timeout))
		defer cancel()
		conn, err = d.patiently(ctx)
	}
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// descriptorPause is the pause of a dial before it tries again to get a descriptor.
const descriptorPause = 20 * time.Millisecond

// patiently dials, and waits for a descriptor as long as ctx allows: a lack of descriptors says
// nothing about the authorizer.
func (d *dialer) patiently(ctx context.Context) (net.Conn, error) {
	var short error // the error of the last try without a descriptor
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.addr)
		switch {
		case err != nil && starved(err):
			short = err
		case short == nil || !timedOut(err):
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, &CallError{Result: ResultNoDescriptor, Err: short}
		case <-time.After(descriptorPause):
		}
	}
}

// starved reports whether a dial failed for lack of a descriptor. Without one the resolver may
// return any error, even that there is no such host.
func starved(err error) bool {
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		var fd int
		if fd, err = syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {
			_ = syscall.Close(fd)
		}
	}
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// handshake ends by the deadline of ctx, which it sets on the connection. HandshakeContext would
// close the connection at once when it finds that the deadline has passed.
func handshake(ctx context.Context, c *tls.Conn) error {
	due, _ := ctx.Deadline()
	if err := c.SetDeadline(due); err != nil {
		return err
	}
	return c.Handshake()
}

func unreachable(err error) error {
	if failed, ok := err.(*CallError); ok {
		return failed
	}
	if timedOut(err) {
		return &CallError{Result: ResultTimeout, Err: err}
	}
	return &CallError{Result: ResultUnreachable, Err: err}
}

// timedOut reports whether err is a timeout of any layer.
func timedOut(err error) bool {
	if err == nil {
		return false // the common case allocates nothing; errors.As would
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
