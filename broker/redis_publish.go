package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/redis/rueidis"
)

// redisPublisher publishes in pipelines: all of a batch is sent before an answer is
// waited for.
type redisPublisher struct {
	to     sink
	addr   string // for errors
	client rueidis.Client
	dialer *redisDialer
	single bool   // one server: its connection is never replaced
	verb   string // PUBLISH or SPUBLISH

	ctx    context.Context // ends with the publisher
	cancel context.CancelFunc

	mu     sync.Mutex // before the locks of redisPublishConn and of the sink
	conns  map[*redisPublishConn]struct{}
	sealed bool  // no connection is opened any more
	broken error // why there is none, of a single server
}

// redisPublishConn is a connection of rueidis, which closes it when it is of no use.
type redisPublishConn struct {
	net.Conn
	p *redisPublisher

	mu    sync.Mutex // a leaf lock
	cause error      // the first error
}

// openRedisPublisher connects to one server.
func openRedisPublisher(ctx context.Context, to sink, d *redisDialer, addr string) (*redisPublisher, error) {
	p := newRedisPublisher(to, d, addr)
	p.single, p.verb = true, "PUBLISH"
	return p, p.open(ctx, addr)
}

func newRedisPublisher(to sink, d *redisDialer, addr string) *redisPublisher {
	p := &redisPublisher{to: to, addr: addr, dialer: d, conns: map[*redisPublishConn]struct{}{}}
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
	if p.single {
		p.mu.Lock()
		p.sealed = true
		p.mu.Unlock()
	}
	return nil
}

// options is how rueidis publishes for us: each connection's commands are one
// pipeline, which is what keeps their order, and nothing is sent twice.
func (p *redisPublisher) options(addrs []string) rueidis.ClientOption {
	o := p.dialer.o
	return rueidis.ClientOption{
		InitAddress: addrs, ForceSingleClient: p.single, DialCtxFn: p.dial,
		Username: o.user, Password: o.password, ClientName: o.clientName, AlwaysRESP2: o.resp2,
		ClientSetInfo: rueidis.DisableClientSetInfo,
		Dialer:        net.Dialer{Timeout: o.timeout, KeepAlive: redisPingInterval}, ConnWriteTimeout: redisWriteTimeout,
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
	ctx, cancel := context.WithCancel(ctx)
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

// note keeps the first error: it is what rueidis closes the connection for.
func (c *redisPublishConn) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || c.cause != nil {
		return
	}
	if err == io.EOF {
		err = errors.New("closed by the server")
	}
	c.cause = err
}

func (c *redisPublishConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.note(err)
	}
	return n, err
}

func (c *redisPublishConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		c.note(err)
	}
	return n, err
}

// Close is called by rueidis when it gives a connection up, and by cut.
func (c *redisPublishConn) Close() error {
	c.note(errors.New("no answer"))
	p := c.p
	p.mu.Lock()
	_, open := p.conns[c]
	delete(p.conns, c)
	lost := open && p.single && p.broken == nil && p.ctx.Err() == nil
	c.mu.Lock()
	cause := fmt.Errorf("the connection for publishing to redis at %s: %w", p.addr, c.cause)
	c.mu.Unlock()
	if lost {
		p.broken = cause
		p.to.lost(cause) // with the lock held, so never after cut
	}
	p.mu.Unlock()
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
	if ctx.Err() != nil || p.gone() {
		for i := range batch {
			batch[i].err = ErrDown
		}
		return
	}
	if !p.single { // less time than Remote gives: one node that hangs is not the cluster
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, redisNodePublish)
		defer cancel()
	}
	// Not kept for the next batch: when ctx ends early, rueidis still reads it.
	commands := make([]rueidis.Completed, 0, len(batch))
	for i := range batch {
		commands = append(commands, p.client.B().Arbitrary(p.verb).Keys(batch[i].channel).Args(stringOf(batch[i].content)).Build())
	}
	var broken error
	for i, r := range p.client.DoMulti(ctx, commands...) {
		var network bool
		batch[i].err, network = redisOutcome(r.Error())
		if network && broken == nil {
			broken = batch[i].err
		}
	}
	if broken != nil && p.single && ctx.Err() == nil {
		p.to.lost(broken)
	}
}

// gone reports whether the connection to a single server is known to be no more.
func (p *redisPublisher) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.broken != nil
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
	case errors.Is(err, context.DeadlineExceeded):
		err = errNoAnswer
	case errors.Is(err, context.Canceled), errors.Is(err, rueidis.ErrClosing):
		err = errors.New("the link was closed")
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err), true
}
