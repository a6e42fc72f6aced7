package broker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// redisWatchInterval is how often a server is asked whether it is still the master.
const redisWatchInterval = 5 * time.Second

// redisWatcher returns an error when the server at addr is not the one to use any more.
type redisWatcher func(ctx context.Context, addr string) error

// redisPublishing is what publishes for a link. The contract of publish and close is
// link's.
type redisPublishing interface {
	publish(ctx context.Context, batch []publication)
	close()
}

// redisLink is a link to one server: a connection for subscriptions and one for
// publishing. When either is lost, so is the link: neither is replaced, so that what is
// published on a link has always gone where it is subscribed; but for one that the server
// closed because it was idle, which is opened again to the same address.
type redisLink struct {
	to      sink
	addr    string
	ears    *redisKeeper[*redisSubscriber]
	pub     redisPublishing
	ctx     context.Context // ends with the link
	stop    context.CancelFunc
	over    atomic.Bool // a connection is lost
	running sync.WaitGroup
}

// newRedisLink makes a link that subscribes by conn, which is the link's, and has yet to be
// given what publishes for it.
func newRedisLink(to sink, d *redisDialer, conn *redisConn) *redisLink {
	l := &redisLink{to: to, addr: conn.addr}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.ears = keepForLink(l, d, conn, func(conn *redisConn, lost func(error)) *redisSubscriber {
		return newRedisSubscriber(conn, to, lost)
	})
	return l
}

// keepForLink keeps conn until the link is lost.
func keepForLink[C redisKept](l *redisLink, d *redisDialer, conn *redisConn, begin func(*redisConn, func(error)) C) *redisKeeper[C] {
	remote := conn.RemoteAddr().String()
	k := &redisKeeper[C]{
		addr: conn.addr, begin: begin, opened: func(C) {}, lost: l.lost,
		needed: func() bool { return !l.over.Load() },
		failed: func(err error, _ bool) { l.lost(err) },
		login: func(ctx context.Context) (*redisConn, error) {
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
func (l *redisLink) lost(cause error) {
	if l.over.CompareAndSwap(false, true) {
		l.to.lost(cause)
	}
}

// singlePublisher publishes at one server.
type singlePublisher struct {
	*redisOutlet
	batch []*publication // of publish, kept for the next one
}

func (p *singlePublisher) publish(ctx context.Context, batch []publication) {
	p.batch = p.batch[:0]
	for i := range batch {
		p.batch = append(p.batch, &batch[i])
	}
	publishAt(ctx, p.redisOutlet, "PUBLISH", p.batch)
	clear(p.batch)
}

// openRedisLink makes a link to the server that conn is connected to. conn is the
// link's, unless there is an error.
func openRedisLink(ctx context.Context, to sink, d *redisDialer, conn *redisConn, watch redisWatcher) (link, error) {
	second, _, err := d.login(ctx, conn.addr, d.o.user, d.o.password)
	if err != nil {
		return nil, err
	}
	l := newRedisLink(to, d, conn)
	pub := &singlePublisher{redisOutlet: keepForLink(l, d, second, newRedisPipeline)}
	l.pub = pub
	checks := []redisWatcher{pub.demoted}
	if watch != nil {
		checks = append(checks, watch)
	}
	l.running.Go(func() { l.watch(checks...) })
	return l, nil
}

// demoted returns an error when the server says that it is a replica, or does not answer.
func (p *singlePublisher) demoted(ctx context.Context, addr string) error {
	ctx, cancel := within(ctx, redisWatchInterval)
	defer cancel()
	if pipe := p.ready(ctx); pipe != nil {
		return pipe.demoted(ctx, addr)
	}
	return nil // the keeper says why
}

func (l *redisLink) subscribe(ctx context.Context, channels []string) error {
	return l.ask(ctx, "SUBSCRIBE", slices.Clone(channels))
}

func (l *redisLink) unsubscribe(ctx context.Context, channels []string) error {
	return l.ask(ctx, "UNSUBSCRIBE", slices.Clone(channels))
}

// ask returns when a command is written.
func (l *redisLink) ask(ctx context.Context, verb string, channels []string) error {
	for ctx.Err() == nil && !l.over.Load() {
		sub := l.ears.ready(ctx)
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

func (l *redisLink) publish(ctx context.Context, batch []publication) { l.pub.publish(ctx, batch) }

func (l *redisLink) close() {
	l.over.Store(true)
	l.stop()
	l.running.Wait()
	l.pub.close()
	l.ears.close()
}

// watch ends the link when a check says that its server is not the one to use any
// more: what is published to a replica reaches nobody else.
func (l *redisLink) watch(checks ...redisWatcher) {
	watchRedis(l.ctx, l.to, redisWatchInterval, func(ctx context.Context) error {
		for _, check := range checks {
			if err := check(ctx, l.addr); err != nil {
				return err
			}
		}
		return nil
	})
}

// watchRedis checks again and again until ctx ends, and ends the link at the first
// error.
func watchRedis(ctx context.Context, to sink, interval time.Duration, check func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := check(ctx); err != nil && ctx.Err() == nil {
			to.lost(err)
			return
		}
	}
}
