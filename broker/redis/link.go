package redis

import (
	"context"
	"sync"
	"time"

	"wsify/broker"
)

// watchInterval is how often others are asked whether a server is still the one to use.
const watchInterval = 5 * time.Second

// pair is the connections to a server. When one is lost the other is closed, so that what
// is published by a pair has always gone where it is subscribed. They are two, so that
// outcomes do not wait behind what is received.
type pair struct {
	pub *conn // for publishing
	sub *conn // for subscriptions; nil for a link that only publishes
}

// connect opens a pair. to is nil for a link that only publishes.
func (d *dialer) connect(ctx context.Context, addr string, to broker.Sink) (p pair, err error) {
	if p.pub, _, err = d.login(ctx, addr, nil); err != nil || to == nil {
		return p, err
	}
	if p.sub, _, err = d.login(ctx, addr, to); err != nil {
		p.pub.close()
		return pair{}, err
	}
	return p, nil
}

// use is that of both connections.
func (p pair) use(mustLead bool, lost func(cause error)) {
	p.pub.use(mustLead, lost)
	if p.sub != nil {
		p.sub.use(mustLead, lost)
	}
}

func (p pair) close() {
	p.pub.close()
	if p.sub != nil {
		p.sub.close()
	}
}

// singleLink is a link to one server, which is lost with its pair.
type singleLink struct {
	pair
	batch   []*broker.Publication // of Publish, kept for the next one
	stop    context.CancelFunc    // ends watching
	running sync.WaitGroup
}

var _ broker.Link = (*singleLink)(nil)

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

func (l *singleLink) Close() {
	l.stop()
	l.running.Wait()
	l.close()
}

// watchEvery checks again and again until ctx ends, and ends the link at the first
// error.
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
