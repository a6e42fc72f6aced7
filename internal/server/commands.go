package server

import (
	"errors"

	"github.com/gobwas/ws"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/command"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// errChannelLength and errChannels tell which limit was reached.
var (
	errChannelLength = &command.Error{Code: command.Limit, Message: "the channel name is too long"}
	errChannels      = &command.Error{Code: command.Limit, Message: "this connection is a member of too many channels"}
)

// message handles one message of a client: it parses the command and carries it
// out, or parks the session until the authorizer has answered. msg is borrowed.
func (l *loop) message(c *netpoll.Conn, s *session, msg []byte) {
	cmd, bad := l.parser.Parse(msg)
	if bad == nil && len(cmd.Channel) > l.srv.cfg.MaxChannelLength {
		bad = errChannelLength
	}
	if bad != nil {
		l.counts.received[command.Unknown].Add(1)
		l.counts.refused(bad.Code)
		l.fail(c, cmd.ID, bad)
		return
	}
	l.counts.received[cmd.Kind].Add(1)
	if l.srv.asks(eventOf(cmd.Kind)) {
		l.ask(c, s, &cmd, msg)
		return
	}
	l.apply(c, s, &cmd, msg)
}

// apply carries out a command that is allowed. msg is what cmd was parsed from.
func (l *loop) apply(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	switch cmd.Kind {
	case command.Join:
		l.join(c, s, cmd)
	case command.Leave:
		l.leave(c, s, cmd)
	case command.Broadcast:
		l.broadcast(c, s, cmd, msg)
	}
}

func (l *loop) join(c *netpoll.Conn, s *session, cmd *command.Command) {
	if s.subs.Count() >= l.srv.cfg.MaxChannelsPerConnection && !l.hub.Member(c.Slot(), &s.subs, cmd.Channel) {
		l.counts.refused(command.Limit)
		l.fail(c, cmd.ID, errChannels)
		return
	}
	l.hub.Join(c.Slot(), &s.subs, cmd.Channel)
	if l.srv.broker.Asynchronous() && l.awaitSubscription(c, s, cmd) {
		return
	}
	l.ok(c, cmd.ID)
}

// awaitSubscription parks the session until the broker has confirmed that the
// channel it has joined is subscribed to, so that a broadcast behind the join is
// heard by its sender (I7). It reports false when that is so already.
func (l *loop) awaitSubscription(c *netpoll.Conn, s *session, cmd *command.Command) bool {
	conn, id := c.ID(), cloneID(cmd.ID)
	pending, err := l.srv.broker.Await(cmd.Channel, func(err error) {
		l.net.PostTo(conn, func(c *netpoll.Conn) { l.subscribed(c, id, err) })
	})
	switch {
	case pending:
		l.park(c, s, nil, false)
	case err != nil:
		l.fail(c, cmd.ID, joinError(err))
	default:
		return false
	}
	return true
}

// subscribed answers a join and lets its session go on.
func (l *loop) subscribed(c *netpoll.Conn, id []byte, err error) {
	s := l.session(c)
	if !c.Open() || s.state != parked {
		return
	}
	if err != nil {
		l.fail(c, id, joinError(err))
	} else {
		l.ok(c, id)
	}
	if c.Open() {
		l.resume(c, s)
	}
}

// cloneID copies the id of a command, for an answer that comes later.
func cloneID(id []byte) []byte {
	if id == nil {
		return nil
	}
	return append(make([]byte, 0, len(id)), id...)
}

// leave ends a membership. What was published before it is sent first: a member
// hears what came before its leave, itself included.
func (l *loop) leave(c *netpoll.Conn, s *session, cmd *command.Command) {
	if b := l.hub.Owed(c.Slot(), &s.subs, cmd.Channel); b != nil {
		l.flushCork(c)
		l.sendOne(c, b)
		b.Release()
	}
	l.hub.Leave(c.Slot(), &s.subs, cmd.Channel)
	l.ok(c, cmd.ID)
}

// broadcast publishes. When the channel has too much undelivered here, or the broker
// too much to publish, the session is parked until there is room: that is the
// publisher's backpressure.
func (l *loop) broadcast(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	if l.srv.broker.Asynchronous() {
		l.broadcastLater(c, s, cmd, msg)
		return
	}
	_, err := l.srv.broker.Publish(cmd.Channel, cmd.Content, nil)
	switch {
	case err == nil:
		l.counts.publishedClient.Add(1)
		l.ok(c, cmd.ID)
	case errors.Is(err, hub.ErrBusy):
		l.awaitRoom(c, s, cmd, msg)
	default:
		l.counts.dropped[dropBroker].Add(1)
		l.fail(c, cmd.ID, publishError(err))
	}
}

// broadcastLater publishes through a broker that answers later. The session does
// not wait for the answer: publications leave in the order sent, many at once. As a
// publication comes back from the engine, its channel is asked for room before.
func (l *loop) broadcastLater(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	if l.srv.hub.Busy(cmd.Channel, wire.FrameSize(len(cmd.Content))) {
		l.awaitRoom(c, s, cmd, msg)
		return
	}
	done := l.noted
	if cmd.ID != nil {
		done = l.later(c, cloneID(cmd.ID))
	}
	pending, err := l.srv.broker.Publish(cmd.Channel, cmd.Content, done)
	switch {
	case errors.Is(err, broker.ErrFull):
		l.park(c, s, msg, true)
		l.unsent = append(l.unsent, c.ID())
	case !pending:
		l.note(err)
		l.answerPublication(c, cmd.ID, err)
	}
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

// awaitRoom parks the session with an allowed command until its channel has been
// delivered to.
func (l *loop) awaitRoom(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	size := wire.FrameSize(len(cmd.Content))
	if !l.srv.hub.AwaitRoom(cmd.Channel, size, c.ID()) {
		// Room came meanwhile: again, from the next turn on.
		id := c.ID()
		l.net.PostTo(id, l.retry)
	}
	l.park(c, s, msg, true)
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

// ok answers a command that has an id: it was carried out.
func (l *loop) ok(c *netpoll.Conn, id []byte) {
	if id != nil {
		l.reply = command.AppendOK(l.reply[:0], id)
		l.answerText(c)
	}
}

// fail answers a command that has an id: it was not carried out.
func (l *loop) fail(c *netpoll.Conn, id []byte, e *command.Error) {
	if id != nil {
		l.reply = command.AppendError(l.reply[:0], id, e)
		l.answerText(c)
	}
}

// answerText sends l.reply as one text message.
func (l *loop) answerText(c *netpoll.Conn) {
	l.frame = wire.AppendFrame(l.frame[:0], ws.OpText, l.reply)
	l.answer(c, l.frame)
}
