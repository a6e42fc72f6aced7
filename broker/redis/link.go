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
	sub     *subscriber
	pipe    *pipeline
	batch   []*broker.Publication // of Publish, kept for the next one
	stop    context.CancelFunc    // ends watching
	running sync.WaitGroup
}

var _ broker.Link = (*singleLink)(nil)

// openSingle makes a link to the server that conn is connected to. conn is the
// link's, unless there is an error.
func openSingle(ctx context.Context, to broker.Sink, d *dialer, conn *serverConn) (broker.Link, error) {
	second, _, err := d.login(ctx, conn.addr, d.o.user, d.o.password)
	if err != nil {
		return nil, err
	}
	l := &singleLink{sub: newSubscriber(conn, to, to.Lost), pipe: newPipeline(second, true, to.Lost)}
	watching, stop := context.WithCancel(context.Background())
	l.stop = stop
	if d.o.masterSet != "" {
		l.running.Go(func() {
			watchEvery(watching, to, watchInterval, func(ctx context.Context) error { return d.masterMoved(ctx, conn.addr) })
		})
	}
	return l, nil
}

func (l *singleLink) Subscribe(ctx context.Context, channels []string) error {
	return l.sub.change(ctx, "subscribe", channels)
}

func (l *singleLink) Unsubscribe(ctx context.Context, channels []string) error {
	return l.sub.change(ctx, "unsubscribe", channels)
}

func (l *singleLink) Publish(ctx context.Context, batch []broker.Publication) {
	l.batch = l.batch[:0]
	for i := range batch {
		l.batch = append(l.batch, &batch[i])
	}
	l.pipe.publish(ctx, "PUBLISH", l.batch)
	clear(l.batch)
}

func (l *singleLink) Close() {
	l.stop()
	l.running.Wait()
	l.pipe.close()
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
