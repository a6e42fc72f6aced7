package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// redisMaxHops is how often a publication goes on to the master that another one names.
	redisMaxHops = 4
	// redisOvertake is how long nothing is published after a master was found to be none
	// any more. What it has taken meanwhile it passes on to the new one's subscribers,
	// without a word to us; what is published there must not come before.
	redisOvertake = 250 * time.Millisecond
	// redisHangs is how often the rest of a master that hangs again and again doubles.
	redisHangs = 3
)

var (
	errNoOwner  = errors.New("no node of the cluster owns the channel's slot")
	errSlotMove = errors.New("the channel's slot is on its way from one node of the cluster to another")
)

// redisPublisher publishes in a cluster: at the master of the channel's slot, by a
// pipeline to each, so that what is published to a channel has one order. All of a
// batch is sent, to each master what is its, before an answer is waited for. A master
// that is away, or hangs, takes nothing, while the others go on.
type redisPublisher struct {
	m       *redisMap
	verb    string          // PUBLISH or SPUBLISH
	ctx     context.Context // ends with the publisher
	stop    context.CancelFunc
	running sync.WaitGroup

	// Of the goroutine that publishes.
	table  *redisSlotTable
	moved  map[int]string            // by slot: what masters have said since they gave the table
	todo   []*publication            // a batch, kept for the next one
	groups map[string][]*publication // of it, by master

	mu      sync.Mutex // a leaf lock
	outlets map[string]*redisOutlet
}

// newRedisPublisher returns a publisher that opens its connections by itself.
func newRedisPublisher(m *redisMap, verb string) *redisPublisher {
	p := &redisPublisher{m: m, verb: verb, table: m.slots.Load(), moved: map[int]string{}, groups: map[string][]*publication{}, outlets: map[string]*redisOutlet{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	for _, addr := range p.table.masters {
		p.outlet(addr)
	}
	return p
}

// close ends the connections. What is under way fails.
func (p *redisPublisher) close() {
	p.stop()
	p.running.Wait()
}

// publish sends a batch and sets its outcomes.
func (p *redisPublisher) publish(ctx context.Context, batch []publication) {
	// Less time than Remote gives: one node that hangs is not the cluster.
	ctx, cancel := context.WithTimeout(ctx, redisNodePublish)
	defer cancel()
	p.renew(ctx)
	todo := p.todo[:0]
	for i := range batch {
		todo = append(todo, &batch[i])
	}
	p.todo = todo
	for hops := 0; len(todo) > 0; hops++ {
		p.send(ctx, todo)
		todo = p.redirected(todo, hops < redisMaxHops)
	}
	clear(p.todo)
}

// renew takes note of a table that was read meanwhile.
func (p *redisPublisher) renew(ctx context.Context) {
	t := p.m.slots.Load()
	if t == p.table {
		return
	}
	p.table = t
	clear(p.moved)
	clear(p.groups)
	replaced := false
	p.mu.Lock()
	for addr, o := range p.outlets {
		if !t.owns(addr) {
			replaced = o.open() || replaced
			o.stop()
		}
	}
	p.mu.Unlock()
	if replaced {
		pause(ctx, redisOvertake)
	}
}

// owner returns the master of a slot, empty when there is none.
func (p *redisPublisher) owner(slot int) string {
	if addr, ok := p.moved[slot]; ok {
		return addr
	}
	return p.table.owner[slot]
}

// send gives each publication to the master of its channel, and sets the outcomes.
func (p *redisPublisher) send(ctx context.Context, todo []*publication) {
	for _, pub := range todo {
		addr := p.owner(slotOf(pub.channel))
		p.groups[addr] = append(p.groups[addr], pub)
	}
	var sending sync.WaitGroup
	for addr, group := range p.groups {
		switch len(group) {
		case 0:
			continue
		case len(todo):
			p.sendTo(ctx, addr, group)
		default:
			sending.Go(func() { p.sendTo(ctx, addr, group) })
		}
	}
	sending.Wait()
	for addr, group := range p.groups {
		clear(group)
		p.groups[addr] = group[:0]
	}
}

// sendTo gives publications to one master.
func (p *redisPublisher) sendTo(ctx context.Context, addr string, group []*publication) {
	cause := errNoOwner
	if addr != "" {
		o := p.outlet(addr)
		pipe := o.ready(ctx)
		if pipe != nil {
			pipe.send(ctx, p.verb, group)
			if err := group[len(group)-1].err; !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrDown) {
				o.hangs.Store(0)
			}
			return
		}
		cause = errNodeResting
		if ctx.Err() != nil {
			cause = whyOver(ctx)
		}
	}
	for _, pub := range group {
		pub.err = fmt.Errorf("%w: %w", ErrDown, cause)
	}
}

// redirected returns those that their master did not take because it does not own the
// slot, in order; or says so as the outcome, when they may not go on. Nor may one
// behind which another of its slot was taken: it would be heard out of order.
func (p *redisPublisher) redirected(todo []*publication, goOn bool) []*publication {
	if !slices.ContainsFunc(todo, func(pub *publication) bool { return pub.err != nil }) {
		return nil
	}
	taken := map[int]bool{}
	left := len(todo) // those from here on go on
	for _, pub := range slices.Backward(todo) {
		slot := slotOf(pub.channel)
		refusal, refused := errors.AsType[respError](pub.err)
		to, moved := "", false
		if refused {
			to, moved = redisMoved(refusal, p.owner(slot))
		}
		switch {
		case moved && goOn && !taken[slot]:
			p.moved[slot] = to
			p.m.stale.Store(true)
			left--
			todo[left] = pub
		case moved:
			pub.err = fmt.Errorf("%w: %w", ErrDown, errSlotMove)
		case pub.err == nil, errors.Is(pub.err, ErrUnknown):
			taken[slot] = true
		}
	}
	return todo[left:]
}

// outlet returns the way to a master.
func (p *redisPublisher) outlet(addr string) *redisOutlet {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.outlets[addr]
	if o == nil {
		o = &redisOutlet{p: p, addr: addr, tried: make(chan struct{})}
		o.ctx, o.stop = context.WithCancel(p.ctx)
		p.outlets[addr] = o
		p.running.Go(o.run)
	}
	return o
}

// redisOutlet is the way to one master: a pipeline, which is replaced when it is lost,
// as long as the master is one.
type redisOutlet struct {
	p    *redisPublisher
	addr string
	ctx  context.Context // ends with the outlet
	stop context.CancelFunc

	hangs atomic.Int32 // how often in a row the master did not answer

	mu     sync.Mutex     // after that of a redisPipeline
	pipe   *redisPipeline // nil while there is none
	opened time.Time      // when there was one last
	cause  error          // why it was lost; nil while there is one
	tried  chan struct{}  // closed when there is one, or an attempt to open it has failed
	doubt  bool           // nobody waits for the attempt: the last one failed, or the master did not answer
	failed bool           // the last attempt failed
}

// open reports whether there is a pipeline.
func (o *redisOutlet) open() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pipe != nil
}

// ready returns the pipeline. While there is none it waits for the first attempt to
// open one, and returns nil when that fails.
func (o *redisOutlet) ready(ctx context.Context) *redisPipeline {
	o.mu.Lock()
	pipe, tried, wait := o.pipe, o.tried, !o.doubt
	o.mu.Unlock()
	if pipe != nil || !wait {
		return pipe
	}
	select {
	case <-tried:
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pipe
}

// run opens pipelines, one behind the other.
func (o *redisOutlet) run() {
	defer o.end()
	for attempt := 0; o.ctx.Err() == nil; attempt++ {
		if attempt > 0 && !o.p.m.slots.Load().owns(o.addr) {
			return
		}
		conn, _, err := o.p.m.login(o.ctx, o.addr)
		if err != nil {
			o.fail(err)
			o.rest()
			continue
		}
		pipe := o.use(conn)
		select {
		case <-pipe.down:
		case <-o.ctx.Done():
		}
		pipe.close()
		if o.sayLost() {
			o.rest()
		}
	}
}

// use makes a pipeline of a connection, for everybody.
func (o *redisOutlet) use(conn *redisConn) *redisPipeline {
	o.mu.Lock() // so that lost comes behind
	defer o.mu.Unlock()
	o.pipe, o.opened, o.cause = newRedisPipeline(conn, o.lost), time.Now(), nil
	o.doubt, o.failed = false, false
	close(o.tried)
	return o.pipe
}

// lost is called by the pipeline.
func (o *redisOutlet) lost(cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pipe, o.cause, o.tried = nil, cause, make(chan struct{})
	if errors.Is(cause, errNoAnswer) {
		o.hangs.Add(1)
	}
	o.doubt = errors.Is(cause, errNoAnswer) || errors.Is(cause, errLinkClosed) || time.Since(o.opened) < redisNodeRest
}

// sayLost says why the pipeline is lost, and reports whether the next one has time.
func (o *redisOutlet) sayLost() (wait bool) {
	o.mu.Lock()
	cause, wait := o.cause, o.doubt
	o.mu.Unlock()
	if cause != nil && !errors.Is(cause, errLinkClosed) {
		o.p.m.stale.Store(true)
		o.p.m.dialer.log.Warn("a node of the broker's cluster is lost", "cause", cause)
	}
	return wait
}

// fail notes that an attempt has failed, and says so once, until one succeeds.
func (o *redisOutlet) fail(err error) {
	o.mu.Lock()
	said := o.failed
	o.doubt, o.failed = true, true
	close(o.tried)
	o.tried = make(chan struct{})
	o.mu.Unlock()
	if !said && o.ctx.Err() == nil {
		o.p.m.stale.Store(true)
		o.p.m.dialer.log.Error("nothing can be published at a node of the broker's cluster, trying again", "err", err)
	}
}

// rest waits before the next attempt, and not as long as other nodes of ours; longer
// each time for a master that lets us in and does not answer then.
func (o *redisOutlet) rest() { pause(o.ctx, o.nextRest(rand.Float64())) }

// nextRest is how long a rest is, between its shortest, 0, and its longest, 1.
func (o *redisOutlet) nextRest(at float64) time.Duration {
	d := redisNodeRest/2 + time.Duration(at*float64(redisNodeRest))
	return d << min(max(o.hangs.Load()-1, 0), redisHangs)
}

// end takes the outlet away; nobody waits for it any more.
func (o *redisOutlet) end() {
	o.p.mu.Lock()
	delete(o.p.outlets, o.addr)
	o.p.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pipe == nil {
		close(o.tried)
	}
	o.pipe, o.doubt = nil, true
	o.stop()
}
