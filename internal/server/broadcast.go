package server

import (
	"errors"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/command"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// broadcast publishes. When the channel has too much undelivered here, or the broker
// too much to publish, the session is parked until there is room: that is the
// publisher's backpressure.
func (l *loop) broadcast(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	turn := l.turn
	l.turn = false
	switch {
	case !l.hasRoom(s) && l.awaitRoom(c, s, cmd, msg):
	case l.srv.broker.Asynchronous():
		l.broadcastLater(c, s, cmd, msg, turn)
	default:
		_, err := l.srv.broker.Publish(cmd.Channel, cmd.Content, nil)
		l.forgo(l.takeRoom(s))
		l.published(c, cmd, err)
	}
}

// broadcastLater publishes through a broker that answers later. The session does
// not wait for the answer: publications leave in the order sent, many at once. When the
// broker has too much to publish, or others wait for it already, the session waits;
// turn says that it is the first of those.
func (l *loop) broadcastLater(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte, turn bool) {
	if !turn && l.unsent.Len() > 0 {
		l.awaitTurn(c, s, msg)
		return
	}
	done := l.noted
	if cmd.ID != nil {
		done = l.later(c, cloneID(cmd.ID))
	}
	if l.srv.debugging() {
		done = l.logged(c, cmd, publishError, done)
	}
	room := l.takeRoom(s)
	pending, err := l.srv.broker.Publish(cmd.Channel, cmd.Content, l.thenForgo(room, done))
	if pending {
		return
	}
	l.forgo(room)
	switch {
	case !errors.Is(err, broker.ErrFull):
		l.published(c, cmd, err)
	case turn:
		l.full = true // and it stays the first
		l.park(c, s, msg, whyBroker)
	default:
		l.awaitTurn(c, s, msg)
	}
}

// published answers and counts a broadcast whose outcome was known at once.
func (l *loop) published(c *netpoll.Conn, cmd *command.Command, err error) {
	if err != nil {
		l.counts.dropped[dropBroker].Add(1)
		l.notDone(c, cmd, publishError(err))
		return
	}
	l.counts.publishedClient.Add(1)
	l.ok(c, cmd.ID)
}

// note counts the outcome of a client's publication. It may be called from any
// goroutine.
func (l *loop) note(err error) {
	if err != nil {
		l.counts.dropped[dropBroker].Add(1)
		l.counts.refused(publishError(err).Code)
	} else {
		l.counts.publishedClient.Add(1)
	}
}

// republish lets sessions go on that waited for the broker to take more, first come
// first served, until it is full again.
func (l *loop) republish() {
	l.unsent.serve(func(id uint64) bool {
		c := l.net.Conn(id)
		if c == nil {
			return true
		}
		if s := l.session(c); s.state == parked && l.more(s).why == whyBroker {
			defer func() { l.turn = false }()
			l.turn, l.full = true, false
			l.resume(c, s)
			return !l.full
		}
		return true
	})
}

// awaitTurn parks the session with an allowed command until the broker takes more.
func (l *loop) awaitTurn(c *netpoll.Conn, s *session, msg []byte) {
	l.park(c, s, msg, whyBroker)
	l.unsent.Push(c.ID())
	if l.unsent.Len() == 1 { // there may be room by now, which nobody tells then
		l.net.Post(l.republish)
	}
}

// awaitRoom parks the session with an allowed command until there is room in its
// channel. It reports false when there is room now.
func (l *loop) awaitRoom(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) bool {
	size := wire.FrameSize(len(cmd.Content))
	if !l.srv.hub.Busy(cmd.Channel, size) {
		return false
	}
	room := &hub.Waiter{ID: c.ID()}
	if !l.srv.hub.AwaitRoom(cmd.Channel, size, room) {
		return false
	}
	l.park(c, s, msg, whyRoom)
	l.more(s).room = room
	return true
}

// roomCame lets the session go on for which room is kept.
func (l *loop) roomCame(c *netpoll.Conn, room *hub.Waiter) {
	if s := l.session(c); s.state == parked && l.more(s).room == room {
		l.resume(c, s)
	}
}

// hasRoom reports whether room is kept for the command that the session goes on with.
func (l *loop) hasRoom(s *session) bool { return s.more != none && l.more(s).room != nil }

// takeRoom returns the room, or the place in the queue, that the session has, or nil.
func (l *loop) takeRoom(s *session) (room *hub.Waiter) {
	if e := l.more(s); e != nil {
		room, e.room = e.room, nil
	}
	return room
}

// forgo gives room back, if there is any. It may be called from any goroutine.
func (l *loop) forgo(room *hub.Waiter) {
	if room != nil {
		l.srv.hub.Forgo(room)
	}
}

// thenForgo returns a function that gives room back, if there is any, and calls done.
func (l *loop) thenForgo(room *hub.Waiter, done func(error)) func(error) {
	if room == nil {
		return done
	}
	return func(err error) {
		l.forgo(room)
		done(err)
	}
}

// later returns a function that answers a broadcast once its outcome is known. It
// may be called from any goroutine.
func (l *loop) later(c *netpoll.Conn, id []byte) func(error) {
	conn := c.ID()
	return func(err error) {
		l.note(err)
		l.net.PostTo(conn, func(c *netpoll.Conn) { l.answerPublication(c, id, err) })
	}
}

func (l *loop) answerPublication(c *netpoll.Conn, id []byte, err error) {
	if err != nil {
		l.fail(c, id, publishError(err))
	} else {
		l.ok(c, id)
	}
}
