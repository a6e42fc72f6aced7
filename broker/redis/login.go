package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
	"wsify/internal/lastread"
)

// dialer opens connections to the servers of a DSN, with the certificates that
// were there when it was made.
type dialer struct {
	o       *options
	tls     *tls.Config
	timeout time.Duration // to reach a server and to be let in
	limit   int           // bytes of a content that are kept
	log     *slog.Logger
}

// serverInfo is what a server says of itself: role (master, slave or replica), mode
// (standalone, cluster or sentinel), version and more.
type serverInfo map[string]string

// replica reports whether the server says that it is not a master.
func (s serverInfo) replica() bool { return s["role"] == "slave" || s["role"] == "replica" }

// login opens a connection as the user of the DSN. to is nil for a connection that does not subscribe.
func (d *dialer) login(ctx context.Context, addr string, to broker.Sink) (*conn, serverInfo, error) {
	return d.loginAs(ctx, addr, d.o.user, d.o.password, to)
}

// loginAs opens a connection, logs in and asks what the server is.
func (d *dialer) loginAs(ctx context.Context, addr, user, password string, to broker.Sink) (*conn, serverInfo, error) {
	ctx, cancel := link.Within(ctx, d.timeout)
	defer cancel()
	raw, err := d.dial(ctx, addr)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to redis at %s: %w", addr, err)
	}
	c := newConn(raw, addr, d, to)
	s, err := c.letIn(ctx, user, password, d.o.clientName)
	if err != nil {
		c.close()
		return nil, nil, fmt.Errorf("redis at %s: %w", addr, err)
	}
	return c, s, nil
}

// dial opens a connection that nobody has been let in on yet.
func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	raw, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, d.o.network, addr)
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return nil, op.Err // the address is in our own words
	}
	if err != nil {
		return nil, err
	}
	raw = lastread.New(raw, writeTimeout)
	if d.tls == nil {
		return raw, nil
	}
	config := d.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	secure := tls.Client(raw, config)
	err = secure.HandshakeContext(ctx)
	if err != nil && whyOver(ctx) == link.ErrNoAnswer {
		err = errors.New("no answer to a TLS handshake: does this port speak TLS?")
	}
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return secure, nil
}

// letIn logs in, and asks what the server is and whether it serves.
func (c *conn) letIn(ctx context.Context, user, password, name string) (serverInfo, error) {
	if err := c.auth(ctx, user, password); err != nil {
		return nil, err
	}
	s, err := c.introduce(ctx)
	if err != nil {
		return nil, err
	}
	if name != "" {
		_, _ = c.call(ctx, "CLIENT", "SETNAME", name) // a user that may not: it is only a name
	}
	return s, c.ready(ctx)
}

// errMaxClients is what a server that has no place answers to whatever it is asked first.
const errMaxClients respError = "ERR max number of clients reached"

// auth logs in, when there is something to log in with. Of a refusal it tells the code
// only: a server that does not know the command quotes the password.
func (c *conn) auth(ctx context.Context, user, password string) error {
	if user == "" && password == "" {
		return nil
	}
	if user == "" {
		user = "default" // named, it may also have no password
	}
	r, err := c.call(ctx, "AUTH", user, password)
	refusal, refused := errors.AsType[respError](err)
	switch {
	case refused && refusal.code() == "WRONGPASS":
		return fmt.Errorf("the user or the password of the DSN is refused: %w", refusal.code())
	case refused && refusal == errMaxClients:
		return refusal
	case refused:
		return fmt.Errorf("it refuses AUTH, for another reason than a wrong password: %w", refusal.code())
	case err == nil && r.text != "OK":
		return errRESP
	}
	return err
}

// introduce asks what the server is. Only its own word says that it is not part of a cluster: a
// node that publishes to a cluster as to a single server is heard by nobody.
func (c *conn) introduce(ctx context.Context) (serverInfo, error) {
	r, err := c.call(ctx, "HELLO", "3")
	refusal, refused := errors.AsType[respError](err)
	s := serverInfo(r.pairs())
	switch {
	case refused && refusal.code() == "NOAUTH":
		return nil, fmt.Errorf("the DSN needs a password: %w", refusal.code())
	case refused && refusal.code() == "NOPERM":
		return nil, fmt.Errorf("the user needs the right to HELLO: %w", refusal)
	case refused:
		return nil, fmt.Errorf("it refuses HELLO 3, which Redis has since version 6: %w", refusal)
	case err == nil && s["mode"] == "":
		return nil, fmt.Errorf("%w: HELLO does not say whether it is part of a cluster", errRESP)
	}
	return s, err
}

// ready reports whether the server serves. What it answers to a ping when it may
// not write to its disk, or when the user may not ask, is no reason to stay away.
func (c *conn) ready(ctx context.Context) error {
	_, err := c.call(ctx, "PING")
	refusal, refused := errors.AsType[respError](err)
	if refused && !slices.Contains([]respError{"LOADING", "NOAUTH", "MASTERDOWN"}, refusal.code()) {
		return nil
	}
	return err
}
