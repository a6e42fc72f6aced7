package session

import (
	"time"

	"wsify/internal/wire"
	"wsify/netpoll"
)

// expiry is the loop tick at which the authorizer's X-Wsify-Expires ends a session; 0 means never.
type expiry uint32

// maxLifeTicks bounds a session's time: half of what a loop's ticks can tell apart, 8 years usually.
const maxLifeTicks = 1 << 30

// endAfter gives a session that is about to be opened a time to live from now on, at least a tick. A d of
// 0 means no bound.
func (l *loop) endAfter(c *netpoll.Conn, d time.Duration) {
	if d <= 0 {
		return
	}
	ticks := max(1, min(d/l.node.tick, maxLifeTicks))
	l.expiries.Grow(c.Slot())
	*l.expiries.At(c.Slot()) = expiry(max(l.net.Tick()+uint32(ticks), 1))
}

// forgetTime makes the slot ready for the next connection.
func (l *loop) forgetTime(c *netpoll.Conn) {
	if l.expiries.Has(c.Slot()) {
		*l.expiries.At(c.Slot()) = 0
	}
}

// timeLeft returns how long the session may live. bound is false if it has no such time.
func (l *loop) timeLeft(c *netpoll.Conn) (left time.Duration, bound bool) {
	if !l.expiries.Has(c.Slot()) {
		return 0, false
	}
	at := *l.expiries.At(c.Slot())
	return time.Duration(int32(uint32(at)-l.net.Tick())) * l.node.tick, at != 0
}

// expireSession ends a session whose time is over, and reports whether it was.
func (l *loop) expireSession(c *netpoll.Conn, s *session) bool {
	if left, bound := l.timeLeft(c); !bound || left > 0 {
		return false
	}
	if s.isClient() {
		l.end(c, s, reasonExpired, wire.SessionExpired, "the session has expired, get a new token and reconnect")
		return true
	}
	return false
}

// checkIn makes the loop call Expired after d, or when the session's time is over, if that is
// earlier. A d of 0 means never.
func (l *loop) checkIn(c *netpoll.Conn, d time.Duration) {
	if left, bound := l.timeLeft(c); bound && (d <= 0 || left < d) {
		d = max(left, 1)
	}
	if d > 0 {
		c.SetDeadline(d)
	}
}
