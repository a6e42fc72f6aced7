package broker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// redisWatchInterval is how often a server is asked whether it is still the master.
const redisWatchInterval = 5 * time.Second

// redisWatcher returns an error when the server at addr is not the one to use any more.
type redisWatcher func(ctx context.Context, addr string) error

// redisLink is a link to one server: a connection for subscriptions and one for
// publishing. When either is lost, so is the link: neither is replaced, so that what
// is published on a link has always gone where it is subscribed.
type redisLink struct {
	to      sink
	sub     *redisSubscriber
	pub     *redisPublisher
	addr    string
	stop    context.CancelFunc // ends watch
	running sync.WaitGroup
}

// openRedisLink makes a link to the server that conn is connected to. conn is the
// link's, unless there is an error.
func openRedisLink(ctx context.Context, to sink, d *redisDialer, conn *redisConn, watch redisWatcher) (link, error) {
	pub, err := openRedisPublisher(ctx, to, d, conn.addr)
	if err != nil {
		return nil, err
	}
	l := &redisLink{to: to, pub: pub, addr: conn.addr, sub: newRedisSubscriber(conn, to)}
	var watching context.Context
	watching, l.stop = context.WithCancel(context.Background())
	l.running.Go(func() { l.watch(watching, watch) })
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

// watch ends the link when its server is not the master any more: what is published
// to a replica reaches nobody else.
func (l *redisLink) watch(ctx context.Context, more redisWatcher) {
	tick := time.NewTicker(redisWatchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := l.pub.demoted(ctx)
		if err == nil && more != nil {
			err = more(ctx, l.addr)
		}
		if err != nil && ctx.Err() == nil {
			l.to.lost(err)
			return
		}
	}
}

// demoted asks the server for its role, and returns an error when it is a replica.
// Who may not ask, or gets no answer, is left to other signs.
func (p *redisPublisher) demoted(ctx context.Context) error {
	protocol := "3"
	if p.dialer.o.resp2 {
		protocol = "2"
	}
	ctx, cancel := context.WithTimeout(ctx, redisWatchInterval)
	defer cancel()
	answer, err := p.client.Do(ctx, p.client.B().Arbitrary("HELLO", protocol).Build()).AsMap()
	role := answer["role"]
	text, err2 := role.ToString()
	if err != nil || err2 != nil {
		text = p.askRole(ctx)
	}
	if text == "slave" || text == "replica" {
		return fmt.Errorf("redis at %s is not the master any more", p.addr)
	}
	return nil
}

// askRole is for servers that do not know HELLO.
func (p *redisPublisher) askRole(ctx context.Context) string {
	answer, err := p.client.Do(ctx, p.client.B().Role().Build()).ToArray()
	if err != nil || len(answer) == 0 {
		return ""
	}
	role, err := answer[0].ToString()
	if err != nil {
		return ""
	}
	return strings.ToLower(role)
}
