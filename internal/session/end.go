package session

import (
	"strings"
	"time"

	"wsify/internal/wire"
	"wsify/netpoll"
)

// closeTimeout bounds the closing handshake: how long a peer may take to read our
// Close frame and end its side.
const closeTimeout = 3 * time.Second

// end closes a session with a Close frame, or what its class has instead, after the
// answers before it. The memberships end at once.
func (l *loop) end(c *netpoll.Conn, s *session, reason netpoll.Reason, code wire.CloseCode, text string) {
	if s.state == ending {
		return
	}
	l.flushCork(c)
	l.access.closing(c, s, code)
	l.hub.LeaveAll(c.Slot(), &s.subs)
	l.drop(s)
	s.state = ending
	last := s.voice().farewell(l.scratch(), code, text)
	if !c.SendUrgent(last) {
		c.DropQueued() // a slow consumer's queue: only the last frame matters now
		c.SendUrgent(last)
	}
	linger := closeTimeout
	if code == wire.SlowConsumer { // a slow consumer needs longer to read
		linger = max(linger, l.node.cfg.PongTimeout)
	}
	c.Linger(reason, linger)
}

// refuse ends a connection whose handshake failed with an HTTP response.
func (l *loop) refuse(c *netpoll.Conn, s *session, why rejection, status int, headers, body string) {
	l.refuseFor(c, s, reasonRefused, why, status, headers, body)
}

func (l *loop) refuseFor(c *netpoll.Conn, s *session, reason netpoll.Reason, why rejection, status int, headers, body string) {
	l.counts.rejected[why].Add(1)
	l.dismiss(c, s, reason, status, headers, body)
	if l.node.debugging() {
		l.node.log.Debug("handshake refused", "conn", l.node.connID(c.ID()), "addr", l.logAddr(c), "status", status,
			"reason", rejectionNames[why], "detail", strings.TrimSpace(body))
	}
}

// dismiss answers a request with a refusal and ends the connection.
func (l *loop) dismiss(c *netpoll.Conn, s *session, reason netpoll.Reason, status int, headers, body string) {
	if e := l.more(s); e != nil && e.stream != nil {
		headers = e.stream.cors + headers
	}
	l.drop(s)
	s.state = ending
	l.access.visit(c).answered(status)
	answer := wire.AppendResponse(l.scratch(), status, string(l.date())+headers, body)
	if l.bodiless { // RFC 9110, section 9.3.2
		answer = answer[:len(answer)-len(body)]
	}
	c.SendUrgent(answer)
	c.Linger(reason, closeTimeout)
}

// scratch returns an empty slice for building a small answer. It is borrowed until
// the next call.
func (l *loop) scratch() []byte {
	if l.small == nil {
		l.small = make([]byte, 0, 1<<10)
	}
	return l.small[:0]
}
