package session

import (
	"sync/atomic"

	"wsify/auth"
	"wsify/internal/command"
	"wsify/netpoll"
)

// judge gets a decision about a command and acts on it. An answer that is kept takes effect at once:
// nobody is asked, and the session is not parked.
func (l *loop) judge(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	switch d, a, known := l.recallCommand(c, l.userOf(s), cmd); {
	case !known:
		l.ask(c, s, cmd, msg)
	case d == auth.Allow:
		l.apply(c, s, cmd, msg)
	default:
		l.notDone(c, cmd, deniedFor(a))
	}
}

// recallCommand returns the answer to the question about a command of this user, if it is kept.
func (l *loop) recallCommand(c *netpoll.Conn, user string, cmd *command.Command) (d auth.Decision, a *auth.Answer, known bool) {
	if !l.node.cache.Used() {
		return auth.Deny, nil, false
	}
	l.question = command.AppendAuthorizerBody(l.question[:0], cmd)
	return l.recall(auth.Question{User: user, Conn: c.ID()}, eventOf(cmd.Kind))
}

// recallConnect returns the answer to the question about a new connection, if it is kept. body is
// what the authorizer would be sent, and query that of the upgrade.
func (l *loop) recallConnect(c *netpoll.Conn, body []byte, query string) (d auth.Decision, a *auth.Answer, known bool) {
	if !l.node.cache.Used() {
		return auth.Deny, nil, false
	}
	l.question = command.AppendConnectQuestion(l.question[:0], body, query)
	return l.recall(auth.Question{Conn: c.ID()}, eventConnect)
}

// recall returns the answer to q, with the text in l.question. It bounds the memory that a loop keeps
// for that.
func (l *loop) recall(q auth.Question, about event) (d auth.Decision, a *auth.Answer, known bool) {
	q.Text = l.question
	if cap(l.question) > maxInquiry {
		l.question = nil
	}
	return l.node.recall(q, about)
}

// recall returns the answer to q from the cache, and counts it.
func (n *Node) recall(q auth.Question, about event) (d auth.Decision, a *auth.Answer, known bool) {
	if d, a, known = n.cache.Get(q); known {
		n.authorizer[about.index()][auth.ResultCached].Add(1)
	}
	return d, a, known
}

// decide gets the answer to a call of a connection: from the cache, as another worker may have asked
// the same meanwhile, or from the authorizer. It is called by a worker.
func (n *Node) decide(conn uint64, call *auth.Call, about event, gone *atomic.Bool) (auth.Decision, *auth.Answer) {
	q := auth.Question{User: call.User, Conn: conn, Text: call.Body, Epoch: n.cache.Epoch()}
	if n.cache.Used() {
		if about == eventConnect {
			q.Text = command.AppendConnectQuestion(nil, call.Body, call.Query)
		}
		if d, a, known := n.recall(q, about); known {
			return d, a
		}
	}
	d, a := n.askPatiently(call, about, gone)
	if n.cache == nil || a == nil || a.MaxAge == 0 {
		return d, a
	}
	if about == eventConnect {
		if !a.Public { // a connection connects once, and has no user yet
			return d, a
		}
		q.Text = command.AppendConnectQuestion(nil, call.Body, call.Query)
	}
	n.cache.Keep(q, d, a)
	return d, a
}
