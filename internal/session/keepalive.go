package session

import (
	"math/rand/v2"
	"time"

	"wsify/internal/invariants"
	"wsify/internal/publish"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// startKeepalive schedules the first ping at a random time within the interval, so that
// clients that connected together are not pinged together.
func (l *loop) startKeepalive(c *netpoll.Conn, s *session) {
	s.seen = l.net.Tick()
	if interval := l.node.cfg.PingInterval; interval > 0 {
		l.checkIn(c, time.Duration(1+rand.Int64N(int64(interval))))
	} else {
		c.ClearDeadline()
		l.checkIn(c, 0)
	}
}

// Expired acts on a deadline that has passed. It implements netpoll.Handler.
func (l *loop) Expired(c *netpoll.Conn) {
	s := l.session(c)
	if l.expireSession(c, s) {
		return
	}
	switch s.state {
	case introducing:
		if l.node.proxies.required {
			l.rejectProxy(c, s, "the PROXY header was not finished in time")
			break
		}
		fallthrough // it may be a client that has sent nothing
	case handshaking:
		l.refuseFor(c, s, reasonHandshakeTimeout, rejectTimeout, 408, "", "The request head was not finished in time.\n")
	case receiving:
		l.turnDown(c, s, publish.Refusal{Reason: publish.Timeout, Status: 408, Detail: "the body was not finished in time"})
	case publishing:
		l.tooLate(c, s)
	case kept:
		l.endQuietly(c, s, reasonHTTP)
	case connecting:
		l.refuseFor(c, s, reasonHandshakeTimeout, rejectTimeout, 503, publish.RetryAfter(), "The authorizer has not answered in time.\n")
	case parked:
		l.keepaliveParked(c, s)
	case open:
		if left, half := l.messageLeft(s); half && left <= 0 {
			l.end(c, s, reasonMessageTimeout, wire.PolicyViolation, "a message was not finished in time")
			return
		}
		l.keepalive(c, s)
	case pinged:
		l.noPong(c, s)
	case streaming:
		l.heartbeat(c, s)
	case ending:
	}
	l.check(c, s)
}

// check asserts I10 in builds with assertions.
func (l *loop) check(c *netpoll.Conn, s *session) {
	if invariants.Enabled {
		pings := s.isClient()
		unbound := pings && l.node.cfg.PingInterval <= 0
		invariants.Check(c.HasDeadline() || unbound || !c.Open(), "I10: a session in state %d has no deadline", s.state)
	}
}

// alive records that bytes have arrived. The first ones after a ping start the next
// interval.
func (l *loop) alive(c *netpoll.Conn, s *session) {
	s.seen = l.net.Tick()
	if s.state == pinged {
		s.state = open
		l.lookIn(c, s, l.node.cfg.PingInterval)
	}
}

// seenAlive does what alive does, for a session that is parked or was until now.
func (l *loop) seenAlive(c *netpoll.Conn, s *session, e *extra) {
	s.seen = l.net.Tick()
	if e.pinged {
		e.pinged = false
		l.checkIn(c, l.node.cfg.PingInterval)
	}
}

func (l *loop) noPong(c *netpoll.Conn, s *session) {
	l.end(c, s, reasonNoPong, wire.NoPong, "no answer to a ping")
}

// keepaliveParked is keepalive for a parked session. While reading is paused, silence does
// not mean that the peer is dead, so there are no pings. Each wait has its own bound.
func (l *loop) keepaliveParked(c *netpoll.Conn, s *session) {
	e := l.more(s)
	switch {
	case c.Paused():
		e.pinged = false
		l.checkIn(c, max(l.node.cfg.PingInterval, time.Second))
	case e.pinged:
		l.noPong(c, s)
	default:
		l.keepalive(c, s)
	}
}

// keepalive pings a connection that may have been silent for the whole interval by the
// next check.
//
// It checks every half interval, independent of when the last bytes arrived.
// Otherwise clients that send at the same time, such as their joins after a mass
// reconnect, would all be pinged at the same time.
func (l *loop) keepalive(c *netpoll.Conn, s *session) {
	silent := time.Duration(l.net.Tick()-s.seen) * l.node.tick
	switch {
	case l.node.cfg.PingInterval <= 0:
		l.lookIn(c, s, 0)
	case silent < l.node.cfg.PingInterval/2:
		l.lookIn(c, s, l.node.cfg.PingInterval/2)
	case l.sendUrgent(c, s, s.voice().ping):
		if s.state == parked {
			l.more(s).pinged = true
		} else {
			s.state = pinged
		}
		l.checkIn(c, l.node.cfg.PongTimeout)
	}
}

// A message must be complete messageTimeout after its first byte, plus a second for each
// messageRate bytes of -max-message-size, because an incomplete message occupies memory.
// A message that arrives in one piece costs nothing here.
const (
	messageTimeout = 30 * time.Second
	messageRate    = 64 << 10
)

// startMessage records that an incomplete message has begun.
func (l *loop) startMessage(c *netpoll.Conn, s *session) {
	l.more(s).begun = l.net.Tick()
	l.lookIn(c, s, l.node.cfg.PingInterval/2)
}

// messageLeft returns the time left for the incomplete message. half is false if there
// is none.
func (l *loop) messageLeft(s *session) (left time.Duration, half bool) {
	e := l.more(s)
	if e == nil || e.reader.Idle() {
		return 0, false
	}
	bound := messageTimeout + time.Duration(l.node.cfg.MaxMessageSize/messageRate)*time.Second
	return bound - time.Duration(l.net.Tick()-e.begun)*l.node.tick, true
}

// lookIn schedules the next check of an open session after d, or when its incomplete
// message is due, if that is earlier. A d of 0 means never.
func (l *loop) lookIn(c *netpoll.Conn, s *session, d time.Duration) {
	if left, half := l.messageLeft(s); half && (d <= 0 || left < d) {
		d = left
	}
	l.checkIn(c, d)
}
