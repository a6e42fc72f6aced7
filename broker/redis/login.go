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

// dialer opens connections to the servers of a DSN, with the certificates read when it was made.
type dialer struct {
	o       *options
	tls     *tls.Config
	timeout time.Duration // to connect to a server and to log in
	limit   int           // the most bytes of a content that are kept
	keep    *keeper       // nil without history
	log     *slog.Logger
}

// serverInfo is what a server reports about itself: role (master, slave or replica), mode
// (standalone, cluster or sentinel), version and more.
type serverInfo map[string]string

// replica reports whether the server says that it is not a master.
func (s serverInfo) replica() bool { return s["role"] == "slave" || s["role"] == "replica" }

// login opens a connection as the user of the DSN. to is nil for a connection that does not subscribe.
func (d *dialer) login(ctx context.Context, addr string, to broker.Sink) (*conn, serverInfo, error) {
	return d.loginAs(ctx, addr, d.o.user, d.o.password, to)
}

// keeping opens a connection that publishes or reads history, if any is kept.
func (d *dialer) keeping(ctx context.Context, addr string) (*conn, error) {
	c, s, err := d.login(ctx, addr, nil)
	if err != nil || d.keep == nil {
		return c, err
	}
	ctx, cancel := link.Within(ctx, d.timeout)
	defer cancel()
	if err := c.keepHistory(ctx, d.keep, s); err != nil {
		c.close()
		return nil, fmt.Errorf("redis at %s: %w", addr, err)
	}
	return c, nil
}

// loginAs opens a connection, logs in and asks for the serverInfo.
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

// dial opens a connection that has not logged in.
func (d *dialer) dial(ctx context.Context, addr string) (net.Conn, error) {
	raw, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, d.o.network, addr)
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return nil, op.Err // the caller adds the address
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

// letIn logs in, and asks for the serverInfo and whether the server is ready.
func (c *conn) letIn(ctx context.Context, user, password, name string) (serverInfo, error) {
	if err := c.auth(ctx, user, password); err != nil {
		return nil, err
	}
	s, err := c.introduce(ctx)
	if err != nil {
		return nil, err
	}
	if name != "" {
		_, _ = c.call(ctx, "CLIENT", "SETNAME", name) // the user may lack permission; the name is not needed
	}
	return s, c.ready(ctx)
}

// errMaxClients is the answer to the first command when a server has too many clients.
const errMaxClients respError = "ERR max number of clients reached"

// auth logs in, if the DSN has credentials. Its errors have only the code of a refusal, because a
// server that does not know the command quotes the password.
func (c *conn) auth(ctx context.Context, user, password string) error {
	if user == "" && password == "" {
		return nil
	}
	if user == "" {
		user = "default" // when named, it may also have no password
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

// introduce asks for the serverInfo. Only an explicit answer means that the server is not part of a
// cluster: in a cluster, a plain PUBLISH would not reach sharded subscribers.
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

// ready checks that the server serves. Two kinds of answers to a ping are accepted: that the server
// cannot write to its disk, and that the user may not ask.
func (c *conn) ready(ctx context.Context) error {
	_, err := c.call(ctx, "PING")
	refusal, refused := errors.AsType[respError](err)
	if refused && !slices.Contains([]respError{"LOADING", "NOAUTH", "MASTERDOWN"}, refusal.code()) {
		return nil
	}
	return err
}
