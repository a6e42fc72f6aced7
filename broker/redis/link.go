package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"wsify/broker"
)

// watchInterval is how often a server is asked whether it is still the master.
const watchInterval = 5 * time.Second

// watcher returns an error when the server at addr is not the one to use any more.
type watcher func(ctx context.Context, addr string) error

// publisher is what publishes for a link. The contract of publish and close is
// link's.
type publisher interface {
	publish(ctx context.Context, batch []broker.Publication)
	close()
}

// plainLink is a link to one server: a connection for subscriptions and one for
// publishing. When either is lost, so is the link: neither is replaced, so that what is
// published on a link has always gone where it is subscribed.
type plainLink struct {
	to      broker.Sink
	addr    string
	sub     *subscriber
	pub     publisher
	ctx     context.Context // ends with the link
	stop    context.CancelFunc
	running sync.WaitGroup
}

var _ broker.Link = (*plainLink)(nil)

// newPlainLink makes a link that subscribes by conn, which is the link's, and has yet to be
// given what publishes for it.
func newPlainLink(to broker.Sink, conn *serverConn) *plainLink {
	l := &plainLink{to: to, addr: conn.addr, sub: newSubscriber(conn, to, to.Lost)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// singlePublisher publishes at one server.
type singlePublisher struct {
	*pipeline
	batch []*broker.Publication // of publish, kept for the next one
}

func (p *singlePublisher) publish(ctx context.Context, batch []broker.Publication) {
	p.batch = p.batch[:0]
	for i := range batch {
		p.batch = append(p.batch, &batch[i])
	}
	p.pipeline.publish(ctx, "PUBLISH", p.batch)
	clear(p.batch)
}

// openSingle makes a link to the server that conn is connected to. conn is the
// link's, unless there is an error. watch may be nil.
func openSingle(ctx context.Context, to broker.Sink, d *dialer, conn *serverConn, watch watcher) (broker.Link, error) {
	second, _, err := d.login(ctx, conn.addr, d.o.user, d.o.password)
	if err != nil {
		return nil, err
	}
	l := newPlainLink(to, conn)
	l.pub = &singlePublisher{pipeline: newPipeline(second, true, to.Lost)}
	if watch != nil {
		l.running.Go(func() {
			watchEvery(l.ctx, to, watchInterval, func(ctx context.Context) error { return watch(ctx, l.addr) })
		})
	}
	return l, nil
}

func (l *plainLink) Subscribe(ctx context.Context, channels []string) error {
	return l.ask(ctx, "subscribe", channels)
}

func (l *plainLink) Unsubscribe(ctx context.Context, channels []string) error {
	return l.ask(ctx, "unsubscribe", channels)
}

// ask returns when a command is written.
func (l *plainLink) ask(ctx context.Context, verb string, channels []string) error {
	l.sub.await(ctx, l.sub.ask(request{verb: verb, channels: slices.Clone(channels)}))
	return ctx.Err()
}

func (l *plainLink) Publish(ctx context.Context, batch []broker.Publication) {
	l.pub.publish(ctx, batch)
}

func (l *plainLink) Close() {
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
