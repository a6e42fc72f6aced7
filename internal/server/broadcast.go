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
	switch {
	case !s.hasRoom() && l.awaitRoom(c, s, cmd, msg):
	case l.srv.broker.Asynchronous():
		l.broadcastLater(c, s, cmd, msg)
	default:
		_, err := l.srv.broker.Publish(cmd.Channel, cmd.Content, nil)
		l.forgo(s)
		l.note(err)
		l.answerPublication(c, cmd.ID, err)
	}
}

// broadcastLater publishes through a broker that answers later. The session does
// not wait for the answer: publications leave in the order sent, many at once. As a
// publication comes back from the engine, room that is kept for it is kept until the
// engine has answered.
func (l *loop) broadcastLater(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	done := l.noted
	if cmd.ID != nil {
		done = l.later(c, cloneID(cmd.ID))
	}
	room := s.hasRoom()
	if room {
		done = l.thenForgo(s.more.room, done)
	}
	pending, err := l.srv.broker.Publish(cmd.Channel, cmd.Content, done)
	if pending {
		if room {
			s.more.room = nil
		}
		return
	}
	l.forgo(s)
	if errors.Is(err, broker.ErrFull) {
		l.park(c, s, msg, true)
		l.unsent = append(l.unsent, c.ID())
		return
	}
	l.note(err)
	l.answerPublication(c, cmd.ID, err)
}

// note counts the outcome of a client's publication. It may be called from any
// goroutine.
func (l *loop) note(err error) {
	if err != nil {
		l.counts.dropped[dropBroker].Add(1)
	} else {
		l.counts.publishedClient.Add(1)
	}
}

// republish lets sessions go on that waited for the broker to take more, first come
// first served, until it is full again.
func (l *loop) republish() {
	waiting := l.unsent
	l.unsent = nil
	for i, id := range waiting {
		if c := l.net.Conn(id); c != nil {
			l.retry(c)
		}
		if len(l.unsent) > 0 {
			l.unsent = append(l.unsent, waiting[i+1:]...)
			return
		}
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
	l.park(c, s, msg, true)
	s.more.room = room
	return true
}

// roomCame lets the session go on for which room is kept.
func (l *loop) roomCame(c *netpoll.Conn, room *hub.Waiter) {
	if s := l.session(c); s.state == parked && s.more.room == room {
		l.resume(c, s)
	}
}

// hasRoom reports whether room is kept for the command that the session goes on with.
func (s *session) hasRoom() bool { return s.more != nil && s.more.room != nil }

// forgo gives back the room that is kept for the session, or its place in the queue.
func (l *loop) forgo(s *session) {
	if s.hasRoom() {
		l.srv.hub.Forgo(s.more.room)
		s.more.room = nil
	}
}

// thenForgo returns a function that gives room back and calls done.
func (l *loop) thenForgo(room *hub.Waiter, done func(error)) func(error) {
	return func(err error) {
		l.srv.hub.Forgo(room)
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
