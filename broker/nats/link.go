package nats

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"wsify/broker"
)

// serverLink is a connection to a NATS server, for both subscriptions and publications: a
// publication cannot overtake an earlier subscription on another server. The reconnecting of
// nats.go is off.
//
// A server answers a PING after everything sent before it, and sends its refusals before that
// answer. So subscriptions and publications are confirmed a batch at a time.
type serverLink struct {
	engine *engine
	to     broker.Sink
	in     *intake
	nc     *nats.Conn // immutable after Open
	keep   *keeper    // immutable after Open; nil without history

	running sync.WaitGroup // the intake, and a goroutine that leaves the server
	ended   chan struct{}  // closed when nats.go calls no more handlers

	publishing sync.Mutex // locked while a batch is published; locked before mu
	conn       atomic.Pointer[gatedConn]

	acks []pendingAck // of the batch; used with publishing locked

	mu      sync.Mutex                    // locked before nats.go's locks and those of to
	subs    map[string]*nats.Subscription // by channel
	limited int                           // subscriptions that the server refused because of its limit
	refused map[string]error              // publications that the server refused, by channel
}

// pendingAck is a publication that the stream has not answered yet.
type pendingAck struct {
	of  *broker.Publication
	ack jetstream.PubAckFuture
}

// openHistory finds the stream of the history, if one is kept.
func (l *serverLink) openHistory(ctx context.Context) (err error) {
	if l.engine.plan == nil {
		return nil
	}
	if l.keep, err = openKeeper(ctx, l.engine.plan, l.nc); err != nil {
		return explain(err, l.deniedAPI(ctx))
	}
	l.in.keep = l.keep
	return nil
}

// deniedAPI returns what the server has refused of JetStream's API, or nil.
func (l *serverLink) deniedAPI(ctx context.Context) error {
	_ = l.sync(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	for subject, violation := range l.refused {
		if strings.HasPrefix(subject, jetstream.DefaultAPIPrefix) {
			return violation
		}
	}
	return nil
}

// cut closes the connection below nats.go, which may be blocked in a write to it. Any goroutine may
// call it, and it takes no lock.
func (l *serverLink) cut() {
	if c := l.conn.Load(); c != nil {
		_ = c.Close()
	}
}

// Flush implements broker.Link.
func (l *serverLink) Flush(ctx context.Context) error {
	defer context.AfterFunc(ctx, l.cut)()
	if err := l.sync(ctx); err != nil {
		return err
	}
	return l.in.flush(ctx)
}

// Close delivers what has been received and ends the link.
func (l *serverLink) Close() {
	l.cut()
	l.nc.Close()
	<-l.ended
	close(l.in.done)
	l.running.Wait()
	if told := l.nc.DiscoveredServers(); len(told) > 0 {
		l.engine.told = told
	}
}

// Subscribe returns when the server has answered: each channel is confirmed or has ended.
func (l *serverLink) Subscribe(ctx context.Context, channels []string) error {
	defer context.AfterFunc(ctx, l.cut)()
	for _, channel := range channels {
		l.ask(channel)
	}
	if err := l.sync(ctx); err != nil {
		return err
	}
	l.endLimited(channels)
	l.mu.Lock() // later ends are reported after the confirmations
	defer l.mu.Unlock()
	for _, channel := range channels {
		if l.subs[channel] != nil {
			l.to.Confirmed(channel)
		}
	}
	return nil
}

// ask sends one subscription. It fails when the connection is closed, and so does sync.
func (l *serverLink) ask(channel string) {
	subject, err := subjectOf(channel)
	if err != nil {
		l.to.Ended(channel, err)
		return
	}
	l.mu.Lock() // makes an early refusal wait
	defer l.mu.Unlock()
	if sub, err := l.nc.ChanSubscribe(subject, l.in.queue); err == nil {
		l.subs[channel] = sub
		if l.keep.keeps(channel) {
			l.keep.subscribed(channel)
		}
	}
}

// endLimited ends the channels that exceeded the server's limit: as many as it refused, the last
// ones, because nothing was unsubscribed between them.
func (l *serverLink) endLimited(channels []string) {
	l.mu.Lock()
	n := l.limited
	l.limited = 0
	l.mu.Unlock()
	for _, channel := range slices.Backward(channels) {
		if n > 0 && l.end(channel, nats.ErrMaxSubscriptionsExceeded) {
			n--
		}
	}
}

// Unsubscribe does not wait, because the server handles commands in order.
func (l *serverLink) Unsubscribe(ctx context.Context, channels []string) error {
	defer context.AfterFunc(ctx, l.cut)()
	for _, channel := range channels {
		l.end(channel, nil)
	}
	return nil
}

// end ends a subscription, and reports the cause, if any. It returns whether there was a
// subscription that had not ended. nats.go keeps it even when the server has dropped it.
func (l *serverLink) end(channel string, cause error) bool {
	l.mu.Lock()
	sub := l.subs[channel]
	delete(l.subs, channel)
	l.mu.Unlock()
	if l.keep.keeps(channel) {
		l.keep.ended(channel)
	}
	if sub == nil || sub.Unsubscribe() != nil { // or the link is lost
		return false
	}
	if cause != nil {
		l.to.Ended(channel, cause)
	}
	return true
}

// Publish returns when the server has answered for all of batch.
func (l *serverLink) Publish(ctx context.Context, batch []broker.Publication) {
	l.publishing.Lock()
	defer l.publishing.Unlock()
	defer context.AfterFunc(ctx, l.cut)()
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
	l.answered(batch, l.sync(ctx))
	for _, a := range l.acks {
		if a.of.Err == nil {
			l.acknowledged(ctx, a)
		}
	}
	clear(l.acks)
	l.acks = l.acks[:0]
}

// acknowledged waits for the answer of the stream.
func (l *serverLink) acknowledged(ctx context.Context, a pendingAck) {
	var replaced bool
	if a.of.Receipt, replaced, a.of.Err = l.keep.receipt(ctx, a.ack, l.ended); replaced {
		l.lost(errReplaced)
	}
}

// answered sets the outcomes of what was sent. err is that of sync.
func (l *serverLink) answered(batch []broker.Publication, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range batch {
		p := &batch[i]
		if p.Err != nil {
			continue
		}
		if p.Err = l.refused[p.Channel]; p.Err == nil && err != nil {
			p.Err = broker.ErrUnknown
		}
	}
	clear(l.refused)
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
	switch err := l.hand(subject, p); {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrConnectionClosed):
		return broker.ErrDown
	case errors.Is(err, nats.ErrMaxPayload): // the server's limit has changed
		return broker.ErrTooBig
	default:
		return broker.ErrUnknown
	}
}

// hand gives a publication to nats.go: for the stream, or for the subject.
func (l *serverLink) hand(subject string, p *broker.Publication) error {
	if !p.Keep || l.keep == nil {
		return l.nc.Publish(subject, p.Content)
	}
	ack, err := l.keep.publish(subject, p.Content)
	if err == nil {
		l.acks = append(l.acks, pendingAck{p, ack})
	}
	return err
}
