package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"

	"wsify/broker/internal/link"
)

var errLeaving = errors.New("the server is about to shut down (lame duck mode)")

// handlers sets what nats.go tells. It calls all of them from one goroutine, in the
// order of what the server sent.
func (l *serverLink) handlers(o *nats.Options) {
	o.AsyncErrorCB = l.failed
	o.LameDuckModeHandler = l.lameDuck
	o.ClosedCB = func(nc *nats.Conn) {
		err := cmp.Or(nc.LastError(), nats.ErrConnectionClosed)
		if errors.Is(err, net.ErrClosed) { // by cut, or by gatedConn
			err = link.ErrNoAnswer
		}
		l.lost(err)
		close(l.ended)
	}
}

func (l *serverLink) lost(err error) {
	l.to.Lost(fmt.Errorf("the connection to the NATS server: %w", l.engine.dsn.secrets.Err(err)))
}

// failed is told of every error that nats.go met.
func (l *serverLink) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	var reached fence
	switch {
	case errors.As(err, &reached):
		close(reached)
	case errors.Is(err, nats.ErrPermissionViolation):
		l.refuse(err)
	case errors.Is(err, nats.ErrMaxSubscriptionsExceeded):
		l.mu.Lock()
		defer l.mu.Unlock()
		l.limited++
	case errors.Is(err, nats.ErrBadHeaderMsg): // the content comes all the same
	default: // nats.ErrSlowConsumer too, which intake rules out
		l.lost(err)
	}
}

// refuse finds what it is that the server refuses. It does so with what was just
// sent, and with subscriptions in force when its configuration changes.
func (l *serverLink) refuse(violation error) {
	var what, subject string
	_, err := fmt.Sscanf(violation.Error(), nats.ErrPermissionViolation.Error()+": Permissions Violation for %s to %q", &what, &subject)
	channel := string(channelOf(subject))
	violation = l.engine.dsn.secrets.Err(violation)
	switch {
	case err == nil && what == "Subscription":
		l.end(channel, violation)
	case err == nil && what == "Publish":
		l.mu.Lock()
		defer l.mu.Unlock()
		l.refused[channel] = violation
	default: // its meaning is unknown
		l.lost(violation)
	}
}

// lameDuck is told that the server is going to shut down. When there are others to
// go to, the link is given up, as soon as no publication is under way. When there are
// none, it is kept as long as it lives.
func (l *serverLink) lameDuck(nc *nats.Conn) {
	if len(nc.Servers()) < 2 {
		return
	}
	l.running.Go(func() { // publishing may wait for the next handler
		l.publishing.Lock()
		defer l.publishing.Unlock()
		l.to.Lost(errLeaving)
	})
}

// sync returns when the server has answered for everything sent so far, and failed
// has been called for everything that it refused; or when the link is lost, and Lost has
// been called.
func (l *serverLink) sync(ctx context.Context) error {
	err := l.nc.FlushWithContext(ctx)
	if err == nil && l.nc.LastError() != nil { // something was refused at some time
		err = l.pass(ctx)
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		<-l.ended
	}
	return err
}

// fence is an error of our own on the way to failed: when it arrives, those
// before it have. nats.go calls failed from another goroutine than the one that takes
// the server's answers, and has one way only to send something along: the error of
// encoding a value that is published from a Go channel.
type fence chan struct{}

func (f fence) Error() string { return "no error" }

// Encode implements nats.Encoder.
func (f fence) Encode(string, any) ([]byte, error) { return nil, f }

// Decode implements nats.Encoder.
func (f fence) Decode(string, []byte, any) error { return f }

// pass returns when failed has been called for the errors there are.
func (l *serverLink) pass(ctx context.Context) error {
	f, values := make(fence), make(chan struct{}, 1)
	values <- struct{}{}
	//lint:ignore SA1019 deprecated for what it is meant for; there is no other way
	encoded := nats.EncodedConn{Conn: l.nc, Enc: f}
	//lint:ignore SA1019 the same
	_ = encoded.BindSendChan("none", values)
	select {
	case <-f:
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.nc.IsClosed() { // failed was called out of order
		return nats.ErrConnectionClosed
	}
	return nil
}
