package session

import (
	"net/http"
	"time"

	"wsify/internal/publish"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// keepIdle is how long a connection may wait for its next request. It is longer than the
// usual 60 seconds of proxies.
const keepIdle = 75 * time.Second

// readRequests handles requests in order, until p is used up, the connection becomes a
// session or waits for the broker, or it ends.
func (l *loop) readRequests(c *netpoll.Conn, s *session, p []byte) {
	for len(p) > 0 && c.Open() {
		switch s.state {
		case introducing:
			p = l.readProxy(c, s, p)
		case handshaking, kept:
			p = l.readHead(c, s, p)
		case receiving:
			p = l.readBody(c, s, p)
		case publishing: // reading is paused; brokerAnswered goes on with this
			e := l.more(s)
			e.input = append(e.input, p...)
			return
		default:
			return
		}
	}
}

// begin records a publication that cannot be answered yet.
func (l *loop) begin(s *session, in state, p pendingPost) {
	l.extend(s).post = &p
	s.state = in
	l.underWay.Add(1)
}

// done forgets the publication that is about to be answered.
func (l *loop) done(s *session) {
	l.underWay.Add(-1)
	l.forget(s)
}

// respond answers a request, with a body of plain text.
func (l *loop) respond(c *netpoll.Conn, s *session, m publish.Manner, status int, headers, body string) {
	l.respondAs(c, s, m, status, wire.PlainText, headers, body)
}

// respondAs answers a request whose body, if it has one, was read. kind is the media type of the
// answer's. It keeps the connection for the next request if the client wants that.
func (l *loop) respondAs(c *netpoll.Conn, s *session, m publish.Manner, status int, kind, headers, body string) {
	l.access.visit(c).answered(status)
	keep := m.Persistent && !l.node.stopped()
	p := append(wire.AppendResponseHead(l.scratch(), status, kind, len(body)), publish.AllowCORS...)
	p = append(p, l.date()...)
	switch {
	case !keep:
		p = append(p, "Connection: close\r\n"...)
	case m.Old:
		p = append(p, "Connection: keep-alive\r\n"...)
	}
	p = append(append(append(p, headers...), "\r\n"...), body...)
	unread := c.Queued() // an answer alone may have any size: a batch has a long one
	switch {
	case !c.SendUrgent(p): // the client sends requests and reads no answers
		c.Close(reasonSlowConsumer)
	case unread > 0 && c.Queued() > maxUnread:
		l.endQuietly(c, s, reasonSlowConsumer)
	case keep:
		s.state = kept
		c.SetDeadline(keepIdle)
	default:
		l.endQuietly(c, s, reasonHTTP)
	}
}

// maxUnread is how many bytes of memory the unread answers of a client may take. A client
// may send many requests at once, and the kernel keeps some hundred answers. Beyond the
// bound the connection is closed: without a session, it is not worth more memory.
const maxUnread = 16 << 10

// turnDown refuses a publication and ends the connection without reading the body.
func (l *loop) turnDown(c *netpoll.Conn, s *session, no publish.Refusal) {
	l.unpublished(no.Reason, c, no.Detail)
	l.dismiss(c, s, reasonHTTP, no.Status, publish.AllowCORS+no.Headers, no.Detail+"\n")
}

// unpublished counts a publication that was refused before the broker saw it.
func (l *loop) unpublished(why publish.Reason, c *netpoll.Conn, detail string) {
	l.counts.unpublished[why].Add(1)
	l.logUnpublished(c, publish.Reasons[why], detail)
}

// endQuietly ends a connection that needs no answer.
func (l *loop) endQuietly(c *netpoll.Conn, s *session, reason netpoll.Reason) {
	l.drop(s)
	s.state = ending
	c.Linger(reason, closeTimeout)
}

// date returns the Date header of an answer; RFC 9110, section 6.6.1. It is made once a
// second. The slice is borrowed until the next call.
func (l *loop) date() []byte {
	if now := time.Now(); now.Unix() != l.dated {
		l.dated = now.Unix()
		l.dateLine = append(now.UTC().AppendFormat(append(l.dateLine[:0], "Date: "...), http.TimeFormat), "\r\n"...)
	}
	return l.dateLine
}
