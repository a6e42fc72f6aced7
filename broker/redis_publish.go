package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/redis/rueidis"
)

// redisPublisher publishes in a cluster, by rueidis: it knows the ways there. All of a
// batch is sent, to each master what is its, before an answer is waited for.
type redisPublisher struct {
	addr   string // for errors
	client rueidis.Client
	dialer *redisDialer
	verb   string // PUBLISH or SPUBLISH

	commands []rueidis.Completed // the batch, kept for the next one

	ctx    context.Context // ends with the publisher
	cancel context.CancelFunc

	mu     sync.Mutex // a leaf lock
	conns  map[*redisPublishConn]struct{}
	sealed bool // no connection is opened any more
}

// redisPublishConn is a connection of rueidis, which closes it when it is of no use.
type redisPublishConn struct {
	net.Conn
	p *redisPublisher
}

func newRedisPublisher(d *redisDialer, addr string) *redisPublisher {
	p := &redisPublisher{addr: addr, dialer: d, conns: map[*redisPublishConn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// open makes the client, which has a connection when there is no error.
func (p *redisPublisher) open(ctx context.Context, addrs ...string) error {
	stop := context.AfterFunc(ctx, p.cut) // rueidis knows no context here
	client, err := rueidis.NewClient(p.options(addrs))
	if err == nil {
		p.client = client
	} else if client != nil {
		client.Close()
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		p.close()
		return fmt.Errorf("redis at %s: %w", p.addr, dialCause(err))
	}
	return nil
}

// options is how rueidis publishes for us: each connection's commands are one
// pipeline, which is what keeps their order, and nothing is sent twice.
func (p *redisPublisher) options(addrs []string) rueidis.ClientOption {
	o := p.dialer.o
	return rueidis.ClientOption{
		InitAddress: addrs, DialCtxFn: p.dial,
		TLSConfig: p.dialer.tls, // our dial does not need it; it says which of a node's two ports is meant, from version 8 on
		Username:  o.user, Password: o.password, ClientName: o.clientName, AlwaysRESP2: o.resp2,
		ClientSetInfo: rueidis.DisableClientSetInfo,
		Dialer:        net.Dialer{Timeout: min(o.timeout, redisNodeTimeout), KeepAlive: redisPingInterval}, ConnWriteTimeout: redisWriteTimeout,
		PipelineMultiplex: -1, AlwaysPipelining: true, BlockingPipeline: 2 * maxPublications,
		DisableCache: true, DisableRetry: true,
		ReadBufferEachConn: respBuffer, WriteBufferEachConn: respBuffer,
		ClusterOption: rueidis.ClusterOption{ShardsRefreshInterval: 2 * redisWatchInterval, MaxMovedRedirections: 4},
	}
}

// dial is called by rueidis.
func (p *redisPublisher) dial(ctx context.Context, addr string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
	p.mu.Lock()
	sealed := p.sealed
	p.mu.Unlock()
	if sealed {
		return nil, ErrDown
	}
	// A publication may wait for a dial that knows none of its deadline: rueidis' own.
	ctx, cancel := context.WithTimeout(ctx, redisNodeTimeout)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	conn, err := p.dialer.dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to redis at %s: %w", ErrDown, addr, dialCause(err))
	}
	c := &redisPublishConn{Conn: conn, p: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sealed {
		_ = conn.Close()
		return nil, ErrDown
	}
	p.conns[c] = struct{}{}
	return c, nil
}

// Close is called by rueidis when it gives a connection up, and by cut.
func (c *redisPublishConn) Close() error {
	c.p.mu.Lock()
	delete(c.p.conns, c)
	c.p.mu.Unlock()
	return c.Conn.Close()
}

// cut closes all connections, and lets no other be opened.
func (p *redisPublisher) cut() {
	p.cancel()
	p.mu.Lock()
	p.sealed = true
	var conns []*redisPublishConn
	for c := range p.conns {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// close ends what the publisher runs. What is under way fails.
func (p *redisPublisher) close() {
	p.cut()
	if p.client != nil {
		p.client.Close()
	}
}

// publish sends a batch and sets its outcomes. Contents are given away without a
// copy: nobody changes them after Remote.Publish, also when ctx ends before rueidis
// has sent them.
func (p *redisPublisher) publish(ctx context.Context, batch []publication) {
	if ctx.Err() != nil {
		for i := range batch {
			batch[i].err = ErrDown
		}
		return
	}
	// Less time than Remote gives: one node that hangs is not the cluster.
	ctx, cancel := context.WithTimeout(ctx, redisNodePublish)
	defer cancel()
	p.commands = p.commands[:0]
	for i := range batch {
		p.commands = append(p.commands, p.client.B().Arbitrary(p.verb).Keys(batch[i].channel).Args(stringOf(batch[i].content)).Build())
	}
	reuse := true
	for i, r := range p.client.DoMulti(ctx, p.commands...) {
		var network bool
		batch[i].err, network = redisOutcome(r.Error())
		reuse = reuse && !network
	}
	if !reuse {
		p.commands = nil // rueidis may still be writing it
	}
	clear(p.commands)
}

// redisOutcome says what an error of a publication means, and whether it is the network's.
func redisOutcome(err error) (_ error, network bool) {
	if err == nil {
		return nil, false
	}
	if refusal, ok := rueidis.IsRedisErr(err); ok {
		return fmt.Errorf("redis refuses the publication: %w", respError(refusal.Error())), false
	}
	switch {
	case errors.Is(err, ErrDown): // by our dial: nothing was sent
		return err, true
	case errors.Is(err, rueidis.ErrNoSlot): // nor here
		return fmt.Errorf("%w: no node of the cluster owns the channel's slot, or that of one published with it", ErrDown), true
	case errors.Is(err, context.DeadlineExceeded):
		err = errNoAnswer
	case errors.Is(err, context.Canceled), errors.Is(err, rueidis.ErrClosing):
		err = errors.New("the link was closed")
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err), true
}
