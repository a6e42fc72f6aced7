package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"wsify/broker/internal/link"
)

// handlers sets what nats.go tells. It calls all of them from one goroutine, in the
// order of what the server sent.
func (l *serverLink) handlers(o *nats.Options) {
	o.AsyncErrorCB = l.failed
	o.LameDuckModeHandler = l.lameDuck
	o.ClosedCB = func(nc *nats.Conn) {
		l.engine.remember(nc.DiscoveredServers())
		err := nc.LastError()
		switch {
		case err == nil:
			err = nats.ErrConnectionClosed
		case errors.Is(err, net.ErrClosed): // by cut, or by gatedConn
			err = link.ErrNoAnswer
		}
		l.to.Lost(fmt.Errorf("the connection to the NATS server: %w", l.engine.secrets.Err(err)))
		close(l.ended)
	}
}

// cause puts the reason in place of an error that says no more than that the
// connection is closed.
func (l *serverLink) cause(err error) error {
	if last := l.nc.LastError(); last != nil && errors.Is(err, nats.ErrConnectionClosed) {
		err = last
	}
	return l.engine.secrets.Err(err)
}

// failed is told of every error that nats.go met.
func (l *serverLink) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	var reached *fence
	switch {
	case errors.As(err, &reached):
		close(reached.reached)
	case errors.Is(err, nats.ErrPermissionViolation):
		l.violation(err)
	case errors.Is(err, nats.ErrMaxSubscriptionsExceeded):
		l.mu.Lock()
		defer l.mu.Unlock()
		l.limited++
	case errors.Is(err, nats.ErrBadHeaderMsg): // the content comes all the same
	default: // nats.ErrSlowConsumer too, which intake rules out
		l.to.Lost(fmt.Errorf("the connection to the NATS server: %w", l.engine.secrets.Err(err)))
	}
}

// Words of a server that refuses; the subject follows, quoted as by Go.
const (
	refusedSubscription = "Permissions Violation for Subscription to "
	refusedPublication  = "Permissions Violation for Publish to "
)

// violation finds what it is that the server refuses. It does so with what was just
// sent, and with subscriptions in force when its configuration changes.
func (l *serverLink) violation(err error) {
	text := err.Error()
	err = l.engine.secrets.Err(err)
	if subject, ok := subjectAfter(text, refusedSubscription); ok {
		l.end(string(channelOf(subject)), err)
		return
	}
	if subject, ok := subjectAfter(text, refusedPublication); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.refused == nil {
			l.refused = map[string]error{}
		}
		l.refused[subject] = err
		return
	}
	l.to.Lost(err) // who knows what it means
}

// subjectAfter returns the quoted subject that follows words in text.
func subjectAfter(text, words string) (subject string, ok bool) {
	_, rest, found := strings.Cut(text, words)
	if !found {
		return "", false
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return "", false
	}
	subject, err = strconv.Unquote(quoted)
	return subject, err == nil
}

// lameDuck is told that the server is going to shut down. When there are others to
// go to, the link is given up, as soon as no publication is under way. When there are
// none, it is kept as long as it lives.
func (l *serverLink) lameDuck(nc *nats.Conn) {
	if len(nc.Servers()) < 2 {
		return
	}
	l.leaving.Store(true)
	if l.publishing.TryLock() { // else publish does it
		l.to.Lost(errLeaving)
		l.publishing.Unlock()
	}
}

// sync returns when the server has answered for everything sent so far, and failed
// has been called for everything that it refused.
func (l *serverLink) sync(ctx context.Context) error {
	if err := l.nc.FlushWithContext(ctx); err != nil {
		return l.cause(err)
	}
	if l.nc.LastError() == nil { // nothing was ever refused
		return nil
	}
	f := &fence{reached: make(chan struct{})}
	f.send(l.nc)
	select {
	case <-f.reached:
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.nc.IsClosed() { // failed was called out of order
		return l.cause(nats.ErrConnectionClosed)
	}
	return nil
}

// fence is an error of our own on the way to failed: when it arrives, those
// before it have. nats.go calls failed from another goroutine than the one that takes
// the server's answers, and has one way only to send something along: the error of
// encoding a value that is published from a Go channel.
type fence struct{ reached chan struct{} }

func (f *fence) Error() string { return "no error" }

// Encode implements nats.Encoder.
func (f *fence) Encode(string, any) ([]byte, error) { return nil, f }

// Decode implements nats.Encoder.
func (f *fence) Decode(string, []byte, any) error { return f }

// send puts f behind the errors there are. It is called once.
func (f *fence) send(nc *nats.Conn) {
	values := make(chan struct{}, 1)
	values <- struct{}{}
	//lint:ignore SA1019 deprecated for what it is meant for; there is no other way
	encoded := nats.EncodedConn{Conn: nc, Enc: f}
	//lint:ignore SA1019 the same
	_ = encoded.BindSendChan("none", values)
}
