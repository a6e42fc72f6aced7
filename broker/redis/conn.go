package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"wsify/broker/internal/link"
	"wsify/internal/lastread"
)

// serverConn is a connection to one server, which speaks RESP2. Until a subscriber
// takes it over it belongs to one goroutine.
type serverConn struct {
	net.Conn
	addr    string
	timeout time.Duration // for commands, until others take it over
	in      *respReader
}

// serverInfo is what a server says of itself.
type serverInfo struct {
	role    string // master, slave or replica; empty when it does not say
	mode    string // standalone, cluster or sentinel
	version string
}

// dialer opens connections to the servers of a DSN, with the certificates that
// were there when it was made.
type dialer struct {
	o     *options
	tls   *tls.Config
	limit int // bytes of a content that are kept
	log   *slog.Logger
}

// dial opens a connection that nobody has been let in on yet.
func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.o.timeout)
	defer cancel()
	plain := &net.Dialer{KeepAlive: 15 * time.Second}
	conn, err := plain.DialContext(ctx, d.o.network, addr)
	if err != nil {
		return nil, err
	}
	conn = lastread.New(conn, d.o.timeout)
	if d.tls == nil {
		return conn, nil
	}
	config := d.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	secure := tls.Client(conn, config)
	err = secure.HandshakeContext(ctx)
	if err == context.DeadlineExceeded {
		err = errors.New("no answer to a TLS handshake: does this port speak TLS?")
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// login opens a connection, logs in and asks what the server is.
func (d *dialer) login(ctx context.Context, addr, user, password string) (*serverConn, serverInfo, error) {
	conn, err := d.dial(ctx, addr)
	if err != nil {
		return nil, serverInfo{}, fmt.Errorf("connect to redis at %s: %w", addr, dialCause(err))
	}
	c := &serverConn{Conn: conn, addr: addr, timeout: d.o.timeout, in: newRESPReader(conn, d.limit)}
	c.in.secrets = d.o.secrets()
	var s serverInfo
	err = c.during(ctx, func() (err error) {
		if err = c.auth(user, password); err != nil {
			return err
		}
		if d.o.clientName != "" {
			_, _ = c.call("CLIENT", "SETNAME", d.o.clientName) // an older server, or a user who may not: it is but a name
		}
		if s, err = c.hello(); err != nil {
			return err
		}
		return c.ready()
	})
	if err != nil {
		_ = conn.Close()
		return nil, serverInfo{}, fmt.Errorf("redis at %s: %w", addr, err)
	}
	return c, s, nil
}

// dialCause is the cause in an error of a dial, whose address is in our own words.
func dialCause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return op.Err
	}
	return err
}

// during runs fn, whose reads and writes fail when ctx or the time ends. The connection is
// closed when ctx is canceled.
func (c *serverConn) during(ctx context.Context, fn func() error) error {
	due := time.Now().Add(c.timeout)
	if last, ok := ctx.Deadline(); ok && last.Before(due) {
		due = last
	}
	_ = c.SetDeadline(due)
	stop := context.AfterFunc(ctx, func() {
		if ctx.Err() == context.Canceled {
			_ = c.Close()
		}
	})
	err := fn()
	if !stop() && ctx.Err() == context.Canceled {
		err = ctx.Err()
	}
	_ = c.SetDeadline(time.Time{})
	if err == io.EOF {
		err = errors.New("the server closed the connection")
	}
	return link.WithoutAddresses(err)
}

// call sends a command and returns the answer. An error of the server is a respError.
func (c *serverConn) call(verb string, args ...string) (respReply, error) {
	if _, err := c.Write(appendCommand(nil, verb, args...)); err != nil {
		return respReply{}, err
	}
	return c.in.reply()
}

// auth logs in, when there is something to log in with. Of a refusal it tells the code
// only: a server that does not know the command quotes the password.
func (c *serverConn) auth(user, password string) error {
	if user == "" && password == "" {
		return nil
	}
	if user == "" {
		user = "default" // named, it may also have no password
	}
	r, err := c.call("AUTH", user, password)
	refusal, refused := errors.AsType[respError](err)
	switch {
	case refused:
		return fmt.Errorf("the user or the password of the DSN is refused: %w", refusal.code())
	case err == nil && r.text != "OK":
		return errRESP
	}
	return err
}

// hello asks what the server is. Only its own word says that it is not part of a cluster:
// a node that publishes to a cluster as to a single server is heard by nobody.
func (c *serverConn) hello() (serverInfo, error) {
	r, err := c.call("HELLO", "2")
	refusal, refused := errors.AsType[respError](err)
	switch {
	case refused && strings.HasPrefix(string(refusal), "NOAUTH"):
		return serverInfo{}, fmt.Errorf("the DSN needs a password: %w", refusal.code())
	case refused && strings.HasPrefix(string(refusal), "NOPERM"):
		return c.clusterMode()
	case refused:
		return serverInfo{}, fmt.Errorf("it refuses HELLO, which Redis has since version 6: %w", refusal)
	case err != nil:
		return serverInfo{}, err
	}
	var s serverInfo
	s.read(r)
	if s.mode == "" {
		return c.clusterMode()
	}
	return s, nil
}

// read takes what HELLO answers: names and values in turn.
func (s *serverInfo) read(r respReply) {
	for i := 0; i+1 < len(r.list); i += 2 {
		switch v := r.list[i+1].text; r.list[i].text {
		case "role":
			s.role = v
		case "mode":
			s.mode = v
		case "version":
			s.version = v
		}
	}
}

// replica reports whether the server says that it is not a master.
func (s *serverInfo) replica() bool { return s.role == "slave" || s.role == "replica" }

// clusterMode asks a server whose HELLO does not say it whether it is part of a cluster.
func (c *serverConn) clusterMode() (serverInfo, error) {
	r, err := c.call("CLUSTER", "SLOTS")
	refusal, refused := errors.AsType[respError](err)
	switch {
	case refused && strings.Contains(string(refusal), "cluster support disabled"):
		return serverInfo{mode: "standalone"}, nil
	case refused:
		return serverInfo{}, fmt.Errorf("it does not say whether it is part of a cluster (the user needs the right to HELLO): %w", refusal)
	case err != nil:
		return serverInfo{}, err
	case len(r.list) == 0:
		return serverInfo{}, errRESP
	}
	return serverInfo{mode: "cluster"}, nil
}

// ready reports whether the server serves. What it answers to a ping when it may
// not write to its disk, or when the user may not ask, is no reason to stay away.
func (c *serverConn) ready() error {
	_, err := c.call("PING")
	e, refused := errors.AsType[respError](err)
	switch {
	case !refused:
		return err
	case strings.HasPrefix(string(e), "LOADING"), strings.HasPrefix(string(e), "NOAUTH"), strings.HasPrefix(string(e), "MASTERDOWN"):
		return e
	}
	return nil
}
