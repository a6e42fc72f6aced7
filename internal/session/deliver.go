package session

import (
	"wsify/broker"
	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/internal/follow"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// fanoutBudget is how many sends a loop makes in one turn: 1 to 2 milliseconds of
// kernel time. The rest waits for the next turn, behind new events.
const fanoutBudget = 256

// deliver encodes a publication once for each class that has members, and gives it to
// the hub. The broker calls it for each publication that this node has to deliver, from
// any goroutine. Both slices are borrowed. If the channel has no room for an asynchronous
// broker, deliver returns hub.ErrBusy; Node.Room tells the broker later. Otherwise the
// publisher has checked.
func (n *Node) deliver(channel, content []byte) error {
	p := published{channel: channel, content: content}
	if len(content) > 0 && content[0] == broker.HeadMark {
		var ok bool
		if p.head, p.content, ok = broker.SplitHead(content); !ok {
			return broker.ErrHead
		}
	}
	if n.mustWait(&p) {
		return hub.ErrBusy
	}
	if n.follower != nil && p.head.Position.Epoch != "" {
		n.follower.Deliver(follow.Publication{Channel: channel, Content: p.content, Head: p.head})
	} else {
		n.encode(p, nil)
	}
	return nil
}

// mustWait reports whether an asynchronous broker has to wait for room in the channel.
func (n *Node) mustWait(p *published) bool {
	size := wire.FrameSize(len(p.content))
	if !n.broker.Asynchronous() || !n.hub.Full(p.channel, size) {
		return false
	}
	channel, w := string(p.channel), &hub.Waiter{First: true}
	w.Came = func() {
		n.broker.Room(channel)
		n.hub.Forgo(w) // the broker delivers ahead of others, so it needs no reservation
	}
	return n.hub.AwaitRoom(p.channel, size, w)
}

// encode gives a publication to the hub, which calls then: see hub.PublishThen. It begins with
// the class that nearly every channel has. The hub says which others there are, so a node
// whose clients are all Raw does not look for them. There may be new ones by the next call.
func (n *Node) encode(p published, then func()) {
	var frames hub.Frames
	p.stamp, p.except = n.times.Stamp(p.channel), n.own(p.head.Except)
	for lacks := hub.Classes(1 << hub.Raw); lacks != 0; {
		for class := range lacks.Each() {
			n.speak(&frames, class, p)
		}
		_, lacks = n.hub.PublishThen(p.channel, &frames, 0, then)
	}
	frames.Release()
}

// Wake asks a loop to deliver. It implements hub.Sink.
func (n *Node) Wake(loop int) { n.group.Loop(loop).Wake() }

// Turn delivers what was published. It implements netpoll.Handler.
//
// If the turn has several channels, a member may get publications of more than one.
// They are queued, and one gathered write sends them. A single channel is sent
// directly, and so is all that goes to members of one channel only.
func (l *loop) Turn() (more bool) {
	parts := l.hub.Take()
	for budget := fanoutBudget; budget > 0; {
		slice, ok := l.hub.Next(budget)
		if !ok {
			break
		}
		budget -= 1 + len(slice.Members)
		if slice.Buffer.Holes() == nil {
			l.give(slice.Buffer, slice.Members, parts > 1)
		} else {
			l.giveAround(slice.Buffer, slice.Members, parts > 1)
		}
		l.relieve()
	}
	if stamp := l.hub.Delivered(); stamp != 0 {
		l.node.times.Delivered(stamp)
	}
	l.endSlow()
	return l.hub.Pending()
}

// give gives the same bytes to each member. gather: they may get more in this turn.
func (l *loop) give(b *buffer.Buffer, members []hub.Member, gather bool) {
	if l.access != nil {
		l.access.deliveredAll(members, b.Messages)
		l.caughtUp(members)
	}
	if gather {
		l.queue(b, members)
	} else {
		l.sendAll(b, members)
	}
}

// sendAll sends b to each member.
func (l *loop) sendAll(b *buffer.Buffer, members []hub.Member) {
	sent := len(members)
	for _, m := range members {
		if c := l.net.ConnAt(m.Conn); !c.SendShared(b) {
			sent--
			l.missed(c, b.Messages)
		}
	}
	l.counts.sent.Add(uint64(sent * b.Messages))
}

// sendOne sends b to one member, without what it is left out of.
func (l *loop) sendOne(c *netpoll.Conn, b *buffer.Buffer) {
	if b.Holes() != nil {
		b = l.without(c, b)
		defer b.Release()
	}
	l.access.visit(c).delivered(b.Messages)
	if c.SendShared(b) {
		l.counts.sent.Add(uint64(b.Messages))
	} else {
		l.overflowed(c, b.Messages)
	}
}

// queue queues b for each member that may get more in this turn. The loop writes it at
// the end of the turn.
func (l *loop) queue(b *buffer.Buffer, members []hub.Member) {
	sent := len(members)
	for _, m := range members {
		if c := l.net.ConnAt(m.Conn); !l.sendOrQueue(c, b) {
			sent--
			l.missed(c, b.Messages)
		}
	}
	l.counts.sent.Add(uint64(sent * b.Messages))
}

// sendOrQueue sends b to a member of one channel, for which nothing else can be gathered,
// and queues it for a member of several.
func (l *loop) sendOrQueue(c *netpoll.Conn, b *buffer.Buffer) bool {
	if l.session(c).subs.Count() == 1 {
		return c.SendShared(b)
	}
	return c.QueueShared(b)
}

// Room resumes the session that waited for room in a channel. It implements hub.Sink.
func (n *Node) Room(w *hub.Waiter) {
	net := n.group.LoopOf(w.ID)
	l := n.loops[net.Index()]
	net.PostTo(w.ID, func(c *netpoll.Conn) { l.roomCame(c, w) })
}

// overflowed counts messages that did not fit into a connection's queue. The slow
// policy acts on the connection at the end of the turn. Messages for a connection
// that has ended are not counted.
func (l *loop) overflowed(c *netpoll.Conn, messages int) {
	l.access.visit(c).undelivered(messages)
	if !c.Open() {
		return
	}
	l.counts.dropped[dropSlow].Add(uint64(messages))
	if !l.node.now().dropSlow {
		l.tooSlow(c, reasonSlowConsumer)
	} else {
		l.reportSlow(c, l.session(c), 0, reasonSlowConsumer)
	}
}

// missed is overflowed for a member of the channel that is delivered. If it keeps history, those that are
// told of gaps are closed under either policy: they come back, and get what they have missed.
func (l *loop) missed(c *netpoll.Conn, messages int) {
	l.overflowed(c, messages)
	if l.node.now().dropSlow && c.Open() && gapVoice(l.session(c).subs.Class) != nil && l.node.keepsHistory(l.hub.Channel()) {
		l.tooSlow(c, reasonSlowConsumer)
	}
}

// laggard is a connection that is too slow and will be ended, and the reason.
type laggard struct {
	id     uint64
	reason netpoll.Reason
}

// tooSlow makes endSlow end a connection at the end of the turn. No slice of members may
// be in use then, because an ending connection changes them.
func (l *loop) tooSlow(c *netpoll.Conn, reason netpoll.Reason) {
	l.slow = append(l.slow, laggard{c.ID(), reason})
	l.net.Wake()
}

// endSlow ends the connections that were found too slow.
func (l *loop) endSlow() {
	slow := l.slow
	l.slow = nil // before the loop, so that a connection that panics is not tried again
	for _, s := range slow {
		if c := l.net.Conn(s.id); c != nil && c.Open() {
			l.slowConsumer(c, l.session(c), s.reason)
		}
	}
}

// slowTexts are the texts in the Close frames of slow consumers.
var slowTexts = map[netpoll.Reason]string{
	reasonSlowConsumer: "too slow: outbound queue is full",
	reasonMemory:       "too slow: this node is short of memory",
	reasonWriteMemory:  "too slow: all outbound queues together are too large",
}

// slowConsumer ends a connection whose queue is full or among the largest. It drops the
// queue, which frees the memory at once, so that the Close frame is next.
func (l *loop) slowConsumer(c *netpoll.Conn, s *session, reason netpoll.Reason) {
	c.DropQueued()
	l.reportSlow(c, s, wire.SlowConsumer, reason)
	l.end(c, s, reason, wire.SlowConsumer, slowTexts[reason])
}
