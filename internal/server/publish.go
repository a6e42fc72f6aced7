package server

import (
	"bytes"
	"errors"
	"mime"
	"time"
	"unicode/utf8"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/command"
	"wsify/internal/wire"
	"wsify/netpoll"
)

const (
	pathBroadcast  = "/broadcast"
	allowedMethods = "POST, OPTIONS"

	allowCORS = "Access-Control-Allow-Origin: *\r\n"
	preflight = "Access-Control-Allow-Methods: " + allowedMethods + "\r\n" +
		"Access-Control-Allow-Headers: Content-Type, Authorization\r\nAccess-Control-Max-Age: 86400\r\n"
	goOn = "HTTP/1.1 100 Continue\r\n\r\n"
)

// publishTimeout is how long an asynchronous broker may take to answer a backend.
const publishTimeout = 5 * time.Second

// manner is how a request wants to be answered.
type manner struct {
	persistent bool // the client keeps the connection
	old        bool // it speaks HTTP/1.0
}

// publication is a POST that was admitted and is not answered yet: its body has not
// come, or the broker has it.
type publication struct {
	manner
	length int64 // of the body; -1 in chunks
	chunks wire.Chunks
	body   []byte // what has come of it
}

// atBroadcast acts on the head of a request for /broadcast. What can be told from the
// head is answered here, without the body; rest is what came behind the head. It
// returns what belongs to the next request.
func (l *loop) atBroadcast(c *netpoll.Conn, s *session, r *wire.Request, rest []byte) []byte {
	if string(r.Method) == "OPTIONS" {
		l.respond(c, s, manner{r.Persistent() && r.Length() == 0, r.Minor == 0}, 204, preflight, "")
		if s.state == kept { // a page's next request is on its way
			c.SetDeadline(l.srv.cfg.HandshakeTimeout)
		}
		return rest
	}
	if no := l.judgePost(r); no.status != 0 {
		l.turnDown(c, s, no)
		return nil
	}
	p := publication{manner: manner{r.Persistent(), r.Minor == 0}, length: r.Length()}
	if n := p.length; n >= 0 && int64(len(rest)) >= n {
		l.publish(c, s, p.manner, rest[:n])
		return rest[n:]
	}
	l.begin(s, receiving, p)
	c.SetDeadline(l.srv.cfg.HandshakeTimeout)
	if r.Continue() && len(rest) == 0 {
		c.SendUrgent([]byte(goOn))
	}
	return rest
}

// judgePost refuses what needs no body to be refused.
func (l *loop) judgePost(r *wire.Request) refusal {
	kinds, json, plain := 0, true, true
	for name, value := range r.Headers {
		switch {
		case bytes.EqualFold(name, []byte("Content-Type")):
			kinds++
			json = json && areJSON(value)
		case bytes.EqualFold(name, []byte("Content-Encoding")):
			plain = plain && (len(value) == 0 || bytes.EqualFold(value, []byte("identity")))
		}
	}
	switch {
	case string(r.Method) != "POST":
		return refusal{unpublishedMethod, 405, "Allow: " + allowedMethods + "\r\n", "publish with POST"}
	case !l.srv.keys.admit(r.RawQuery, r.Header("Authorization")):
		return refusal{unpublishedKey, 403, "", "wrong or missing key: POST /broadcast?key=KEY, or Authorization: Bearer KEY"}
	case kinds == 0 || !json:
		return refusal{unpublishedType, 415, "", "Content-Type must be application/json"}
	case !plain:
		return refusal{unpublishedType, 415, "Accept-Encoding: identity\r\n", "Content-Encoding is not supported"}
	case r.Length() > int64(l.srv.cfg.MaxMessageSize):
		return tooLarge
	case l.srv.draining.Load():
		return refusal{unpublishedShutdown, 503, retryAfter(), "this node is shutting down"}
	}
	return refusal{}
}

// areJSON reports whether a Content-Type is JSON: one, or several that were joined on the
// way (RFC 9110, section 8.3), of which each reader may take another, so each has to be.
func areJSON(kinds []byte) bool {
	if isJSON(kinds) {
		return true
	}
	for kind := range bytes.SplitSeq(kinds, []byte(",")) {
		if !isJSON(bytes.Trim(kind, " \t")) {
			return false
		}
	}
	return true
}

func isJSON(kind []byte) bool {
	const want = "application/json"
	if bytes.EqualFold(kind, []byte(want)) {
		return true
	}
	media, _, err := mime.ParseMediaType(string(kind))
	return err == nil && media == want
}

var tooLarge = refusal{unpublishedSize, 413, "", "the body is larger than -max-message-size"}

// readBody collects the body of the publication that is under way. A body that comes in
// one piece with its head never gets here.
func (l *loop) readBody(c *netpoll.Conn, s *session, in []byte) (rest []byte) {
	p := l.more(s).post
	rest, whole, no := p.read(in, l.srv.cfg.MaxMessageSize, l.srv.cfg.MaxHeadSize)
	switch {
	case no.status != 0:
		l.turnDown(c, s, no)
	case whole:
		l.done(s)
		l.publish(c, s, p.manner, p.body)
		return rest
	}
	return nil
}

// read takes what belongs to the body and returns the rest.
func (p *publication) read(in []byte, most, maxExtra int) (rest []byte, whole bool, no refusal) {
	if p.length >= 0 {
		n := min(int64(len(in)), p.length-int64(len(p.body)))
		p.body = append(p.body, in[:n]...)
		return in[n:], int64(len(p.body)) == p.length, refusal{}
	}
	for {
		data, n, done, err := p.chunks.Next(in, maxExtra)
		in = in[n:]
		var bad *wire.HandshakeError
		switch {
		case errors.As(err, &bad):
			return nil, false, refusal{unpublishedMalformed, bad.Status, "", bad.Detail}
		case len(p.body)+len(data) > most:
			return nil, false, tooLarge
		case len(data) == 0:
			return in, done, refusal{}
		}
		p.body = append(p.body, data...)
	}
}

// publish hands a publication to the broker, and answers when its outcome is known.
// body is borrowed.
func (l *loop) publish(c *netpoll.Conn, s *session, m manner, body []byte) {
	p, bad := parsePublication(body, l.srv.cfg.MaxChannelLength)
	if bad != nil {
		l.unpublished(unpublishedMalformed, c, bad.Message)
		l.respond(c, s, m, 400, "", bad.Message+"\n")
		return
	}
	if l.srv.hub.Busy(p.Channel, wire.FrameSize(len(p.Content))) {
		l.outcome(c, s, m, hub.ErrBusy)
		return
	}
	if !l.srv.broker.Asynchronous() {
		_, err := l.srv.broker.Publish(nil, p.Channel, p.Content, nil)
		l.outcome(c, s, m, err)
		return
	}
	id, net := c.ID(), l.net
	pending, err := l.srv.broker.Publish(nil, p.Channel, p.Content, func(err error) {
		net.PostTo(id, func(c *netpoll.Conn) { l.brokerAnswered(c, err) })
	})
	if !pending {
		l.outcome(c, s, m, err)
		return
	}
	l.begin(s, publishing, publication{manner: m})
	c.Pause()
	c.SetDeadline(publishTimeout)
}

var errNotUTF8 = &command.Error{Code: command.BadRequest, Message: "not valid UTF-8"}

func parsePublication(body []byte, maxChannel int) (command.Publication, *command.Error) {
	if !utf8.Valid(body) { // no text message may hold it; RFC 6455, section 8.1
		return command.Publication{}, errNotUTF8
	}
	p, bad := command.ParsePublication(body)
	if bad == nil && len(p.Channel) > maxChannel {
		bad = errChannelLength
	}
	return p, bad
}

// brokerAnswered answers a backend, and goes on with what came behind its request.
func (l *loop) brokerAnswered(c *netpoll.Conn, err error) {
	s := l.session(c)
	if !c.Open() || s.state != publishing {
		return
	}
	e := l.more(s)
	m, input := e.post.manner, e.input
	l.done(s)
	l.outcome(c, s, m, err)
	if c.Open() {
		c.Resume()
		l.readRequests(c, s, input)
	}
}

// outcome answers and counts a publication that the broker took, or did not.
func (l *loop) outcome(c *netpoll.Conn, s *session, m manner, err error) {
	switch {
	case err == nil:
		l.counts.publishedHTTP.Add(1)
		l.respond(c, s, m, 201, "", "")
	case errors.Is(err, hub.ErrBusy):
		l.lost(c, s, m, dropBusy, "1", "not published: "+err.Error())
	case errors.Is(err, broker.ErrFull):
		l.lost(c, s, m, dropFull, "1", "not published: "+err.Error())
	case errors.Is(err, broker.ErrUnknown):
		l.lost(c, s, m, dropBroker, "5", broker.ErrUnknown.Error())
	case errors.Is(err, broker.ErrDown): // the cause may name machines, and is in the log
		l.lost(c, s, m, dropBroker, "5", "not published: "+broker.ErrDown.Error())
	case errors.Is(err, broker.ErrTooBig): // however often it is tried
		l.counts.dropped[dropBroker].Add(1)
		l.respond(c, s, m, 413, "", "not published: "+broker.ErrTooBig.Error()+"\n")
	default:
		l.lost(c, s, m, dropBroker, "5", "not published: "+err.Error())
	}
}

func (l *loop) lost(c *netpoll.Conn, s *session, m manner, why dropReason, retry, detail string) {
	l.counts.dropped[why].Add(1)
	l.logUnpublished(c, dropNames[why], detail)
	l.respond(c, s, m, 503, "Retry-After: "+retry+"\r\n", detail+"\n")
}
