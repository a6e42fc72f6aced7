package redis

import (
	"context"
	"sync"
	"time"

	"wsify/broker"
)

// watchInterval is how often others are asked whether a server is still the one to use.
const watchInterval = 5 * time.Second

// singleLink is a link to one server: a connection for subscriptions and one for
// publishing. When either is lost, so is the link: neither is replaced, so that what is
// published on a link has always gone where it is subscribed.
type singleLink struct {
	sub     *conn
	pub     *conn
	batch   []*broker.Publication // of Publish, kept for the next one
	stop    context.CancelFunc    // ends watching
	running sync.WaitGroup
}

var _ broker.Link = (*singleLink)(nil)

// openSingle makes a link to the server that sub is connected to. sub is the link's, unless
// there is an error.
func openSingle(ctx context.Context, to broker.Sink, d *dialer, sub *conn) (broker.Link, error) {
	pub, _, err := d.login(ctx, sub.addr, nil)
	if err != nil {
		return nil, err
	}
	l := &singleLink{sub: sub, pub: pub}
	sub.use(true, to.Lost)
	pub.use(true, to.Lost)
	watching, stop := context.WithCancel(context.Background())
	l.stop = stop
	if d.o.masterSet != "" {
		l.running.Go(func() {
			watchEvery(watching, to, watchInterval, func(ctx context.Context) error { return d.masterMoved(ctx, sub.addr) })
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
	l.pub.close()
	l.sub.close()
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
