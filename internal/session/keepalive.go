package session

import (
	"math/rand/v2"
	"time"

	"github.com/gobwas/ws"

	"wsify/broker"
	"wsify/internal/invariants"
	"wsify/internal/publish"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// pingFrame is an empty ping; RFC 6455, section 5.5.2.
var pingFrame = wire.AppendFrame(nil, ws.OpPing, nil)

// startKeepalive sets the first ping somewhere within the interval, so that those
// clients that connected together are not pinged together.
func (l *loop) startKeepalive(c *netpoll.Conn, s *session) {
	s.seen = l.net.Tick()
	if interval := l.node.cfg.PingInterval; interval > 0 {
		c.SetDeadline(time.Duration(1 + rand.Int64N(int64(interval))))
	} else {
		c.ClearDeadline()
	}
}

// Expired acts on a deadline that has passed. It implements netpoll.Handler.
func (l *loop) Expired(c *netpoll.Conn) {
	s := l.session(c)
	switch s.state {
	case handshaking:
		l.refuseFor(c, s, reasonHandshakeTimeout, rejectTimeout, 408, "", "The request head was not finished in time.\n")
	case receiving:
		l.turnDown(c, s, publish.Refusal{Reason: publish.Timeout, Status: 408, Detail: "the body was not finished in time"})
	case publishing:
		l.lost(c, s, publish.Manner{}, dropBroker, "5", broker.ErrUnknown.Error())
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
	case ending:
	}
	l.check(c, s)
}

// check asserts I10 in builds with assertions.
func (l *loop) check(c *netpoll.Conn, s *session) {
	if invariants.Enabled {
		pings := s.state == open || s.state == pinged || s.state == parked
		unbound := pings && l.node.cfg.PingInterval <= 0
		invariants.Check(c.HasDeadline() || unbound || !c.Open(), "I10: a session in state %d has no deadline", s.state)
	}
}

// alive notes that bytes have come. Those that come after a ping start the next
// interval.
func (l *loop) alive(c *netpoll.Conn, s *session) {
	s.seen = l.net.Tick()
	if s.state == pinged {
		s.state = open
		l.lookIn(c, s, l.node.cfg.PingInterval)
	}
}

// seenAlive is alive for a session that is parked, or was until now.
func (l *loop) seenAlive(c *netpoll.Conn, s *session, e *extra) {
	s.seen = l.net.Tick()
	if e.pinged {
		e.pinged = false
		c.SetDeadline(l.node.cfg.PingInterval)
	}
}

func (l *loop) noPong(c *netpoll.Conn, s *session) {
	l.end(c, s, reasonNoPong, wire.NoPong, "no answer to a ping")
}

// keepaliveParked is keepalive for a parked session. One that has kept as much as it may
// is not read, so silence says nothing; what it waits for has a bound of its own.
func (l *loop) keepaliveParked(c *netpoll.Conn, s *session) {
	e := l.more(s)
	switch {
	case c.Paused():
		e.pinged = false
		c.SetDeadline(max(l.node.cfg.PingInterval, time.Second))
	case e.pinged:
		l.noPong(c, s)
	default:
		l.keepalive(c, s)
	}
}

// keepalive pings a connection that may have been silent for the whole interval when
// it is looked at next.
//
// It looks at a pace of its own, half the interval, rather than when the interval
// since the last bytes is over: what peers send together, such as the joins after
// they have all connected, would make them all be pinged together.
func (l *loop) keepalive(c *netpoll.Conn, s *session) {
	silent := time.Duration(l.net.Tick()-s.seen) * l.node.tick
	switch {
	case l.node.cfg.PingInterval <= 0:
		l.lookIn(c, s, 0)
	case silent < l.node.cfg.PingInterval/2:
		l.lookIn(c, s, l.node.cfg.PingInterval/2)
	case l.sendUrgent(c, s, pingFrame):
		if s.state == parked {
			l.more(s).pinged = true
		} else {
			s.state = pinged
		}
		c.SetDeadline(l.node.cfg.PongTimeout)
	}
}

// A message has to be complete messageTimeout after its first byte, and a second later
// for each messageRate of -max-message-size: half a message is memory that a stranger
// holds. What is complete in one piece of input costs nothing.
const (
	messageTimeout = 30 * time.Second
	messageRate    = 64 << 10
)

// startMessage notes that a message was begun and not finished.
func (l *loop) startMessage(c *netpoll.Conn, s *session) {
	l.more(s).begun = l.net.Tick()
	l.lookIn(c, s, l.node.cfg.PingInterval/2)
}

// messageLeft returns how long the message may take that was begun, if one was.
func (l *loop) messageLeft(s *session) (left time.Duration, half bool) {
	e := l.more(s)
	if e == nil || e.reader.Idle() {
		return 0, false
	}
	bound := messageTimeout + time.Duration(l.node.cfg.MaxMessageSize/messageRate)*time.Second
	return bound - time.Duration(l.net.Tick()-e.begun)*l.node.tick, true
}

// lookIn makes an open session be looked at when d has passed, and when a message has
// to be complete. A d of 0 is for ever.
func (l *loop) lookIn(c *netpoll.Conn, s *session, d time.Duration) {
	if left, half := l.messageLeft(s); half && (d <= 0 || left < d) {
		d = left
	}
	if d > 0 {
		c.SetDeadline(d)
	}
}
