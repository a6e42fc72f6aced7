package session

import (
	"math/rand/v2"
	"slices"
	"time"

	"wsify/auth"
	"wsify/internal/command"
	"wsify/internal/publish"
	"wsify/internal/sse"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// opening is a stream of server-sent events that is not open yet: questions about it are
// asked, or its channels are not joined or confirmed.
type opening struct {
	cors    string // header lines of every answer
	request sse.Request
	allowed int          // so many of the channels need no question any more
	answer  *auth.Answer // to the question about the connection; nil for nothing
	revoked []string     // channels that an operator took meanwhile

	// Of an open stream only this is kept, and only if it has the class Streams.
	reached           []reached // in the channels that keep history
	joined, recovered int       // channels, and those of them that keep history
	lost              bool      // something is missing
}

// size is how many bytes o keeps.
func (o *opening) size() int {
	n := len(o.cors) + len(o.request.After)
	for _, name := range o.request.Channels {
		n += len(name)
	}
	for i := range o.reached {
		n += len(o.reached[i].data) + len(o.reached[i].position)
	}
	return n
}

// atSSE acts on the head of a request for a stream. The answer goes on to the end of the
// connection, so whatever the client sends after its head is ignored.
func (l *loop) atSSE(c *netpoll.Conn, s *session, r *wire.Request) {
	now := l.node.now()
	if !now.origins.allow(r.Origin, r.Host) {
		l.refuse(c, s, rejectOrigin, 403, "", originRefused)
		return
	}
	e, o := l.extend(s), &opening{cors: sse.CORS(r.Origin)}
	e.stream = o
	if string(r.Method) == "OPTIONS" {
		l.dismiss(c, s, reasonHTTP, 204, sse.Preflight, "")
		return
	}
	rules := l.streamRules()
	var no sse.Refusal
	o.request, no = rules.Parse(r)
	switch {
	case no.Status != 0:
		l.refuse(c, s, rejectMalformed, no.Status, no.Headers, no.Detail+"\n")
	case l.node.draining.Load():
		l.refuse(c, s, rejectShutdown, 503, publish.RetryAfter(), goingAway)
	case !l.admit(c, s): // it has answered
	case l.node.asks(eventConnect):
		l.askConnect(c, s, r, nil, nil)
	default:
		e.query = string(r.RawQuery)
		l.askOrOpen(c, s)
	}
}

// streamRules are the rules for the query of a stream.
func (l *loop) streamRules() sse.Rules {
	return sse.Rules{MaxChannels: l.node.now().maxChannelsPerConnection, MaxChannelLength: l.node.cfg.MaxChannelLength, NeedsChannel: !l.node.asks(eventConnect)}
}

// askOrOpen asks the authorizer about the next channel of a stream, or opens the stream
// when it has allowed all: all or nothing.
func (l *loop) askOrOpen(c *netpoll.Conn, s *session) {
	o := l.more(s).stream
	if l.node.asks(eventJoin) && o.allowed < len(o.request.Channels) {
		l.askJoin(c, s, o.request.Channels[o.allowed])
		return
	}
	l.openStream(c, s, o)
}

// askJoin asks about a channel of a stream. It waits for a place in the pool like commands
// of open sessions do.
func (l *loop) askJoin(c *netpoll.Conn, s *session, channel string) {
	e := l.more(s)
	e.message = command.AppendJoin(nil, channel)
	e.asked, e.due = eventJoin, l.node.decisionDue()
	s.state = connecting
	cmd, _ := l.parser.Parse(e.message)
	if d, a, known := l.recallCommand(c, l.userAsked(s, e), &cmd); known {
		l.answeredStream(c, s, d, a)
		return
	}
	c.Pause()
	c.CloseOnEnd()
	c.SetDeadline(l.node.now().handshakeTimeout)
	l.blocked.Push(c.ID())
	if l.blocked.Len() == 1 { // no other session waits
		l.unblock()
	}
}

// answeredStream acts on the authorizer's answer about a stream.
func (l *loop) answeredStream(c *netpoll.Conn, s *session, d auth.Decision, a *auth.Answer) {
	e := l.more(s)
	o, connect := e.stream, e.asked == eventConnect
	e.question, e.message, e.gone = nil, nil, nil
	switch {
	case d == auth.Deny:
		l.refuse(c, s, rejectDenied, 403, "", refusalOf(a, connect))
	case d != auth.Allow:
		l.refuse(c, s, rejectDown, 503, publish.RetryAfter(), authorizerDown)
	case connect:
		l.connectedStream(c, s, o, a)
	default:
		o.allowed++
		l.askOrOpen(c, s)
	}
}

// connectedStream goes on with a stream whose connection the authorizer allows.
func (l *loop) connectedStream(c *netpoll.Conn, s *session, o *opening, a *auth.Answer) {
	if l.refuseKicked(c, s, a) {
		return
	}
	if o.answer = a; a != nil {
		l.endAfter(c, a.Expires) // the questions that follow are part of its time
	}
	if a != nil && a.Join != nil {
		if no := l.addJoins(o); no.Status != 0 {
			l.refuse(c, s, rejectMalformed, no.Status, no.Headers, no.Detail+"\n")
			return
		}
	}
	l.askOrOpen(c, s)
}

// openStream opens a stream: it joins the channels, and answers 200 when the broker has
// confirmed them. So a client that has the head hears all that is published from then on.
func (l *loop) openStream(c *netpoll.Conn, s *session, o *opening) {
	switch {
	case l.node.draining.Load():
		l.refuse(c, s, rejectShutdown, 503, publish.RetryAfter(), goingAway)
		return
	case o.revoked != nil:
		l.refuse(c, s, rejectKicked, 403, "", "The operator has taken one of the channels.\n")
		return
	case len(o.request.Channels) == 0 && (o.answer == nil || o.answer.User == ""):
		l.refuse(c, s, rejectMalformed, sse.NoChannel.Status, "", sse.NoChannel.Detail+"\n")
		return
	}
	c.Resume()
	if !c.Hold(sse.AppendHead(l.scratch(), o.cors, l.date(), firstRetry())) {
		c.Close(reasonSlowConsumer) // answers to requests before this one are unread
		return
	}
	s.state, s.subs.Class = streaming, l.streamClass(o)
	l.counts.upgraded.Add(1)
	l.access.visit(c).open(200)
	l.logOpened(c)
	if o.answer != nil && !l.admitAs(c, s, o.answer) {
		return
	}
	l.startHeartbeats(c, s)
	l.startCork(c)
	l.joinStream(c, s, o)
	l.uncork()
}

// confirmed are the channels that the broker has to confirm before the head goes.
func (o *opening) confirmed() []string {
	if o.answer == nil || o.answer.User == "" {
		return o.request.Channels
	}
	return append([]string{userChannel(o.answer.User)}, o.request.Channels...)
}

// confirm waits until the broker has confirmed the subscriptions to these channels, then
// lets the head go, and what was published meanwhile. When the broker is unreachable, it
// does not wait: publications come when it is back, as with every membership.
func (l *loop) confirm(c *netpoll.Conn, s *session, channels []string) {
	for ; len(channels) > 0 && l.node.broker.Asynchronous(); channels = channels[1:] {
		conn, rest := c.ID(), channels[1:]
		pending, err := l.node.broker.Await([]byte(channels[0]), func(err error) {
			if err != nil {
				rest = nil
			}
			l.net.PostTo(conn, func(c *netpoll.Conn) {
				if s := l.session(c); c.Open() && s.state == streaming {
					l.confirm(c, s, rest)
				}
			})
		})
		if pending {
			return
		}
		if err != nil {
			break
		}
	}
	l.openedStream(c, s, l.more(s).stream)
}

// refusalOf is the body of the answer when the authorizer says no about the connection or a
// channel.
func refusalOf(a *auth.Answer, connect bool) string {
	if !connect && (a == nil || a.Reason == "") {
		return "The authorizer does not allow one of the channels.\n"
	}
	return refusalFor(a)
}

// revoke makes a stream fail that is asked about and has the channel. One that joins its channels leaves
// it out.
func (o *opening) revoke(channel []byte) {
	if slices.Contains(o.request.Channels, string(channel)) {
		o.revoked = append(o.revoked, string(channel))
	}
}

// startHeartbeats schedules the first heartbeat at a random time within the interval, like
// startKeepalive.
func (l *loop) startHeartbeats(c *netpoll.Conn, s *session) {
	interval := l.node.cfg.PingInterval
	if interval <= 0 {
		c.ClearDeadline()
		l.checkIn(c, 0)
		return
	}
	first := time.Duration(1 + rand.Int64N(int64(interval)))
	s.seen = l.net.Tick() - uint32((interval-first)/l.node.tick)
	l.checkIn(c, first)
}

// heartbeat sends a comment each -ping-interval, so that proxies and clients see that the
// connection lives. s.seen is when the last one was sent.
//
// Nobody answers a comment. So -pong-timeout after it, the kernel is asked whether the
// peer's machine has acknowledged anything. It is also asked whether a client reads: one that
// recovers is sent only what it has room for, so no full queue would ever end it.
func (l *loop) heartbeat(c *netpoll.Conn, s *session) {
	interval, wait := l.node.cfg.PingInterval, l.node.cfg.PongTimeout
	left := interval - time.Duration(l.net.Tick()-s.seen)*l.node.tick
	switch {
	case interval <= 0: // the deadline was that of the session's time
		l.checkIn(c, 0)
	case c.Unanswered(wait):
		l.noPong(c, s)
	case c.Unread(max(interval, wait)):
		l.end(c, s, reasonSlowConsumer, wire.SlowConsumer, "too slow: nothing was read for too long")
	case left > 0:
		l.checkIn(c, left)
	case l.sendUrgent(c, s, voices[s.subs.Class].ping):
		s.seen = l.net.Tick()
		l.checkIn(c, min(interval, wait))
	}
}

// firstRetry is after which time a client reconnects when its node dies: not all at once.
func firstRetry() time.Duration { return time.Second + rand.N(2*time.Second) }

// retryAfter is after which time a client reconnects that was told the code; 0 is what it
// was told at the start. A browser reconnects by itself whatever the code is, and without a
// page's help it is kept away only by a long time.
func retryAfter(code wire.CloseCode) time.Duration {
	switch code {
	case wire.ServiceRestart:
		return time.Millisecond + rand.N(time.Second)
	case wire.TryAgainLater:
		return 5*time.Second + rand.N(10*time.Second)
	case wire.Kicked:
		return 24 * time.Hour
	}
	return 0
}

// userAsked is the user that questions of the session name. A stream that is not open yet
// has one that the first answer has named.
func (l *loop) userAsked(s *session, e *extra) string {
	if e.stream != nil && e.stream.answer != nil {
		return e.stream.answer.User
	}
	return l.userOf(s)
}
