package session

import (
	"sync/atomic"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/command"
	"wsify/internal/slab"
	"wsify/netpoll"
)

// loop is the server's side of one event loop: the handler of its events and the
// owner of its sessions. Everything in it belongs to that loop's goroutine, except
// counts, underWay and pulse.
type loop struct {
	node     *Node
	net      *netpoll.Loop
	hub      *hub.Local
	sessions slab.Slab[session]
	places   slab.Slab[place]    // by slot; empty unless places are counted
	buckets  slab.Slab[bucket]   // by slot; empty without a rate of commands
	told     slab.Slab[endpoint] // by slot: addresses of clients, from proxies; empty unless proxies are believed
	expiries slab.Slab[expiry]   // by slot; empty until the authorizer limits a session's time
	extras   slab.Pool[extra]
	parser   command.Parser
	// cork collects the answers to one piece of input, so that they leave in few sends,
	// before anything sent later. answers is their number. If it is 0, cork holds pongs.
	// corked is the connection of that input.
	cork    []byte
	answers int
	corked  *netpoll.Conn

	slow    []laggard      // connections found too slow in this turn
	looked  uint64         // netpoll.Loop.Enqueued at the last check of all queues
	blocked queue          // connections that wait for a place in the worker pool
	spare   *broker.Waiter // not in use by any session

	addrs  map[uint64]string // addresses of connections; only while debugging
	access *accessLog        // nil while the access log and the events of sessions are off

	noted func(broker.Receipt, error) // the method note, for publications that need no answer

	// Memory for building one answer at a time, reused for the next.
	reply []byte
	frame []byte
	small []byte
	// headed is the publication that is being made; see withHead.
	headed []byte

	question []byte // for the cache of the authorizer's answers

	bodiless bool  // the request being read is a HEAD: its answer has no body
	dated    int64 // the second for which dateLine was made
	dateLine []byte

	underWay atomic.Int64 // publications of backends in progress; read by any goroutine
	counts   counts
	pulse    pulse
}

// Opened starts the handshake of a new connection. It implements netpoll.Handler.
func (l *loop) Opened(c *netpoll.Conn) {
	l.sessions.Grow(c.Slot())
	*l.session(c) = session{state: l.node.first()}
	if l.node.proxies.on() {
		l.told.Grow(c.Slot())
	}
	if l.node.admission.counts {
		l.places.Grow(c.Slot())
	}
	c.SetDeadline(l.node.now().handshakeTimeout)
	l.counts.accepted.Add(1)
	if w := l.node.admission.watch; w != nil && !w.spend(connectionPrice) {
		l.node.warnOfGrowth()
		l.turnAway(c, l.session(c))
		return
	}
	if l.access != nil {
		l.access.accepted(c, l.remoteAddr)
	}
	if l.node.debugging() {
		l.logAs(c, l.remoteAddr(c))
	}
}

// Data handles bytes that were read. It implements netpoll.Handler.
func (l *loop) Data(c *netpoll.Conn, p []byte) {
	s := l.session(c)
	switch s.state {
	case handshaking, introducing, kept, receiving, publishing:
		if l.readRequests(c, s, p); s.more != none {
			l.hoard(c, s, len(p))
		}
	case open, pinged:
		l.alive(c, s)
		l.startCork(c)
		l.readFrames(c, s, p, unkept)
		l.uncork()
	case parked:
		e := l.more(s)
		e.input = append(e.input, p...)
		l.seenAlive(c, s, e)
		l.keep(c, s)
		l.hoard(c, s, len(p))
	case connecting:
		// Reading is paused; these bytes were read before that took effect.
		e := l.extend(s)
		e.input = append(e.input, p...)
		l.hoard(c, s, len(p))
	case streaming, ending:
	}
	l.check(c, s)
	l.relieve()
}

// Closed forgets the session. It implements netpoll.Handler.
func (l *loop) Closed(c *netpoll.Conn, reason netpoll.Reason) {
	s := l.session(c)
	l.vacate(c)        // first: a panic below must not keep the place
	if l.corked == c { // there was a panic while its input was handled
		l.corked = nil
	}
	if logged := l.access.closed(c, s, reason); l.node.debugging() {
		l.logEnded(c, reason, logged)
	}
	delete(l.addrs, c.ID()) // also when the level has changed meanwhile
	l.hub.LeaveAll(c.Slot(), &s.subs)
	l.drop(s)
	if l.node.proxies.on() {
		*l.told.At(c.Slot()) = endpoint{}
	}
	l.forgetTime(c)
	s.state = ending
	l.counts.closed[reason].Add(1)
}

// answer sends p to c, or corks it while input of c is handled. If the queue of c is
// full, the slow policy applies.
func (l *loop) answer(c *netpoll.Conn, p []byte) {
	if l.corked != c {
		l.send(c, p, 1)
		return
	}
	if l.answers == 0 || len(l.cork)+len(p) > fullCork { // the cork holds pongs, or enough
		l.flushCork(c)
	}
	l.cork = append(l.cork, p...)
	l.answers++
}

// startCork collects the answers to c until uncork.
func (l *loop) startCork(c *netpoll.Conn) {
	l.cork, l.answers, l.corked = l.cork[:0], 0, c
}

// uncork sends the collected answers to the connection whose input was handled.
func (l *loop) uncork() {
	l.flushCork(l.corked)
	l.corked = nil
	if cap(l.cork) > keepCork {
		l.cork = nil
	}
}

// flushCork sends the corked answers to c, so that nothing overtakes them.
func (l *loop) flushCork(c *netpoll.Conn) {
	if l.corked != c || len(l.cork) == 0 {
		return
	}
	p, answers := l.cork, l.answers
	l.cork, l.answers = l.cork[:0], 0
	if answers > 0 {
		l.send(c, p, answers)
	} else {
		l.sendUrgent(c, l.session(c), p)
	}
}

// Bounds on the bytes of a cork: it is sent before an answer that would make it longer than the
// first, and may keep the second as capacity between pieces of input.
const (
	fullCork = 32 << 10
	keepCork = 64 << 10
)

// send sends p, which holds the given number of messages.
func (l *loop) send(c *netpoll.Conn, p []byte, messages int) {
	if l.access != nil {
		l.access.visit(c).delivered(messages)
	}
	if c.Send(p) {
		l.counts.sent.Add(uint64(messages))
	} else {
		l.overflowed(c, messages)
	}
	l.relieve()
}

// sendUrgent sends control frames. It reports false if c has ended. If the queue has no
// room for them, it ends c as a slow consumer.
func (l *loop) sendUrgent(c *netpoll.Conn, s *session, p []byte) bool {
	if c.SendUrgent(p) {
		return true
	}
	if c.Open() {
		l.slowConsumer(c, s, reasonSlowConsumer)
	}
	return false
}
