package broker

import (
	"context"
	"slices"
	"sync"
	"time"
)

// redisWatchInterval is how often a server is asked whether it is still the master.
const redisWatchInterval = 5 * time.Second

// redisWatcher returns an error when the server at addr is not the one to use any more.
type redisWatcher func(ctx context.Context, addr string) error

// redisPublishing is what publishes for a link: a redisPipeline, or a redisPublisher
// in a cluster. The contract of publish and close is link's.
type redisPublishing interface {
	publish(ctx context.Context, batch []publication)
	close()
}

// redisLink is a link to one server: a connection for subscriptions and one for
// publishing. When either is lost, so is the link: neither is replaced, so that what
// is published on a link has always gone where it is subscribed.
type redisLink struct {
	to      sink
	sub     *redisSubscriber
	pub     redisPublishing
	addr    string
	stop    context.CancelFunc // ends watch
	running sync.WaitGroup
}

// openRedisLink makes a link to the server that conn is connected to. conn is the
// link's, unless there is an error.
func openRedisLink(ctx context.Context, to sink, d *redisDialer, conn *redisConn, watch redisWatcher) (link, error) {
	second, _, err := d.login(ctx, conn.addr, d.o.user, d.o.password)
	if err != nil {
		return nil, err
	}
	pub := newRedisPipeline(second, to.lost)
	l := &redisLink{to: to, pub: pub, addr: conn.addr, sub: newRedisSubscriber(conn, to)}
	var watching context.Context
	watching, l.stop = context.WithCancel(context.Background())
	checks := []redisWatcher{pub.demoted}
	if watch != nil {
		checks = append(checks, watch)
	}
	l.running.Go(func() { l.watch(watching, checks...) })
	return l, nil
}

func (l *redisLink) subscribe(ctx context.Context, channels []string) error {
	return l.sub.ask(ctx, "SUBSCRIBE", slices.Clone(channels))
}

func (l *redisLink) unsubscribe(ctx context.Context, channels []string) error {
	return l.sub.ask(ctx, "UNSUBSCRIBE", slices.Clone(channels))
}

func (l *redisLink) publish(ctx context.Context, batch []publication) {
	l.pub.publish(ctx, batch)
}

func (l *redisLink) close() {
	l.stop()
	l.pub.close()
	l.sub.close()
	l.running.Wait()
}

// watch ends the link when a check says that its server is not the one to use any
// more: what is published to a replica reaches nobody else.
func (l *redisLink) watch(ctx context.Context, checks ...redisWatcher) {
	watchRedis(ctx, l.to, redisWatchInterval, func(ctx context.Context) error {
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
