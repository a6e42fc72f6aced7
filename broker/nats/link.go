package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"wsify/broker"
)

var errLeaving = errors.New("the server is about to shut down (lame duck mode)")

// serverLink is a connection to a NATS server, for subscriptions and publications
// alike: what is published behind a confirmed subscription cannot pass it on
// another server. nats.go's reconnecting is off.
//
// A server answers a PING after all that was sent before it, and refuses what it
// does not take before it does: that is how subscriptions and publications are
// confirmed, a batch at a time.
type serverLink struct {
	engine *engine
	to     broker.Sink
	in     *intake
	nc     *nats.Conn // immutable after begin

	reading sync.WaitGroup // the intake
	ended   chan struct{}  // closed when nats.go calls no handler any more

	publishing sync.Mutex // locked while a batch is published
	leaving    atomic.Bool
	conn       atomic.Pointer[gatedConn]

	mu      sync.Mutex                    // before nats.go's locks
	subs    map[string]*nats.Subscription // by channel
	limited int                           // subscriptions that the server refused because there are too many
	refused map[string]error              // publications that it refused, by subject
}

func newServerLink(e *engine, to broker.Sink) *serverLink {
	return &serverLink{engine: e, to: to, in: newIntake(), ended: make(chan struct{}), subs: map[string]*nats.Subscription{}}
}

// begin starts what the link runs.
func (l *serverLink) begin(nc *nats.Conn) {
	l.nc = nc
	l.reading.Go(func() { l.in.run(l.to) })
}

// cut ends the connection under nats.go, which may be blocked in a write to it. It may
// be called from any goroutine, and takes no lock.
func (l *serverLink) cut() {
	if c := l.conn.Load(); c != nil {
		_ = c.Close()
	}
}

// Close delivers what has been received and ends the link.
func (l *serverLink) Close() {
	l.cut()
	l.nc.Close()
	<-l.ended
	close(l.in.done)
	l.reading.Wait()
}

// Subscribe returns when the server has answered: each channel is confirmed, or its
// subscription has ended.
func (l *serverLink) Subscribe(ctx context.Context, channels []string) error {
	defer context.AfterFunc(ctx, l.cut)()
	l.mu.Lock()
	l.limited = 0
	l.mu.Unlock()
	for _, channel := range channels {
		if err := l.ask(channel); err != nil {
			return l.cause(err)
		}
	}
	if err := l.sync(ctx); err != nil {
		return err
	}
	l.endLimited(channels)
	for _, channel := range channels {
		if l.subscription(channel) != nil {
			l.to.Confirmed(channel)
		}
	}
	return nil
}

// ask sends one subscription.
func (l *serverLink) ask(channel string) error {
	subject, err := subjectOf(channel)
	if err != nil {
		l.to.Ended(channel, err)
		return nil
	}
	l.mu.Lock() // a refusal that is quicker than this waits
	defer l.mu.Unlock()
	sub, err := l.nc.ChanSubscribe(subject, l.in.queue)
	if err == nil {
		l.subs[channel] = sub
	}
	return err
}

// endLimited ends those of channels that the server had no room for: as many as it
// said, and the last, for nothing was unsubscribed between them.
func (l *serverLink) endLimited(channels []string) {
	l.mu.Lock()
	n := l.limited
	l.mu.Unlock()
	for i := len(channels) - 1; i >= 0 && n > 0; i-- {
		if l.subscription(channels[i]) != nil {
			l.end(channels[i], nats.ErrMaxSubscriptionsExceeded)
			n--
		}
	}
}

// Unsubscribe does not wait: the server takes what is sent in order.
func (l *serverLink) Unsubscribe(ctx context.Context, channels []string) error {
	defer context.AfterFunc(ctx, l.cut)()
	for _, channel := range channels {
		sub := l.forget(channel)
		if sub == nil { // it has ended by itself
			continue
		}
		if err := sub.Unsubscribe(); err != nil {
			return l.cause(err)
		}
	}
	return nil
}

// subscription returns that of a channel, nil when there is none.
func (l *serverLink) subscription(channel string) *nats.Subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.subs[channel]
}

// forget takes a subscription out of the table and returns it.
func (l *serverLink) forget(channel string) *nats.Subscription {
	l.mu.Lock()
	defer l.mu.Unlock()
	sub := l.subs[channel]
	delete(l.subs, channel)
	return sub
}

// end ends a subscription that the server does not have.
func (l *serverLink) end(channel string, cause error) {
	if sub := l.forget(channel); sub != nil {
		_ = sub.Unsubscribe() // nats.go still has it; the server does not mind
		l.to.Ended(channel, cause)
	}
}

// Publish returns when the server has answered for all of batch.
func (l *serverLink) Publish(ctx context.Context, batch []broker.Publication) {
	l.publishing.Lock()
	l.publishAll(ctx, batch)
	l.publishing.Unlock()
	if l.leaving.Load() {
		l.to.Lost(errLeaving)
	}
}

func (l *serverLink) publishAll(ctx context.Context, batch []broker.Publication) {
	defer context.AfterFunc(ctx, l.cut)()
	l.mu.Lock()
	l.refused = nil
	l.mu.Unlock()
	sent := 0
	for i := range batch {
		p := &batch[i]
		if p.Err = l.send(ctx, p); p.Err == nil {
			sent++
		}
	}
	if sent == 0 {
		return
	}
	err := l.sync(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range batch {
		if p := &batch[i]; p.Err == nil {
			p.Err = l.outcomeLocked(p.Channel, err)
		}
	}
}

// send hands one publication to nats.go. When it returns an error, the publication
// has not been sent, unless that is ErrUnknown.
func (l *serverLink) send(ctx context.Context, p *broker.Publication) error {
	if ctx.Err() != nil {
		return broker.ErrDown
	}
	subject, err := subjectOf(p.Channel)
	if err != nil {
		return err
	}
	err = l.nc.Publish(subject, p.Content)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrConnectionClosed):
		return broker.ErrDown
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("the content has %d bytes, the NATS server takes %d: %w: %w", len(p.Content), l.nc.MaxPayload(), broker.ErrTooBig, err)
	default:
		return fmt.Errorf("%w: %w", broker.ErrUnknown, l.cause(err))
	}
}

// outcomeLocked is what became of a publication that was sent, when the server
// answered, or failed to with err.
func (l *serverLink) outcomeLocked(channel string, err error) error {
	if len(l.refused) > 0 {
		subject, _ := subjectOf(channel)
		if refusal := l.refused[subject]; refusal != nil {
			return refusal
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", broker.ErrUnknown, err)
	}
	return nil
}
