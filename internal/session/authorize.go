package session

import (
	"math/bits"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"wsify/auth"
	"wsify/internal/command"
	"wsify/internal/publish"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// event is a kind of question to the authorizer.
type event uint8

const (
	eventConnect event = 1 << iota
	eventJoin
	eventLeave
	eventBroadcast
)

// numEvents is the number of events. eventList has their names in order.
const numEvents = 4

var eventList = [numEvents]string{"connect", "join", "leave", "broadcast"}

// index is the place of e in eventList.
func (e event) index() int { return bits.TrailingZeros8(uint8(e)) }

var eventNames = map[string]event{
	"connect": eventConnect, "join": eventJoin, "leave": eventLeave, "broadcast": eventBroadcast,
}

func eventOf(k command.Kind) event {
	switch k {
	case command.Join:
		return eventJoin
	case command.Leave:
		return eventLeave
	case command.Broadcast:
		return eventBroadcast
	}
	return 0
}

// asks reports whether the authorizer is asked about e.
func (n *Node) asks(e event) bool { return n.events&e != 0 }

// asksLater reports whether the authorizer is asked about any command. The session then
// keeps the query of its upgrade for these calls.
func (n *Node) asksLater() bool { return n.events&^eventConnect != 0 }

// ask parks the session and asks the authorizer about a command. It asks about one
// command at a time, and the session handles nothing after it, so commands keep
// their order (I6, I7).
func (l *loop) ask(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	l.park(c, s, msg, whyAuthorizer)
	e := l.more(s)
	e.asked, e.due, e.revoked = eventOf(cmd.Kind), l.node.decisionDue(), false
	l.blocked.Push(c.ID())
	if l.blocked.Len() == 1 { // no other session waits
		l.unblock()
	}
}

// decisionDue returns the deadline for a decision that is requested now. The timeout
// includes the wait for a worker.
func (n *Node) decisionDue() time.Time { return time.Now().Add(n.cfg.AuthorizerTimeout) }

// park keeps msg, and all input after it, until the session can go on.
func (l *loop) park(c *netpoll.Conn, s *session, msg []byte, why why) {
	e := l.extend(s)
	e.message = append([]byte(nil), msg...)
	e.why = why
	s.state = parked
}

// submit gives the session's question to the worker pool. It reports false when the
// pool is full. trace is that of an upgrade; commands have none.
func (l *loop) submit(c *netpoll.Conn, s *session, trace wire.Trace) bool {
	e := l.more(s)
	call := auth.Call{
		Body:        e.question,
		User:        l.userAsked(s, e),
		Connection:  l.node.connID(c.ID()),
		RemoteAddr:  l.remoteAddr(c),
		Query:       e.query,
		TraceParent: trace.Parent, TraceState: trace.State,
		Deadline: e.due,
	}
	id, net, gone, about, msg := c.ID(), l.net, new(atomic.Bool), e.asked, e.message
	e.gone = gone
	return l.node.workers.Submit(func() {
		if gone.Load() { // the connection ended before a worker was free
			return
		}
		if msg != nil {
			defer inquiries.Put(compose(&call, msg))
		}
		decision, answer := l.node.decide(id, &call, about, gone)
		net.PostTo(id, func(c *netpoll.Conn) { l.answered(c, decision, answer) })
	})
}

// inquiry is memory for a question about a command. Only calls in progress have one. A
// waiting session keeps just the message; the worker makes the question from it.
type inquiry struct {
	parser command.Parser
	body   []byte
}

var inquiries = sync.Pool{New: func() any { return new(inquiry) }}

// compose sets Body and Channel of call for the command in msg. It returns the memory
// that call borrows.
func compose(call *auth.Call, msg []byte) *inquiry {
	q := inquiries.Get().(*inquiry)
	if cap(q.body) > maxInquiry {
		q.body = nil
	}
	cmd, _ := q.parser.Parse(msg) // no error: the loop has parsed it before
	q.body = command.AppendAuthorizerBody(q.body[:0], &cmd)
	call.Body, call.Channel = q.body, string(cmd.Channel)
	return q
}

// maxInquiry is the capacity in bytes above which memory for an inquiry is not kept.
const maxInquiry = 64 << 10

// unblock submits the questions that wait for a place in the pool, first come, first
// served. If there is none, the sessions stay parked.
func (l *loop) unblock() {
	l.blocked.serve(func(id uint64) bool {
		c := l.net.Conn(id)
		if c == nil {
			return true
		}
		s := l.session(c)
		return s.state != parked && s.state != connecting || l.submit(c, s, wire.Trace{})
	})
}

// answered acts on the authorizer's decision about the pending upgrade or command of
// a session. a is what the answer says besides, or nil.
func (l *loop) answered(c *netpoll.Conn, d auth.Decision, a *auth.Answer) {
	if !c.Open() {
		return
	}
	switch s := l.session(c); s.state {
	case connecting:
		a = l.withoutEnded(s, a)
		if l.more(s).stream != nil {
			l.answeredStream(c, s, d, a)
		} else {
			l.answeredConnect(c, s, d, a)
		}
	case parked:
		if l.more(s).why == whyAuthorizer {
			l.answeredCommand(c, s, d, a)
		}
	}
}

func (l *loop) answeredCommand(c *netpoll.Conn, s *session, d auth.Decision, a *auth.Answer) {
	e := l.more(s)
	e.question, e.gone = nil, nil
	if d == auth.Allow && e.revoked {
		d = auth.Deny
	}
	switch d {
	case auth.Allow:
		l.resume(c, s)
	case auth.Deny:
		cmd, _ := l.parser.Parse(e.message)
		l.notDone(c, &cmd, deniedFor(a))
		e.message = nil
		l.resume(c, s)
	default:
		cmd, _ := l.parser.Parse(e.message)
		l.notDone(c, &cmd, command.ErrAuthorizerDown)
		l.end(c, s, reasonAuthorizerDown, wire.TryAgainLater, "the authorizer is down, try again later")
	}
}

// resume carries out the pending command of a parked session, if there still is one.
// Then it handles the input after that command and reads on. It stops if the session
// parks again.
func (l *loop) resume(c *netpoll.Conn, s *session) {
	e := l.more(s)
	e.why, s.state = whyNothing, open
	l.seenAlive(c, s, e)
	l.startCork(c)
	if !l.joinRest(c, s) { // no command waits before the last of them
		l.uncork()
		return
	}
	msg, input, searched := e.message, e.input, e.searched
	e.message, e.input, e.searched = nil, nil, 0
	if msg != nil {
		if cmd, bad := l.parser.Parse(msg); bad == nil {
			l.apply(c, s, &cmd, msg)
		}
	}
	l.readFrames(c, s, input, searched)
	l.uncork()
	if s.state == open && c.Open() {
		l.trim(s)
		c.Resume()
	}
	l.check(c, s)
}

// askConnect asks the authorizer about a valid upgrade. reply is the 101 to send if
// the decision is Allow. reply and rest are borrowed.
func (l *loop) askConnect(c *netpoll.Conn, s *session, r *wire.Request, reply, rest []byte) {
	body, err := command.AppendConnectBody(nil, headersOf(r), queryOf(r))
	if err != nil {
		l.refuse(c, s, rejectMalformed, 400, "", "The request cannot be sent to the authorizer.\n")
		return
	}
	e := l.extend(s)
	*e = extra{
		stream:   e.stream,
		reply:    append([]byte(nil), reply...),
		input:    append([]byte(nil), rest...),
		query:    string(r.RawQuery),
		question: body,
		asked:    eventConnect,
		due:      l.node.decisionDue(),
	}
	s.state = connecting
	if d, a, known := l.recallConnect(c, body, e.query); known {
		l.answered(c, d, a)
		return
	}
	c.Pause()
	if len(rest) == 0 { // in a storm of reconnects, calls for clients that gave up would delay the others
		c.CloseOnEnd()
	}
	if !l.submit(c, s, r.Trace()) {
		l.refuse(c, s, rejectBusy, 503, publish.RetryAfter(), "Too many connections wait for the authorizer.\n")
	}
}

func (l *loop) answeredConnect(c *netpoll.Conn, s *session, d auth.Decision, a *auth.Answer) {
	e := l.more(s)
	switch d {
	case auth.Allow:
		if l.refuseKicked(c, s, a) {
			return
		}
		reply, rest := e.reply, e.input
		e.reply, e.input, e.question, e.gone = nil, nil, nil, nil
		if !l.node.asksLater() {
			e.query = ""
		}
		l.trim(s)
		c.Resume()
		if l.node.draining.Load() {
			l.refuse(c, s, rejectShutdown, 503, publish.RetryAfter(), goingAway)
			return
		}
		l.upgrade(c, s, nil, a, reply, rest)
	case auth.Deny:
		l.refuse(c, s, rejectDenied, 403, "", refusalFor(a))
	default:
		l.refuse(c, s, rejectDown, 503, publish.RetryAfter(), authorizerDown)
	}
}

// headersOf returns the headers of the upgrade under their canonical names.
func headersOf(r *wire.Request) map[string][]string {
	headers := make(map[string][]string)
	for name, value := range r.Headers {
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		headers[key] = append(headers[key], strings.ToValidUTF8(string(value), "\uFFFD"))
	}
	return headers
}

// queryOf returns the parameters of the upgrade's query. A part that cannot be
// decoded is left out, as net/url does.
func queryOf(r *wire.Request) map[string][]string {
	query, _ := url.ParseQuery(string(r.RawQuery))
	for _, values := range query {
		for i := range values {
			values[i] = strings.ToValidUTF8(values[i], "\uFFFD")
		}
	}
	return query
}
