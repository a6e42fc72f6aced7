package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats.go"

	"wsify/broker/internal/link"
)

var errLeaving = errors.New("the server is about to shut down (lame duck mode)")

// handlers sets the handlers of nats.go, which calls all of them from one goroutine, in the order
// of what the server sent.
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

// failed is called for every error that nats.go meets.
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
	case errors.Is(err, nats.ErrBadHeaderMsg): // the content arrives all the same
	default: // also nats.ErrSlowConsumer, which intake rules out
		l.lost(err)
	}
}

// refuse finds out what the server refuses: something just sent or, when the server's configuration
// changes, a subscription in force.
func (l *serverLink) refuse(violation error) {
	var what, subject string
	_, err := fmt.Sscanf(violation.Error(), nats.ErrPermissionViolation.Error()+": Permissions Violation for %s to %q", &what, &subject)
	channel := string(channelOf(strings.TrimPrefix(subject, inbound)))
	violation = l.engine.dsn.secrets.Err(violation)
	switch {
	case err == nil && what == "Subscription":
		l.end(channel, violation)
	case err == nil && what == "Publish":
		l.mu.Lock()
		defer l.mu.Unlock()
		l.refused[channel] = violation
	default: // an unknown violation
		l.lost(violation)
	}
}

// lameDuck is called when the server is about to shut down. If there are other servers, the link is
// given up as soon as no publication is under way. Otherwise it is kept as long as it lives.
func (l *serverLink) lameDuck(nc *nats.Conn) {
	if len(nc.Servers()) < 2 {
		return
	}
	l.running.Go(func() { // in a goroutine, because publishing may wait for the next handler
		l.publishing.Lock()
		defer l.publishing.Unlock()
		l.to.Lost(errLeaving)
	})
}

// sync returns when the server has answered for everything sent so far, and failed has been called
// for everything that it refused; or when the link is lost, and Lost has been called.
func (l *serverLink) sync(ctx context.Context) error {
	err := l.nc.FlushWithContext(ctx)
	if err == nil && l.nc.LastError() != nil { // something was refused before
		err = l.pass(ctx)
	}
	if errors.Is(err, nats.ErrConnectionClosed) {
		<-l.ended
	}
	return err
}

// fence is an error that is sent on the way to failed: when it arrives, all earlier errors have.
// nats.go calls failed from another goroutine than the one that reads the server's answers. The
// only way to pass something through it is the error of encoding a value from a Go channel.
type fence chan struct{}

func (f fence) Error() string { return "no error" }

// Encode implements nats.Encoder.
func (f fence) Encode(string, any) ([]byte, error) { return nil, f }

// Decode implements nats.Encoder.
func (f fence) Decode(string, []byte, any) error { return f }

// pass returns when failed has been called for all errors so far.
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
