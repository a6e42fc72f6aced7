package session

import (
	"bytes"

	"wsify/auth"
	"wsify/hub"
	"wsify/internal/publish"
	"wsify/internal/sse"
	"wsify/internal/wire"
	"wsify/netpoll"
)

const (
	pathWS = "/ws"

	howToConnect = "This is a WebSocket endpoint. Connect with a WebSocket client, for example:\n" +
		"  new WebSocket(\"ws://host/ws\")   or   wscat -c ws://host/ws\n" +
		"Without WebSockets, read a stream of events:\n" +
		"  new EventSource(\"http://host/sse?channel=news\")   or   curl -N \"http://host/sse?channel=news\"\n"

	originRefused  = "This origin is not allowed.\n"
	authorizerDown = "The authorizer is down.\n"
)

// readHead collects the request head and acts on it when it is complete. A head
// that arrives in one piece is never copied.
//
// It returns the bytes of the next request.
func (l *loop) readHead(c *netpoll.Conn, s *session, p []byte) (rest []byte) {
	searched := 0
	if e := l.more(s); e != nil {
		e.input = append(e.input, p...)
		p, searched = e.input, e.searched
	}
	l.bodiless = bytes.HasPrefix(bytes.TrimPrefix(p, []byte("\r\n")), []byte("HEAD "))
	defer func() { l.bodiless = false }()
	end, most := wire.HeadEnd(p, searched), l.node.now().maxHeadSize
	switch {
	case end > most, end == 0 && len(p) > most:
		l.refuseLarge(c, s, p)
	case end > 0:
		l.forget(s) // p still holds the bytes
		return l.request(c, s, p[:end], p[end:])
	default:
		l.keepHead(c, s, p, searched)
	}
	return nil
}

// refuseLarge refuses a head that is too large. An error in its first line has precedence,
// so that the answer does not depend on how the head was split.
func (l *loop) refuseLarge(c *netpoll.Conn, s *session, p []byte) {
	if err := wire.JudgeStart(p, 0); err != nil {
		l.refuseError(c, s, err)
		return
	}
	l.refuse(c, s, rejectLargeHead, 431, "", "The request head is larger than -max-head-size.\n")
}

// keepHead keeps an incomplete head, unless it is already invalid. The first searched
// bytes have been checked before.
func (l *loop) keepHead(c *netpoll.Conn, s *session, p []byte, searched int) {
	if err := wire.JudgeStart(p, searched); err != nil {
		l.refuseError(c, s, err)
		return
	}
	e := l.extend(s)
	if e.input == nil {
		e.input = append([]byte(nil), p...)
	}
	e.searched = len(p)
	if s.state == kept {
		s.state = handshaking
		c.SetDeadline(l.node.now().handshakeTimeout)
	}
}

// request acts on a complete head. rest is the input after it. It returns the bytes
// of the next request. Paths are compared without decoding.
func (l *loop) request(c *netpoll.Conn, s *session, head, rest []byte) []byte {
	r, err := wire.ParseRequest(head)
	if err == nil && (l.node.proxies.any || l.access != nil) {
		from := l.judgePeer(c, &r)
		l.access.visit(c).asked(&r, addrText(from))
	}
	switch {
	case err != nil:
		l.refuseError(c, s, err)
	case string(r.Path) == pathWS:
		l.atWS(c, s, &r, head, rest)
	case string(r.Path) == publish.Path:
		return l.atBroadcast(c, s, &r, rest)
	case string(r.Path) == sse.Path:
		l.atSSE(c, s, &r)
	default:
		l.refuse(c, s, rejectNotFound, 404, "", "not found: this server has /ws, /sse and POST /broadcast\n")
	}
	return nil
}

// atWS acts on the head of a request for /ws. rest is the input after it.
func (l *loop) atWS(c *netpoll.Conn, s *session, r *wire.Request, head, rest []byte) {
	if !r.IsUpgrade() {
		l.refuse(c, s, rejectNoUpgrade, 426, "Connection: Upgrade\r\nUpgrade: websocket\r\n", howToConnect)
		return
	}
	reply, err := wire.AppendUpgrade(l.scratch(), r, head)
	if err == nil && r.Offers(envelope) {
		reply = wire.AppendProtocol(reply, envelope)
		s.subs.Class = hub.Envelope
	}
	if err == nil && l.node.deflater != nil {
		reply = l.agreeToDeflate(s, r, reply)
	}
	switch {
	case err != nil:
		l.refuseError(c, s, err)
	case !l.node.now().origins.allow(r.Origin, r.Host):
		l.refuse(c, s, rejectOrigin, 403, "", originRefused)
	case l.node.draining.Load():
		l.refuse(c, s, rejectShutdown, 503, publish.RetryAfter(), goingAway)
	case !l.admit(c, s): // it has answered
	case l.node.asks(eventConnect):
		l.askConnect(c, s, r, reply, rest)
	default:
		l.upgrade(c, s, r, nil, reply, rest)
	}
}

func (l *loop) refuseError(c *netpoll.Conn, s *session, err error) {
	if e, ok := err.(*wire.HandshakeError); ok {
		l.refuse(c, s, rejectMalformed, e.Status, e.ExtraHeaders(), e.Detail+"\n")
		return
	}
	l.refuse(c, s, rejectMalformed, 400, "", "bad request\n")
}

// upgrade answers 101 and opens the session, with what the authorizer's answer says. rest may
// hold frames that arrived with the head. It handles them too.
func (l *loop) upgrade(c *netpoll.Conn, s *session, r *wire.Request, a *auth.Answer, reply, rest []byte) {
	if a != nil {
		l.endAfter(c, a.Expires)
	}
	if a != nil && !(l.admitAs(c, s, a) && l.joinFirst(c, s, a.Join)) || !l.sendUpgrade(c, a, reply) {
		return
	}
	if l.node.asksLater() && r != nil && len(r.RawQuery) > 0 {
		l.extend(s).query = string(r.RawQuery)
	}
	l.opened(c, s)
	if a != nil {
		l.confirmJoins(c, s, a)
	}
	l.Data(c, rest)
}

// opened makes the session ready for frames.
func (l *loop) opened(c *netpoll.Conn, s *session) {
	s.state = open
	l.fillBucket(c)
	l.counts.upgraded.Add(1)
	l.access.visit(c).open(101)
	l.logOpened(c)
	l.startKeepalive(c, s)
}
