package session

import (
	"slices"
	"strings"
	"sync/atomic"

	"wsify/auth"
	"wsify/internal/command"
	"wsify/netpoll"
)

// userPrefix begins the names of the implicit channels of users. No client can name them.
const userPrefix = command.ReservedPrefix + "wsify/user/"

// userChannel is the channel of which each connection of the user is a member.
func userChannel(user string) string { return userPrefix + user }

// userOf returns the user that the authorizer has named for the session, or "".
func (l *loop) userOf(s *session) string {
	return strings.TrimPrefix(l.hub.Implicit(&s.subs), userPrefix)
}

// isOf reports whether a connection is of the user. A stream that is not open yet may be, too.
func (l *loop) isOf(s *session, user string) bool {
	if e := l.more(s); e != nil {
		return l.userAsked(s, e) == user
	}
	return l.userOf(s) == user
}

// refuseKicked refuses a connection if the answer names a user whom an operator has kicked since the
// authorizer was asked, and reports whether it did.
func (l *loop) refuseKicked(c *netpoll.Conn, s *session, a *auth.Answer) bool {
	kicked := func(o *Order) bool { return !o.Unsubscribe && o.User == a.User }
	if a == nil || !slices.ContainsFunc(l.more(s).orders, kicked) {
		return false
	}
	l.refuseFor(c, s, reasonKicked, rejectKicked, 403, "", kickedText)
	return true
}

// withoutEnded returns the answer to the question about a connection without the channels whose
// membership an operator has ended since the authorizer was asked.
func (l *loop) withoutEnded(s *session, a *auth.Answer) *auth.Answer {
	orders := l.more(s).orders
	if a == nil || len(a.Join) == 0 || len(orders) == 0 {
		return a
	}
	rest := *a // the answer may be shared
	rest.Join = slices.DeleteFunc(slices.Clone(a.Join), func(name string) bool {
		return slices.ContainsFunc(orders, func(o *Order) bool {
			return o.Unsubscribe && o.Channel == strings.TrimSpace(name) && (o.User == "" || o.User == a.User)
		})
	})
	return &rest
}

// admitAs makes a session that is about to be opened one of the user that the authorizer's answer names. It
// reports false if the session has ended.
func (l *loop) admitAs(c *netpoll.Conn, s *session, a *auth.Answer) bool {
	return a.User == "" || l.enter(c, s, []byte(userChannel(a.User)))
}

// enter makes a session that is about to be opened a member of a channel. It reports false if the
// session has ended, for want of memory.
func (l *loop) enter(c *netpoll.Conn, s *session, channel []byte) bool {
	if !l.hoard(c, s, membershipPrice+len(channel)) {
		return false
	}
	l.hub.Join(c.Slot(), &s.subs, channel)
	return true
}

// ignored counts headers of the authorizer's answers that break a rule, by header.
type ignored [auth.NumHeaders]atomic.Uint64

// noteIgnored counts the headers of an answer that break a rule.
func (n *Node) noteIgnored(a *auth.Answer) {
	if a != nil {
		for _, e := range a.Ignored {
			n.noteHeader(e)
		}
	}
}

// noteHeader counts a header that has no effect, or not all of it. The first of each is logged.
func (n *Node) noteHeader(e *auth.HeaderError) {
	if n.ignored[e.Header].Add(1) == 1 {
		n.log.Warn("a header of the authorizer's answer is ignored; later ones are only counted", "header", e.Header.String(), "cause", e.Err)
	}
}

// deniedFor is the error of a command that the authorizer denied.
func deniedFor(a *auth.Answer) *command.Error {
	if a == nil || a.Reason == "" {
		return command.ErrDenied
	}
	return &command.Error{Code: command.Denied, Message: a.Reason}
}

// refusalFor is the body of the answer to an upgrade that the authorizer denied.
func refusalFor(a *auth.Answer) string {
	if a == nil || a.Reason == "" {
		return "The authorizer does not allow this connection.\n"
	}
	return a.Reason + "\n"
}
