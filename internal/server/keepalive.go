package server

import (
	"math/rand/v2"
	"time"

	"github.com/gobwas/ws"

	"wsify/internal/wire"
	"wsify/netpoll"
)

// pingFrame is an empty ping; RFC 6455, section 5.5.2.
var pingFrame = wire.AppendFrame(nil, ws.OpPing, nil)

// startKeepalive sets the first ping somewhere within the interval, so that those
// who connected together are not pinged together.
func (l *loop) startKeepalive(c *netpoll.Conn, s *session) {
	s.seen = l.net.Tick()
	if interval := l.srv.cfg.PingInterval; interval > 0 {
		c.SetDeadline(time.Duration(1 + rand.Int64N(int64(interval))))
	} else {
		c.ClearDeadline()
	}
}

// Expired acts on a deadline that has passed. It implements netpoll.Handler.
func (l *loop) Expired(c *netpoll.Conn) {
	switch s := l.session(c); s.state {
	case handshaking:
		l.refuseFor(c, s, reasonHandshakeTimeout, rejectTimeout, 408, "", "The request head was not finished in time.\n")
	case connecting:
		l.refuseFor(c, s, reasonHandshakeTimeout, rejectTimeout, 503, retryAfter(), "The authorizer has not answered in time.\n")
	case parked:
		// Nothing is read, so silence says nothing. What the session waits for
		// has a bound of its own.
		c.SetDeadline(max(l.srv.cfg.PingInterval, time.Second))
	case open:
		l.keepalive(c, s)
	case pinged:
		l.end(c, s, reasonNoPong, wire.NoPong, "no answer to a ping")
	case ending:
	}
}

// alive notes that bytes have come. Those that come after a ping start the next
// interval.
func (l *loop) alive(c *netpoll.Conn, s *session) {
	s.seen = l.net.Tick()
	if s.state == pinged {
		s.state = open
		c.SetDeadline(l.srv.cfg.PingInterval)
	}
}

// keepalive pings a connection that may have been silent for the whole interval when
// it is looked at next.
//
// It looks at a pace of its own, half the interval, rather than when the interval
// since the last bytes is over: what peers send together, such as the joins after
// they have all connected, would make them all be pinged together.
func (l *loop) keepalive(c *netpoll.Conn, s *session) {
	silent := time.Duration(l.net.Tick()-s.seen) * l.srv.tick
	switch {
	case silent < l.srv.cfg.PingInterval/2:
		c.SetDeadline(l.srv.cfg.PingInterval / 2)
	case !c.SendUrgent(pingFrame):
		if c.Open() {
			l.slowConsumer(c, s)
		}
	default:
		s.state = pinged
		c.SetDeadline(l.srv.cfg.PongTimeout)
	}
}
