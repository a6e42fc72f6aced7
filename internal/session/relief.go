package session

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"

	"wsify/broker"
	"wsify/internal/publish"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// Rough prices of what a connection keeps besides its queue and its unfinished input. Most
// of the first is the kernel's. The second is that of a channel without another member.
const (
	connectionPrice = 4 << 10
	membershipPrice = 512
	hoardPrice      = 512 // of each piece of input, which may leave as much garbage as it keeps, too
)

// smallBelow is what a connection keeps at least that is worth closing for its own sake. Of
// those that keep less, a relief closes a sixteenth at most: what they free may be little,
// so the memory is read again before the next ones.
const (
	smallBelow  = 2 * connectionPrice
	smallPart   = 16
	reliefBound = time.Second // a loop that is later than this is left out
)

// size is how many bytes of input, and of what was made of it, e keeps.
func (e *extra) size() int {
	n := cap(e.input) + cap(e.message) + cap(e.question) + cap(e.reply) + len(e.query) + e.reader.Buffered()
	if e.post != nil {
		n += cap(e.post.Bytes)
		if p := e.post.many; p != nil {
			n += p.size
		}
	}
	if e.stream != nil {
		n += e.stream.size()
	}
	return n
}

// keeps returns roughly how many bytes of memory a connection keeps.
func (l *loop) keeps(c *netpoll.Conn, s *session) int64 {
	n := c.Queued()
	if s.state != ending {
		n += connectionPrice + membershipPrice*s.subs.Count()
	}
	if e := l.more(s); e != nil {
		n += e.size()
	}
	return int64(n)
}

// relief closes the connections that keep the most memory. It walks through all
// connections twice: to measure, and to close.
type relief struct {
	sizes  [numClasses]atomic.Int64 // what the connections of each class of size keep together
	least  int                      // the lowest class of which connections are closed
	spared atomic.Int64             // what those of class least, in the order of slots, go on keeping
	closed atomic.Int64             // connections
}

// numClasses is the number of classes of size. The sizes of a class differ by an eighth.
const numClasses = 496

func classOf(size int64) int {
	n := bits.Len64(uint64(size))
	if n <= 3 {
		return int(size)
	}
	return (n-3)*8 + int(size>>(n-4)&7)
}

// relieveMemory closes the connections that keep the most, until they kept as much as
// excess together. It does not wait, and reports false if connections are being closed for
// memory already.
func (n *Node) relieveMemory(while context.Context, excess int64) bool {
	if !n.watch.closing.CompareAndSwap(false, true) {
		return false
	}
	go func() {
		defer n.watch.hurry()
		defer n.watch.closing.Store(false)
		ctx, cancel := context.WithTimeout(while, reliefBound)
		defer cancel()
		var r relief
		_ = n.walk(ctx, ctx, fromTheStart, r.measure)
		r.choose(excess)
		_ = n.walk(ctx, ctx, fromTheStart, r.close)
		n.watch.relieved.Store(true)
		if r.closed.Load() == 0 && while.Err() == nil {
			n.faults.Error("memory is short, and there is no connection to close: give this process more memory")
		}
	}()
	return true
}

func (r *relief) measure(l *loop, c *netpoll.Conn, s *session) bool {
	size := l.keeps(c, s)
	r.sizes[classOf(size)].Add(size)
	return true
}

// choose decides which connections are closed: the largest first, down to those that keep
// nothing but themselves.
func (r *relief) choose(excess int64) {
	idle, small := classOf(connectionPrice), classOf(smallBelow)
	for r.least = numClasses - 1; ; r.least-- {
		if r.least == small-1 {
			var all int64
			for class := idle; class < small; class++ {
				all += r.sizes[class].Load()
			}
			excess = min(excess, max(all/smallPart, 1))
		}
		here := r.sizes[r.least].Load()
		if here >= excess || r.least == idle {
			r.spared.Store(max(here-excess, 0))
			return
		}
		excess -= here
	}
}

// close ends a connection, if it is among those that were chosen. Of equal ones, those with
// the lowest slots stay, which are the oldest for the most part.
func (r *relief) close(l *loop, c *netpoll.Conn, s *session) bool {
	size := l.keeps(c, s)
	if class := classOf(size); class > r.least || class == r.least && r.spared.Add(-size) < 0 {
		r.closed.Add(1)
		l.endForMemory(c, s)
	}
	return true
}

const shortOfMemory = "This node is short of memory.\n"

// endForMemory ends a connection because memory is short.
func (l *loop) endForMemory(c *netpoll.Conn, s *session) {
	switch s.state {
	case introducing: // it may not speak HTTP
		l.turnAway(c, s)
	case handshaking, connecting:
		l.refuseFor(c, s, reasonMemory, rejectMemory, 503, publish.RetryAfter(), shortOfMemory)
	case publishing: // the broker has the publication
		if p := l.more(s).post.many; p != nil {
			p.forget()
		}
		l.counts.dropped[dropBroker].Add(1)
		l.dismiss(c, s, reasonMemory, 503, publish.AllowCORS+publish.RetryAfter(), broker.ErrUnknown.Error()+"\n")
	case receiving:
		l.unpublished(publish.ShortOfMemory, c, "this node is short of memory")
		l.dismiss(c, s, reasonMemory, 503, publish.AllowCORS+publish.RetryAfter(), "this node is short of memory\n")
	case kept:
		l.endQuietly(c, s, reasonMemory)
	case open, pinged, parked, streaming:
		if c.Queued() >= connectionPrice {
			l.slowConsumer(c, s, reasonMemory)
		} else {
			l.end(c, s, reasonMemory, wire.TryAgainLater, "this node is short of memory, try again later")
		}
	case ending: // its queue is what it keeps
		c.Close(reasonMemory)
	}
}

// warnOfGrowth says why connections end before the memory is read again.
func (n *Node) warnOfGrowth() {
	n.faults.Warn("memory is short, or grows faster than it can be read: what would need more is refused or closed")
}

// turnAway closes a connection that has asked for nothing yet.
func (l *loop) turnAway(c *netpoll.Conn, s *session) {
	l.counts.rejected[rejectMemory].Add(1)
	l.drop(s)
	s.state = ending
	c.Close(reasonMemory)
}

// hoard counts n more bytes that a connection keeps. If there is no memory for them, it ends
// the connection and reports false. When memory is short, no unfinished head of a new
// client is kept at all.
func (l *loop) hoard(c *netpoll.Conn, s *session, n int) bool {
	w := l.node.admission.watch
	if w == nil || !c.Open() {
		return true
	}
	stranger := s.state == handshaking || s.state == introducing
	if (!stranger || !w.full.Load()) && w.spend(2*n+hoardPrice) {
		return true
	}
	l.node.warnOfGrowth()
	l.endForMemory(c, s)
	return false
}
