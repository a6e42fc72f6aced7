package session

import (
	"github.com/gobwas/ws"

	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// fanoutBudget is how many sends a loop makes in one turn: 1 to 2 milliseconds of
// kernel time. What is left waits for the next turn, behind what became readable.
const fanoutBudget = 256

// deliver encodes a publication once and gives it to the hub. The broker calls it
// for everything this node has to deliver, from any goroutine. Both slices are
// borrowed. When the broker is asynchronous there may be no room: then it will be
// told of it. Otherwise the publisher has asked for room.
func (n *Node) deliver(channel, content []byte) error {
	size := wire.FrameSize(len(content))
	if n.broker.Asynchronous() && n.hub.Full(channel, size) && n.hub.AwaitRoom(channel, size, &hub.Waiter{ID: brokerWaits, First: true}) {
		return hub.ErrBusy
	}
	b := buffer.New(size)
	b.SetBytes(wire.AppendFrame(b.Bytes(), ws.OpText, content))
	b.Messages = 1
	b.Stamp = n.times.Stamp()
	n.hub.Publish(channel, b)
	b.Release()
	return nil
}

// Wake asks a loop to deliver. It implements hub.Sink.
func (n *Node) Wake(loop int) { n.group.Loop(loop).Wake() }

// Turn delivers what was published. It implements netpoll.Handler.
//
// Several channels in one turn may have members in common: theirs is queued, and
// leaves in one gathered write. One channel alone is sent directly, and so is what
// a member of one channel alone gets.
func (l *loop) Turn() (more bool) {
	parts := l.hub.Take()
	for budget := fanoutBudget; budget > 0; {
		slice, ok := l.hub.Next(budget)
		if !ok {
			break
		}
		budget -= 1 + len(slice.Members)
		if parts > 1 {
			l.queue(slice.Buffer, slice.Members)
		} else {
			l.sendAll(slice.Buffer, slice.Members)
		}
		l.relieve()
	}
	if stamp := l.hub.Delivered(); stamp != 0 {
		l.node.times.Delivered(stamp)
	}
	l.endSlow()
	return l.hub.Pending()
}

// sendAll sends b to each member.
func (l *loop) sendAll(b *buffer.Buffer, members []hub.Member) {
	sent := len(members)
	for _, m := range members {
		if c := l.net.ConnAt(m.Conn); !c.SendShared(b) {
			sent--
			l.overflowed(c, b.Messages)
		}
	}
	l.counts.sent.Add(uint64(sent * b.Messages))
}

// sendOne sends b to one member.
func (l *loop) sendOne(c *netpoll.Conn, b *buffer.Buffer) {
	if c.SendShared(b) {
		l.counts.sent.Add(uint64(b.Messages))
	} else {
		l.overflowed(c, b.Messages)
	}
}

// queue queues b for each member that may get more in this turn; the loop writes at
// its end.
func (l *loop) queue(b *buffer.Buffer, members []hub.Member) {
	sent := len(members)
	for _, m := range members {
		if c := l.net.ConnAt(m.Conn); !l.sendOrQueue(c, b) {
			sent--
			l.overflowed(c, b.Messages)
		}
	}
	l.counts.sent.Add(uint64(sent * b.Messages))
}

// sendOrQueue sends b to a member of one channel, which gets nothing to join it with, and
// queues it for a member of several.
func (l *loop) sendOrQueue(c *netpoll.Conn, b *buffer.Buffer) bool {
	if l.session(c).subs.Count() == 1 {
		return c.SendShared(b)
	}
	return c.QueueShared(b)
}

// Room lets a session go on, or the broker, that waited for room in a channel. It
// implements hub.Sink.
func (n *Node) Room(w *hub.Waiter) {
	if w.ID == brokerWaits {
		n.broker.Room(w.Channel())
		n.hub.Forgo(w) // the broker delivers ahead of others without it
		return
	}
	net := n.group.LoopOf(w.ID)
	l := n.loops[net.Index()]
	net.PostTo(w.ID, func(c *netpoll.Conn) { l.roomCame(c, w) })
}

// overflowed counts messages that a connection's queue did not take, and lets the
// slow policy act on it at the end of the turn. What a connection did not take
// because it has ended is not counted.
func (l *loop) overflowed(c *netpoll.Conn, messages int) {
	if !c.Open() {
		return
	}
	l.counts.dropped[dropSlow].Add(uint64(messages))
	if !l.node.cfg.DropSlow {
		l.tooSlow(c, reasonSlowConsumer)
	}
}

// laggard is a connection that is to be ended, and why.
type laggard struct {
	id     uint64
	reason netpoll.Reason
}

// tooSlow has a connection ended at the end of the turn, when no slice of members is in
// use: ending one changes them.
func (l *loop) tooSlow(c *netpoll.Conn, reason netpoll.Reason) {
	l.slow = append(l.slow, laggard{c.ID(), reason})
	l.net.Wake()
}

// endSlow ends the connections that were found too slow.
func (l *loop) endSlow() {
	slow := l.slow
	l.slow = nil // before, so that one that panics is not tried for ever
	for _, s := range slow {
		if c := l.net.Conn(s.id); c != nil && c.Open() {
			l.slowConsumer(c, l.session(c), s.reason)
		}
	}
}

// slowTexts are what a slow consumer is told.
var slowTexts = map[netpoll.Reason]string{
	reasonSlowConsumer: "too slow: outbound queue is full",
	reasonWriteMemory:  "too slow: the outbound queues of all are full",
}

// slowConsumer ends a connection whose queue is full, or among the largest. What is
// queued is dropped, so that its memory comes back at once and the Close frame is next.
func (l *loop) slowConsumer(c *netpoll.Conn, s *session, reason netpoll.Reason) {
	c.DropQueued()
	l.end(c, s, reason, wire.SlowConsumer, slowTexts[reason])
}
