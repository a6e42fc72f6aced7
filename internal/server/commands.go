package server

import (
	"errors"

	"github.com/gobwas/ws"

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
	if cmd.ID == nil {
		return
	}
	if l.srv.broker.Asynchronous() {
		id := append([]byte(nil), cmd.ID...)
		if l.srv.broker.Await(cmd.Channel, l.later(c, id)) {
			return
		}
	}
	l.ok(c, cmd.ID)
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

// broadcast publishes. When the channel has too much undelivered the session is
// parked until there is room: that is the publisher's backpressure.
func (l *loop) broadcast(c *netpoll.Conn, s *session, cmd *command.Command, msg []byte) {
	var done func(error)
	if l.srv.broker.Asynchronous() {
		reply := l.later(c, append([]byte(nil), cmd.ID...))
		done = func(err error) {
			if err != nil {
				l.counts.dropped[dropBroker].Add(1)
			}
			reply(err)
		}
	}
	pending, err := l.srv.broker.Publish(cmd.Channel, cmd.Content, done)
	switch {
	case errors.Is(err, hub.ErrBusy):
		l.awaitRoom(c, s, cmd, msg)
	case err != nil:
		l.counts.dropped[dropBroker].Add(1)
		l.fail(c, cmd.ID, command.ErrBrokerDown)
	case !pending:
		l.counts.publishedClient.Add(1)
		l.ok(c, cmd.ID)
	default:
		l.counts.publishedClient.Add(1)
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

// later returns a function that answers a command once its outcome is known. It
// may be called from any goroutine.
func (l *loop) later(c *netpoll.Conn, id []byte) func(error) {
	conn := c.ID()
	return func(err error) {
		l.net.PostTo(conn, func(c *netpoll.Conn) {
			if err != nil {
				l.fail(c, id, command.ErrBrokerDown)
			} else {
				l.ok(c, id)
			}
		})
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
