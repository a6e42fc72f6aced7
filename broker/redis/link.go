package redis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
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
// published on a link has always gone where it is subscribed; but for one that the server
// closed because it was idle, which is opened again to the same address.
type plainLink struct {
	to      broker.Sink
	addr    string
	subs    *keeper[*subscriber]
	pub     publisher
	ctx     context.Context // ends with the link
	stop    context.CancelFunc
	over    atomic.Bool // a connection is lost
	running sync.WaitGroup
}

// newPlainLink makes a link that subscribes by conn, which is the link's, and has yet to be
// given what publishes for it.
func newPlainLink(to broker.Sink, d *dialer, conn *serverConn) *plainLink {
	l := &plainLink{to: to, addr: conn.addr}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.subs = keepForLink(l, d, conn, func(conn *serverConn, lost func(error)) *subscriber {
		return newSubscriber(conn, to, lost)
	})
	return l
}

// keepForLink keeps conn until the link is lost.
func keepForLink[C kept](l *plainLink, d *dialer, conn *serverConn, begin func(*serverConn, func(error)) C) *keeper[C] {
	remote := conn.RemoteAddr().String()
	k := &keeper[C]{
		addr: conn.addr, begin: begin, opened: func(C) {}, lost: l.lost,
		needed: func() bool { return !l.over.Load() },
		failed: func(err error, _ bool) { l.lost(err) },
		login: func(ctx context.Context) (*serverConn, error) {
			again, server, err := d.login(ctx, conn.addr, d.o.user, d.o.password)
			if err == nil && (server.replica() || again.RemoteAddr().String() != remote) {
				_ = again.Close()
				err = errors.New("another server has taken the place of the one in use")
			}
			return again, err
		},
	}
	k.start(l.ctx, conn)
	return k
}

// lost tells of the first loss.
func (l *plainLink) lost(cause error) {
	if l.over.CompareAndSwap(false, true) {
		l.to.Lost(cause)
	}
}

// singlePublisher publishes at one server.
type singlePublisher struct {
	*outlet
	batch []*broker.Publication // of publish, kept for the next one
}

func (p *singlePublisher) publish(ctx context.Context, batch []broker.Publication) {
	p.batch = p.batch[:0]
	for i := range batch {
		p.batch = append(p.batch, &batch[i])
	}
	publishAt(ctx, p.outlet, "PUBLISH", p.batch)
	clear(p.batch)
}

// openSingle makes a link to the server that conn is connected to. conn is the
// link's, unless there is an error.
func openSingle(ctx context.Context, to broker.Sink, d *dialer, conn *serverConn, watch watcher) (broker.Link, error) {
	second, _, err := d.login(ctx, conn.addr, d.o.user, d.o.password)
	if err != nil {
		return nil, err
	}
	l := newPlainLink(to, d, conn)
	pub := &singlePublisher{outlet: keepForLink(l, d, second, newPipeline)}
	l.pub = pub
	checks := []watcher{pub.demoted}
	if watch != nil {
		checks = append(checks, watch)
	}
	l.running.Go(func() { l.watch(checks...) })
	return l, nil
}

// demoted returns an error when the server says that it is a replica, or does not answer.
func (p *singlePublisher) demoted(ctx context.Context, addr string) error {
	ctx, cancel := link.Within(ctx, watchInterval)
	defer cancel()
	if pipe := p.ready(ctx); pipe != nil {
		return pipe.demoted(ctx, addr)
	}
	return nil // the keeper says why
}

func (l *plainLink) Subscribe(ctx context.Context, channels []string) error {
	return l.ask(ctx, "SUBSCRIBE", slices.Clone(channels))
}

func (l *plainLink) Unsubscribe(ctx context.Context, channels []string) error {
	return l.ask(ctx, "UNSUBSCRIBE", slices.Clone(channels))
}

// ask returns when a command is written.
func (l *plainLink) ask(ctx context.Context, verb string, channels []string) error {
	for ctx.Err() == nil && !l.over.Load() {
		sub := l.subs.ready(ctx)
		if sub == nil {
			break
		}
		written, err := sub.ask(verb, channels)
		if err != nil {
			continue // there is, or will be, another one
		}
		sub.await(ctx, written)
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errNodeResting // the keeper says why
}

func (l *plainLink) Publish(ctx context.Context, batch []broker.Publication) {
	l.pub.publish(ctx, batch)
}

func (l *plainLink) Close() {
	l.over.Store(true)
	l.stop()
	l.running.Wait()
	l.pub.close()
	l.subs.close()
}

// watch ends the link when a check says that its server is not the one to use any
// more: what is published to a replica reaches nobody else.
func (l *plainLink) watch(checks ...watcher) {
	watchEvery(l.ctx, l.to, watchInterval, func(ctx context.Context) error {
		for _, check := range checks {
			if err := check(ctx, l.addr); err != nil {
				return err
			}
		}
		return nil
	})
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
