package session

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wsify/auth"
	"wsify/internal/command"
	"wsify/internal/sse"
	"wsify/netpoll"
)

// joinFirst makes a session that is about to be opened a member of the channels that the authorizer's
// answer names, so that it hears what is published from the moment when the client has the 101. What
// a limit forbids is left out and counted. Channels with history are left to joinOne: their members
// are told where they begin, and sendUpgrade keeps the 101 until then. It reports false if the session
// has ended.
func (l *loop) joinFirst(c *netpoll.Conn, s *session, names []string) bool {
	for _, name := range names {
		channel := bytes.TrimSpace([]byte(name))
		if bad := l.mayJoin(c, s, channel); bad != nil {
			l.node.noteJoin(channel, bad.Message)
		} else if !l.node.keepsHistory(string(channel)) && !l.enter(c, s, channel) {
			return false
		}
	}
	return true
}

// sendUpgrade sends the 101. If the answer names a channel with history, the 101 is on hold until joinRest
// has joined all. It reports false if the session has ended.
func (l *loop) sendUpgrade(c *netpoll.Conn, a *auth.Answer, reply []byte) bool {
	if a == nil || !slices.ContainsFunc(a.Join, func(name string) bool { return l.node.keepsHistory(strings.TrimSpace(name)) }) {
		return c.SendUrgent(reply)
	}
	if !c.Hold(reply) {
		c.Close(reasonSlowConsumer) // answers to requests before this one are unread
		return false
	}
	return true
}

// mayJoin returns why a session cannot join a channel, or nil.
func (l *loop) mayJoin(c *netpoll.Conn, s *session, channel []byte) *command.Error {
	bad := command.CheckName(channel)
	switch {
	case bad != nil:
		return bad
	case len(channel) > l.node.cfg.MaxChannelLength:
		return command.ErrChannelLength
	case l.hasEnough(c, s, channel):
		return errChannels
	}
	return nil
}

// noteJoin counts a name in X-Wsify-Join that has no effect.
func (n *Node) noteJoin(channel []byte, why string) {
	n.noteHeader(&auth.HeaderError{Header: auth.InJoin, Err: fmt.Errorf("channel %q: %w", channel[:min(len(channel), 40)], errors.New(why))})
}

// confirmJoins waits until the broker has confirmed the channels of joinFirst and the user's, and tells a
// client of the subprotocol about each. Nothing that the client sends is handled before.
func (l *loop) confirmJoins(c *netpoll.Conn, s *session, a *auth.Answer) {
	names := a.Join
	if a.User != "" && l.node.broker.Asynchronous() {
		names = append([]string{userChannel(a.User)}, names...)
	}
	if len(names) == 0 || !l.node.broker.Asynchronous() && l.node.follower == nil && !s.voice().tells {
		return
	}
	l.extend(s).joins = names
	l.startCork(c)
	if l.joinRest(c, s) {
		l.trim(s)
	}
	l.uncork()
}

// joinRest goes on with the joins that the authorizer has ordered, and then lets the 101 go. It reports
// false if the session has to wait again, or has ended.
func (l *loop) joinRest(c *netpoll.Conn, s *session) bool {
	for e := l.more(s); e != nil && len(e.joins) > 0; e = l.more(s) {
		name := e.joins[0]
		if e.joins = e.joins[1:]; len(e.joins) == 0 {
			e.joins = nil
		}
		if l.joinOne(c, s, name); s.state != open || !c.Open() {
			return false
		}
	}
	c.LetGo()
	return true
}

// joinOne confirms one join that the authorizer has ordered. An operator may have ended the membership.
func (l *loop) joinOne(c *netpoll.Conn, s *session, name string) {
	cmd := command.Command{Kind: command.Join, Channel: []byte(name)}
	if name != l.hub.Implicit(&s.subs) { // white space around a user is part of the name
		if cmd.Channel = bytes.TrimSpace(cmd.Channel); s.voice().tells {
			cmd.ID = command.UnaskedID(string(cmd.Channel))
		}
	}
	bad := l.mayJoin(c, s, cmd.Channel)
	switch {
	case bad == nil && l.node.keepsHistory(string(cmd.Channel)), l.hub.Member(c.Slot(), &s.subs, cmd.Channel):
		l.join(c, s, &cmd)
		return
	case bad == nil:
		bad = command.ErrDenied
	case bad == errChannels && l.node.keepsHistory(string(cmd.Channel)): // joinFirst did not know
		l.node.noteJoin(cmd.Channel, bad.Message)
	}
	l.fail(c, cmd.ID, bad)
}

// revokeJoin takes a channel with history from the joins that the authorizer has ordered and that have not
// begun. The others have: they are memberships.
func (l *loop) revokeJoin(e *extra, channel []byte) {
	if e == nil || e.joins == nil || !l.node.keepsHistory(string(channel)) {
		return
	}
	e.joins = slices.DeleteFunc(slices.Clone(e.joins), func(name string) bool { return strings.TrimSpace(name) == string(channel) })
}

// addJoins puts the channels that the authorizer's answer names before those of a stream. They need no
// question. no says why the stream is refused, if it is.
func (l *loop) addJoins(o *opening) (no sse.Refusal) {
	rules, asked := l.streamRules(), o.request.Channels
	o.request.Channels = nil
	for _, name := range o.answer.Join {
		channel := bytes.TrimSpace([]byte(name))
		if no := rules.Add(&o.request, string(channel)); no.Status != 0 {
			l.node.noteJoin(channel, no.Detail)
		}
	}
	o.allowed = len(o.request.Channels)
	for _, name := range asked {
		if no = rules.Add(&o.request, name); no.Status != 0 {
			return no
		}
	}
	return no
}
