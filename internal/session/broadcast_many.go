package session

import (
	"sync/atomic"

	"wsify/broker"
	"wsify/internal/command"
	"wsify/netpoll"
)

// targetsOf returns the channels that a publication goes to; those of users are implicit.
func targetsOf(channel []byte, w *command.Whom) []string {
	switch {
	case !w.Targeted():
		return []string{string(channel)}
	case len(w.Users) > 0:
		names := make([]string, len(w.Users))
		for i, user := range w.Users {
			names[i] = userChannel(user)
		}
		return names
	}
	return w.Channels
}

// spread is a client's broadcast to several channels or users, or one whose reply says how many
// members got it. The loop owns next; any goroutine may report an outcome.
type spread struct {
	loop    *loop
	conn    uint64
	id      []byte   // of the command; nil: there is no answer
	counted bool     // the answer says how many members there are
	silent  bool     // the publishing connection is none of them
	targets []string // channels
	next    int      // the first target that it was not published to yet

	left   atomic.Int32                  // outcomes that are not known yet, and one until all is published
	failed atomic.Pointer[command.Error] // of the first target that failed
}

// broadcastAll publishes to each target in order. For each it waits for room, as broadcast does. The
// targets stand alone: when one fails, the others are published to all the same.
func (l *loop) broadcastAll(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	all := l.takeSpread(c, s, cmd)
	one := *cmd
	one.ID = nil
	for ; all.next < len(all.targets); all.next++ {
		if one.Channel = []byte(all.targets[all.next]); l.broadcastOne(c, s, &one, msg, all) {
			l.more(s).spread = all // the session is parked
			return
		}
	}
	if all.left.Add(-1) == 0 {
		all.answer(c)
	}
}

// takeSpread returns the spread of a session that goes on after a wait, or a new one.
func (l *loop) takeSpread(c *netpoll.Conn, s *session, cmd *command.Command) (all *spread) {
	if e := l.more(s); e != nil && e.spread != nil {
		all, e.spread = e.spread, nil
		return all
	}
	all = &spread{
		loop: l, conn: c.ID(), id: cloneID(cmd.ID), counted: cmd.Whom.Members, silent: cmd.Whom.Silent,
		targets: targetsOf(cmd.Channel, cmd.Whom),
	}
	all.left.Store(1)
	return all
}

// broadcastOne publishes to one target. It reports whether it has parked the session instead, until
// there is room.
func (l *loop) broadcastOne(c *netpoll.Conn, s *session, one *command.Command, msg []byte, all *spread) (waits bool) {
	switch {
	case l.node.now().publications.rate > 0 && l.overPublishRate(c, s, one):
		all.fail(errPublishRate)
		return false
	case !l.hasRoom(s) && l.awaitRoom(c, s, one, msg):
		return true
	}
	done := all.outcome
	if l.node.debugging() {
		done = l.loggedPublication(c, one, done)
	}
	all.left.Add(1)
	if r, known, err := l.hand(c, s, one, msg, done); known {
		done(r, err)
	} else if s.state == parked {
		all.left.Add(-1)
		return true
	}
	return false
}

// outcome counts the outcome of one target. After the last one, it answers.
func (all *spread) outcome(r broker.Receipt, err error) {
	all.loop.note(r, err)
	if err != nil {
		all.fail(publishError(err))
	}
	if all.left.Add(-1) == 0 {
		all.loop.net.PostTo(all.conn, all.answer)
	}
}

func (all *spread) fail(e *command.Error) { all.failed.CompareAndSwap(nil, e) }

// answer answers the command. It is called on the loop, when all outcomes are known.
func (all *spread) answer(c *netpoll.Conn) {
	l := all.loop
	switch e := all.failed.Load(); {
	case e != nil:
		l.fail(c, all.id, e)
	case all.counted:
		l.okMembers(c, all.id, all.members(c))
	default:
		l.ok(c, all.id)
	}
}

// members returns how many members of this node it was given to. Connections in except count, as
// they may be of other loops.
func (all *spread) members(c *netpoll.Conn) (n int) {
	l := all.loop
	for _, name := range all.targets {
		n += l.node.hub.Count(name)
		if all.silent && l.hub.Member(c.Slot(), &l.session(c).subs, []byte(name)) {
			n--
		}
	}
	return n
}
