package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"wsify/broker"
)

// watchInterval is the time between two checks that a server is still the right one.
const watchInterval = 5 * time.Second

// pair holds the connections to a server. When one is lost the others are closed, so that a pair only
// publishes where it is subscribed. There are two, so that outcomes do not wait behind received
// publications; and a third one for reading history, behind which neither waits.
type pair struct {
	pub  *conn // for publishing
	sub  *conn // for subscriptions; nil for a link that only publishes
	read *conn // for history; nil without
}

// connect opens a pair. to is nil for a link that only publishes.
func (d *dialer) connect(ctx context.Context, addr string, to broker.Sink) (p pair, err error) {
	defer func() {
		if err != nil {
			p.close()
			p = pair{}
		}
	}()
	if p.pub, err = d.keeping(ctx, addr); err != nil {
		return p, err
	}
	if to != nil {
		if p.sub, _, err = d.login(ctx, addr, to); err != nil {
			return p, err
		}
	}
	if d.keep != nil {
		p.read, err = d.keeping(ctx, addr)
	}
	return p, err
}

// all returns the connections that there are.
func (p pair) all() []*conn {
	return slices.DeleteFunc([]*conn{p.pub, p.sub, p.read}, func(c *conn) bool { return c == nil })
}

// use calls use on the connections. Where history is kept, a server that is no master any more ends
// them: it would have another run when it is the master again.
func (p pair) use(mustLead bool, lost func(cause error)) {
	for _, c := range p.all() {
		c.use(mustLead || p.read != nil, lost)
	}
}

func (p pair) close() {
	for _, c := range p.all() {
		c.close()
	}
}

// singleLink is a link to one server. It is lost when one of its connections is.
type singleLink struct {
	pair
	batch   []*broker.Publication // of Publish, kept for the next one
	stop    context.CancelFunc    // stops watching
	running sync.WaitGroup
}

var _ broker.HistoryLink = (*singleLink)(nil)

func openSingle(ctx context.Context, to broker.Sink, d *dialer, addr string) (broker.Link, error) {
	p, err := d.connect(ctx, addr, to)
	if err != nil {
		return nil, err
	}
	l := &singleLink{pair: p}
	p.use(true, to.Lost)
	watching, stop := context.WithCancel(context.Background())
	l.stop = stop
	if d.o.masterSet != "" {
		l.running.Go(func() {
			watchEvery(watching, to, watchInterval, func(ctx context.Context) error { return d.masterMoved(ctx, addr) })
		})
	}
	return l, nil
}

func (l *singleLink) Subscribe(ctx context.Context, channels []string) error {
	return l.sub.change(ctx, "SUBSCRIBE", channels)
}

func (l *singleLink) Unsubscribe(ctx context.Context, channels []string) error {
	return l.sub.change(ctx, "UNSUBSCRIBE", channels)
}

func (l *singleLink) Publish(ctx context.Context, batch []broker.Publication) {
	l.batch = l.batch[:0]
	for i := range batch {
		l.batch = append(l.batch, &batch[i])
	}
	l.pub.publish(ctx, "PUBLISH", l.batch)
	clear(l.batch)
}

// ReadHistory implements broker.HistoryLink.
func (l *singleLink) ReadHistory(ctx context.Context, channel string, after broker.Position, last int) (broker.Page, error) {
	return l.read.readHistory(ctx, channel, after, last)
}

// Flush implements broker.Link: Redis answers behind what it has sent before.
func (l *singleLink) Flush(ctx context.Context) error { return l.sub.caughtUp(ctx) }

func (l *singleLink) Close() {
	l.stop()
	l.running.Wait()
	l.close()
}

// watchEvery calls check at each interval until ctx ends; an error ends the link.
func watchEvery(ctx context.Context, to broker.Sink, interval time.Duration, check func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := check(ctx); err != nil && ctx.Err() == nil {
			to.Lost(err)
			return
		}
	}
}
