package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

const (
	// maxHops is how often a publication goes on to the master that another one names.
	maxHops = 4
	// overtake is how long nothing is published after a master was found to be none
	// any more. What it has taken meanwhile it passes on to the new one's subscribers,
	// without a word to us; what is published there must not come before.
	overtake = 250 * time.Millisecond
)

var (
	errNoOwner  = errors.New("no node of the cluster owns the channel's slot")
	errSlotMove = errors.New("the channel's slot is on its way from one node of the cluster to another")
)

// clusterPublisher publishes in a cluster: at the master of the channel's slot, by a
// pipeline to each, so that what is published to a channel has one order. All of a
// batch is sent, to each master what is its, before an answer is waited for. A master
// that is away, or hangs, takes nothing, while the others go on.
type clusterPublisher struct {
	m       *slotMap
	verb    string          // PUBLISH or SPUBLISH
	home    *shardedLink    // whose subscriptions are at the masters too; nil when they are not
	ctx     context.Context // ends with the publisher
	stop    context.CancelFunc
	running sync.WaitGroup

	// Of the goroutine that publishes.
	table  *slotTable
	moved  map[int]string                   // by slot: what masters have said since they gave the table
	todo   []*broker.Publication            // a batch, kept for the next one
	groups map[string][]*broker.Publication // of it, by master

	mu      sync.Mutex // a leaf lock
	outlets map[string]*outlet
}

// newClusterPublisher returns a publisher that opens its connections by itself.
func newClusterPublisher(m *slotMap, verb string, home *shardedLink) *clusterPublisher {
	p := &clusterPublisher{m: m, verb: verb, home: home, table: m.slots.Load(), moved: map[int]string{}, groups: map[string][]*broker.Publication{}, outlets: map[string]*outlet{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	for _, addr := range p.table.masters {
		p.outlet(addr)
	}
	return p
}

// close ends the connections. What is under way fails.
func (p *clusterPublisher) close() {
	p.stop()
	p.running.Wait()
}

// publish sends a batch and sets its outcomes.
func (p *clusterPublisher) publish(ctx context.Context, batch []broker.Publication) {
	// Less time than Remote gives: one node that hangs is not the cluster.
	ctx, cancel := link.Within(ctx, nodePublishTimeout)
	defer cancel()
	p.renew(ctx)
	todo := p.todo[:0]
	for i := range batch {
		todo = append(todo, &batch[i])
	}
	p.todo = todo
	for hops := 0; len(todo) > 0; hops++ {
		p.send(ctx, todo)
		todo = p.redirected(todo, hops < maxHops)
	}
	clear(p.todo)
}

// renew takes note of a table that was read meanwhile.
func (p *clusterPublisher) renew(ctx context.Context) {
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
			pipe, _, _ := o.current()
			replaced = replaced || pipe != nil
			o.stop()
		}
	}
	p.mu.Unlock()
	if replaced {
		link.Pause(ctx, overtake)
	}
}

// owner returns the master of a slot, empty when there is none.
func (p *clusterPublisher) owner(slot int) string {
	if addr, ok := p.moved[slot]; ok {
		return addr
	}
	return p.table.owner[slot]
}

// send gives each publication to the master of its channel, and sets the outcomes.
func (p *clusterPublisher) send(ctx context.Context, todo []*broker.Publication) {
	for _, pub := range todo {
		// Asked behind the table that says where it goes: members here would not hear it.
		if p.home != nil && p.home.to.Deaf(pub.Channel) {
			pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, errSlotMove)
			continue
		}
		addr := p.owner(slotOf(pub.Channel))
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
func (p *clusterPublisher) sendTo(ctx context.Context, addr string, group []*broker.Publication) {
	if addr != "" {
		publishAt(ctx, p.outlet(addr), p.verb, group)
		return
	}
	for _, pub := range group {
		pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, errNoOwner)
	}
}

// redirected returns those that their master did not take because it does not own the
// slot, in order; or says so as the outcome, when they may not go on. Nor may one
// behind which another of its slot was taken: it would be heard out of order.
func (p *clusterPublisher) redirected(todo []*broker.Publication, goOn bool) []*broker.Publication {
	if !slices.ContainsFunc(todo, func(pub *broker.Publication) bool { return pub.Err != nil }) {
		return nil
	}
	taken := map[int]bool{}
	left := len(todo) // those from here on go on
	for _, pub := range slices.Backward(todo) {
		slot := slotOf(pub.Channel)
		refusal, refused := errors.AsType[respError](pub.Err)
		to, moved := "", false
		if refused {
			to, moved = movedTo(refusal, p.owner(slot))
		}
		switch {
		case moved && goOn && !taken[slot]:
			p.moved[slot] = to
			p.m.suspect(to)
			if p.home != nil {
				p.home.moved(slot, to)
			}
			left--
			todo[left] = pub
		case moved:
			pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, errSlotMove)
		case pub.Err == nil, errors.Is(pub.Err, broker.ErrUnknown):
			taken[slot] = true
		}
	}
	return todo[left:]
}

// outlet returns the way to a master.
func (p *clusterPublisher) outlet(addr string) *outlet {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.outlets[addr]; o != nil && o.ctx.Err() == nil {
		return o
	}
	o := &outlet{
		addr:   addr,
		begin:  func(conn *serverConn, lost func(error)) *pipeline { return newPipeline(conn, false, lost) },
		login:  func(ctx context.Context) (*serverConn, error) { return p.m.connect(ctx, addr) },
		needed: func() bool { return p.m.slots.Load().owns(addr) },
		opened: func(*pipeline) {},
	}
	o.lost = func(cause error) {
		p.m.suspect("")
		p.m.dialer.log.Warn("a node of the broker's cluster is lost", "cause", cause)
	}
	o.failed = func(err error, first bool) {
		if first {
			p.m.suspect("")
			p.m.dialer.log.Error("nothing can be published at a node of the broker's cluster, trying again", "err", err)
		}
	}
	p.outlets[addr] = o
	o.start(p.ctx)
	p.running.Go(func() { // until it is not needed any more
		o.running.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.outlets[addr] == o {
			delete(p.outlets, addr)
		}
	})
	return o
}

// outlet keeps a pipeline to one server.
type outlet = keeper[*pipeline]

// publishAt publishes by verb at the server of o, and sets the outcomes.
func publishAt(ctx context.Context, o *outlet, verb string, batch []*broker.Publication) {
	if pipe := o.ready(ctx); pipe != nil {
		pipe.publish(ctx, verb, batch)
		if err := batch[len(batch)-1].Err; !errors.Is(err, broker.ErrUnknown) && !errors.Is(err, broker.ErrDown) {
			o.hangs.Store(0)
		}
		return
	}
	cause := errNodeResting
	if ctx.Err() != nil {
		cause = whyOver(ctx)
	}
	for _, pub := range batch {
		pub.Err = fmt.Errorf("%w: %w", broker.ErrDown, cause)
	}
}
