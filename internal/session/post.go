package session

import (
	"time"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/publish"
	"wsify/internal/wire"
	"wsify/netpoll"
)

const goOn = "HTTP/1.1 100 Continue\r\n\r\n"

// publishTimeout is how long an asynchronous broker may take to answer a backend.
const publishTimeout = 5 * time.Second

// pendingPost is a POST that was accepted and not answered yet: its body is incomplete, or the
// broker has it.
type pendingPost struct {
	publish.Manner
	publish.Body
	many *posting // nil for a plain publication, and while its body is incomplete
}

// atBroadcast acts on the head of a request for /broadcast. If the head suffices for the
// answer, it sends the answer without the body. rest is the input after the head. It
// returns the bytes of the next request.
func (l *loop) atBroadcast(c *netpoll.Conn, s *session, r *wire.Request, rest []byte) []byte {
	if string(r.Method) == "OPTIONS" {
		m := publish.MannerOf(r)
		m.Persistent = m.Persistent && r.Length() == 0
		l.respond(c, s, m, 204, publish.Preflight, "")
		if s.state == kept { // the browser sends its POST next
			c.SetDeadline(l.node.now().handshakeTimeout)
		}
		return rest
	}
	if no := l.node.now().rules.Judge(r, l.node.stopped()); no.Status != 0 {
		l.turnDown(c, s, no)
		return nil
	}
	p := pendingPost{Manner: publish.MannerOf(r)}
	p.Body = publish.Body{Length: r.Length(), Lines: p.Manner.Lines}
	if n := p.Length; n >= 0 && int64(len(rest)) >= n {
		if no := p.Fits(rest[:n], &l.node.now().rules); no.Status != 0 {
			l.turnDown(c, s, no)
			return nil
		}
		l.publish(c, s, p.Manner, rest[:n])
		return rest[n:]
	}
	l.begin(s, receiving, p)
	c.SetDeadline(l.node.now().handshakeTimeout)
	if r.Continue() && len(rest) == 0 {
		c.SendUrgent([]byte(goOn))
	}
	return rest
}

// readBody collects the body of the publication in progress. A body that arrives in one
// piece with its head never gets here.
func (l *loop) readBody(c *netpoll.Conn, s *session, in []byte) (rest []byte) {
	p := l.more(s).post
	rest, whole, no := p.Read(in, &l.node.now().rules)
	switch {
	case no.Status != 0:
		l.turnDown(c, s, no)
	case whole:
		l.done(s)
		l.publish(c, s, p.Manner, p.Bytes)
		return rest
	}
	return nil
}

// publish gives a publication to the broker. It answers now or, for an asynchronous
// broker, when the broker has answered. body is borrowed.
func (l *loop) publish(c *netpoll.Conn, s *session, m publish.Manner, body []byte) {
	if !m.Plain() || publish.IsArray(body) {
		l.publishAll(c, s, m, body)
		return
	}
	p, bad := l.node.now().rules.Parse(body)
	if bad != nil {
		l.unpublished(publish.Malformed, c, bad.Message)
		l.respond(c, s, m, 400, "", bad.Message+"\n")
		return
	}
	if p.Whom != nil {
		l.publishAll(c, s, m, body)
		return
	}
	if l.node.hub.Busy(p.Channel, wire.FrameSize(len(p.Content))) {
		l.outcome(c, s, m, hub.ErrBusy)
		return
	}
	if r := &l.node.now().publications; r.rate > 0 && !l.node.publications.allow(r, p.Channel) {
		l.refusePost(c, s, m, tooOften)
		return
	}
	var done func(broker.Receipt, error)
	if l.node.broker.Asynchronous() {
		id := c.ID()
		done = func(_ broker.Receipt, err error) {
			l.net.PostTo(id, func(c *netpoll.Conn) { l.brokerAnswered(c, err) })
		}
	}
	pending, _, err := l.node.broker.Publish(nil, p.Channel, p.Content, done)
	if !pending {
		l.outcome(c, s, m, err)
		return
	}
	l.begin(s, publishing, pendingPost{Manner: m})
	c.Pause()
	c.SetDeadline(publishTimeout)
}

// brokerAnswered answers a backend, and handles the input after its request.
func (l *loop) brokerAnswered(c *netpoll.Conn, err error) {
	s := l.session(c)
	if !c.Open() || s.state != publishing {
		return
	}
	e := l.more(s)
	m, input := e.post.Manner, e.input
	l.done(s)
	l.outcome(c, s, m, err)
	l.readOn(c, s, input)
}

// readOn handles the input after a request that was answered late.
func (l *loop) readOn(c *netpoll.Conn, s *session, input []byte) {
	if c.Open() {
		c.Resume()
		l.readRequests(c, s, input)
	}
}

// outcome answers and counts a publication. err is the broker's error, or nil.
func (l *loop) outcome(c *netpoll.Conn, s *session, m publish.Manner, err error) {
	if err != nil {
		l.refusePost(c, s, m, unsentFor(err))
		return
	}
	l.counts.publishedHTTP.Add(1)
	l.respond(c, s, m, 201, "", "")
}

// refusePost answers and counts what is not published.
func (l *loop) refusePost(c *netpoll.Conn, s *session, m publish.Manner, no *unsent) {
	l.counts.dropped[no.why].Add(1)
	l.logUnpublished(c, dropNames[no.why], no.Message)
	l.respond(c, s, m, no.status, no.retryAfter(), no.Message+"\n")
}
