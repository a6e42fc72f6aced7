package session

import (
	"errors"
	"slices"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/command"
	"wsify/internal/wire"
	"wsify/netpoll"
)

var errUnasked = &command.Error{Code: command.Denied, Message: "channels, user, users and except need an authorizer that is asked about broadcasts"}

// broadcast publishes. If the channel has too much undelivered on this node, or the
// broker too much to publish, it parks the session until there is room. This is the
// publisher's backpressure.
func (l *loop) broadcast(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	cmd.Content = l.withHead(c, s, cmd)
	switch w := cmd.Whom; {
	case w.Restricted() && !l.node.asks(eventBroadcast):
		l.notDone(c, cmd, errUnasked)
	case w.Targeted() || w != nil && w.Members:
		l.broadcastAll(c, s, cmd, msg)
	case l.node.now().publications.rate > 0 && l.overPublishRate(c, s, cmd):
	case !l.hasRoom(s) && l.awaitRoom(c, s, cmd, msg):
	case l.node.broker.Asynchronous():
		l.broadcastLater(c, s, cmd, msg)
	default:
		_, _, err := l.node.broker.Publish(nil, cmd.Channel, cmd.Content, nil)
		l.forgo(l.takeRoom(s))
		l.published(c, cmd, err)
	}
}

// withHead returns the content of a client's broadcast behind its head. Without anything to say it
// is just the content. The slice is borrowed until the next call.
func (l *loop) withHead(c *netpoll.Conn, s *session, cmd *command.Command) []byte {
	user, w := l.userOf(s), cmd.Whom
	if user == "" && w == nil {
		return cmd.Content
	}
	h := broker.Head{User: user}
	if w != nil {
		h.Except = w.Except
		if w.Silent {
			h.Except = append(slices.Clip(h.Except), l.node.connID(c.ID()))
		}
	}
	if h.IsZero() {
		return cmd.Content
	}
	l.headed = append(broker.AppendHead(l.headed[:0], &h), cmd.Content...)
	return l.headed
}

// broadcastLater publishes through a broker that answers later. The session does
// not wait for the answer: publications leave in the order sent, many at once. If the
// broker has too much to publish, or others already wait for it, the session waits for
// room in the broker. Its room in the channel stays reserved.
func (l *loop) broadcastLater(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	done := l.noted
	if cmd.ID != nil {
		done = l.later(c, cloneID(cmd.ID))
	}
	if l.node.debugging() {
		done = l.loggedPublication(c, cmd, done)
	}
	if _, known, err := l.hand(c, s, cmd, msg, done); known {
		l.published(c, cmd, err)
	}
}

// hand gives an allowed broadcast to the broker. The outcome is known, or done is called later, or
// the broker is full and the session is parked.
func (l *loop) hand(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte, done func(broker.Receipt, error)) (r broker.Receipt, known bool, err error) {
	room, brokerRoom := l.takeRoom(s), (*broker.Waiter)(nil)
	if l.node.broker.Asynchronous() {
		brokerRoom = l.takeBrokerRoom(c, s)
	}
	pending, r, err := l.node.broker.Publish(brokerRoom, cmd.Channel, cmd.Content, l.thenForgo(room, done))
	switch {
	case pending:
	case brokerRoom != nil && errors.Is(err, broker.ErrFull):
		l.awaitBrokerRoom(c, s, msg, room, brokerRoom)
	default:
		l.forgo(room)
		known = true
	}
	return r, known, err
}

// published answers and counts a broadcast whose outcome is known immediately.
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
func (l *loop) note(_ broker.Receipt, err error) {
	if err != nil {
		l.counts.dropped[dropBroker].Add(1)
		l.counts.notDone(publishError(err).Code)
	} else {
		l.counts.publishedClient.Add(1)
	}
}

// takeBrokerRoom returns the session's Waiter in the broker, which has room or a place in the
// queue. If there is none, it returns an unused one.
func (l *loop) takeBrokerRoom(c *netpoll.Conn, s *session) (brokerRoom *broker.Waiter) {
	if e := l.more(s); e != nil && e.brokerRoom != nil {
		brokerRoom, e.brokerRoom = e.brokerRoom, nil
		return brokerRoom
	}
	if l.spare == nil {
		l.spare = new(broker.Waiter)
	}
	l.spare.ID = c.ID()
	return l.spare
}

// awaitBrokerRoom parks the session with an allowed command until the broker has room for it.
func (l *loop) awaitBrokerRoom(c *netpoll.Conn, s *session, msg []byte, room *hub.Waiter, brokerRoom *broker.Waiter) {
	l.park(c, s, msg, whyBroker)
	e := l.more(s)
	e.room, e.brokerRoom, l.spare = room, brokerRoom, nil
}

// brokerRoomCame resumes the session for which the broker has reserved room.
func (l *loop) brokerRoomCame(c *netpoll.Conn, brokerRoom *broker.Waiter) {
	if s := l.session(c); s.state == parked && l.more(s).brokerRoom == brokerRoom {
		l.resume(c, s)
	} else { // the session has ended
		l.node.broker.Forgo(brokerRoom)
	}
}

// forgoBrokerRoom gives the session's room in the broker to the next ones in the queue.
func (l *loop) forgoBrokerRoom(s *session) {
	if e := l.more(s); e != nil && e.brokerRoom != nil {
		l.node.broker.Forgo(e.brokerRoom)
		e.brokerRoom = nil
	}
}

// awaitRoom parks the session with an allowed command until there is room in its
// channel. It reports false when there is room now.
func (l *loop) awaitRoom(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) bool {
	size := wire.FrameSize(len(cmd.Content))
	if !l.node.hub.Busy(cmd.Channel, size) {
		return false
	}
	room := &hub.Waiter{ID: c.ID()}
	if !l.node.hub.AwaitRoom(cmd.Channel, size, room) {
		return false
	}
	l.forgoBrokerRoom(s) // while it waits for its channel, it must not delay other sessions
	l.park(c, s, msg, whyRoom)
	l.more(s).room = room
	return true
}

// roomCame resumes the session for which room is reserved, or the batch of a backend.
func (l *loop) roomCame(c *netpoll.Conn, room *hub.Waiter) {
	switch s := l.session(c); {
	case s.state == parked && l.more(s).room == room:
		l.resume(c, s)
	case s.state == publishing:
		if p := l.more(s).post.many; p != nil && p.room == room {
			l.postingGoesOn(c, p)
		}
	}
}

// hasRoom reports whether room is reserved for the session's command.
func (l *loop) hasRoom(s *session) bool { return s.more != none && l.more(s).room != nil }

// takeRoom returns the session's Waiter in its channel, or nil if it has none.
func (l *loop) takeRoom(s *session) (room *hub.Waiter) {
	if e := l.more(s); e != nil {
		room, e.room = e.room, nil
	}
	return room
}

// forgo gives room back, if there is any. It may be called from any goroutine.
func (l *loop) forgo(room *hub.Waiter) {
	if room != nil {
		l.node.hub.Forgo(room)
	}
}

// thenForgo returns a function that gives room back, if there is any, and calls done.
func (l *loop) thenForgo(room *hub.Waiter, done func(broker.Receipt, error)) func(broker.Receipt, error) {
	if room == nil {
		return done
	}
	return func(r broker.Receipt, err error) {
		l.forgo(room)
		done(r, err)
	}
}

// later returns a function that answers a broadcast once its outcome is known. It
// may be called from any goroutine.
func (l *loop) later(c *netpoll.Conn, id []byte) func(broker.Receipt, error) {
	conn := c.ID()
	return func(r broker.Receipt, err error) {
		l.note(r, err)
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
