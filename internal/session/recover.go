package session

import (
	"errors"

	"wsify/broker"
	"wsify/internal/command"
	"wsify/internal/follow"
	"wsify/netpoll"
)

// recovered is the outcome of a join of a channel with history.
type recovered struct {
	channel  []byte          // nil if the connection is a member already
	position broker.Position // to go on from; zero when it is not known, or was told before
	asked    bool            // there was a since
	lost     bool            // not all that was missed could be given
	err      *command.Error  // joined all the same, but it is not known what was missed; or denied
}

// recovery is a join of a channel with history that is under way. It belongs to the loop of its
// connection.
type recovery struct {
	follow.Join
	loop    *loop
	conn    uint64
	then    func(c *netpoll.Conn, s *session, r recovered)
	revoked bool // an operator took the channel
}

// recover makes a connection a member of a channel with history. First it sends what the
// connection asks for: what follows a position, or the newest publications; then what is new.
// Nothing comes twice, and nothing is left out, unless the outcome says so.
//
// It calls then on the loop, before it returns or later. In the second case it returns true, and
// the caller sees to it that the session does nothing else meanwhile. If the session ends, then is
// not called.
//
// Who joins several channels, like a stream or a session that is admitted with channels, calls it
// for one after another, each from the function of the one before. What is sent goes through
// loop.answer in the form of the session's class.
//
// A member that joins from now on stays one. With a position or a number it begins anew: what it
// has not been sent yet is part of what it asks for.
func (l *loop) recover(c *netpoll.Conn, s *session, channel []byte, from follow.From, then func(*netpoll.Conn, *session, recovered)) (pending bool) {
	if !from.Asked && from.Last == 0 && l.hub.Member(c.Slot(), &s.subs, channel) {
		then(c, s, recovered{})
		return false
	}
	r := &recovery{Join: follow.Join{From: from}, loop: l, conn: c.ID(), then: then}
	l.node.follower.Begin(&r.Join, channel, r)
	l.hub.Leave(c.Slot(), &s.subs, channel) // the log stays, because the join has begun
	l.extend(s).recovery = r
	return !l.goOn(c, s, r)
}

// goOn takes the next step of a join, and reports whether it was the last one.
func (l *loop) goOn(c *netpoll.Conn, s *session, r *recovery) (done bool) {
	for {
		if r.revoked {
			l.finish(c, s, r, command.ErrDenied)
			return true
		}
		taken := follow.TakeNews
		room := l.node.cfg.WriteQueueSize/4 - c.Queued() - len(l.cork) // buffers may be twice as large as what they hold
		l.hub.JoinIf(c.Slot(), &s.subs, r.Channel, func() bool {
			taken = r.Take(room, c.Queued() == 0)
			return taken == follow.TakeAll
		})
		switch taken {
		case follow.TakeAll:
			l.sendTaken(c, s, r)
			l.finish(c, s, r, nil)
			return true
		case follow.TakeSome:
			c.LetGo() // what is on hold is written before, or nothing ever is
			l.sendTaken(c, s, r)
			if l.flushCork(c); !c.Open() {
				return false
			}
		case follow.TakeLater:
			c.LetGo()
			l.awaitWritten(c, s, r)
			return false
		case follow.TakeNews:
			r.Await()
			return false
		}
	}
}

// sendTaken sends the publications that were taken.
func (l *loop) sendTaken(c *netpoll.Conn, s *session, r *recovery) {
	r.Send(s.subs.Class, func(form []byte) { l.answer(c, l.ownForm(s, form)) })
}

// finish ends a join that has taken effect.
func (l *loop) finish(c *netpoll.Conn, s *session, r *recovery, err *command.Error) {
	r.Finish(err != nil)
	if e := l.more(s); e != nil && e.recovery == r {
		e.recovery = nil
	}
	r.then(c, s, recovered{channel: r.Channel, position: r.At, asked: r.Asked, lost: r.Lost, err: err})
}

// Tell goes on with a join on its loop. It implements follow.Joiner.
func (r *recovery) Tell(news follow.News) {
	r.loop.net.PostTo(r.conn, func(c *netpoll.Conn) { r.loop.heard(c, r, news) })
}

// heard goes on with a join that has waited.
func (l *loop) heard(c *netpoll.Conn, r *recovery, news follow.News) {
	s := l.session(c)
	if e := l.more(s); !c.Open() || e == nil || e.recovery != r {
		return // the session has ended
	}
	l.startCork(c)
	if err := r.Hear(news); err != nil && !r.revoked {
		l.joinWithout(c, s, r, err)
	} else {
		l.goOn(c, s, r)
	}
	l.uncork()
	l.relieve()
}

// joinWithout joins a channel whose history cannot be read now.
func (l *loop) joinWithout(c *netpoll.Conn, s *session, r *recovery, err error) {
	l.hub.JoinIf(c.Slot(), &s.subs, r.Channel, func() bool {
		r.TakeNothing()
		return true
	})
	bad := errHistory
	if errors.Is(err, broker.ErrDown) || errors.Is(err, broker.ErrClosed) {
		bad = errJoinedDeaf
	}
	l.finish(c, s, r, bad)
}

// awaitWritten goes on with a join when what is queued has been written.
func (l *loop) awaitWritten(c *netpoll.Conn, s *session, r *recovery) {
	c.LetGo() // of a stream, which is told here first that it is open
	c.WhenWritten(func(c *netpoll.Conn) { l.heard(c, r, follow.News{}) })
}

// dropRecovery ends a join whose session ends.
func (l *loop) dropRecovery(e *extra) {
	if r := e.recovery; r != nil {
		e.recovery = nil
		r.Release()
	}
}
