package session

import (
	"wsify/internal/command"
	"wsify/netpoll"
)

// message handles one message of a client. It parses the command and carries it out,
// or parks the session until the authorizer has answered. msg is borrowed.
func (l *loop) message(c *netpoll.Conn, s *session, msg []byte) {
	if l.access != nil {
		l.access.visit(c).message()
	}
	cmd, bad := l.parser.Parse(msg)
	if bad == nil && max(len(cmd.Channel), cmd.Whom.Longest()) > l.node.cfg.MaxChannelLength {
		bad = command.ErrChannelLength
	}
	kind := cmd.Kind
	if bad != nil {
		kind = command.Unknown
	}
	l.counts.received[kind].Add(1)
	switch {
	case l.node.now().commands.rate > 0 && !l.withinRate(c, s, &cmd):
	case bad != nil:
		l.notDone(c, &cmd, bad)
	case l.node.asks(eventOf(kind)):
		l.judge(c, s, &cmd, msg)
	default:
		l.apply(c, s, &cmd, msg)
	}
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

// cloneID copies the id of a command, for an answer that comes later.
func cloneID(id []byte) []byte {
	if id == nil {
		return nil
	}
	return append(make([]byte, 0, len(id)), id...)
}

// ok answers a command that was carried out, if it has an id.
func (l *loop) ok(c *netpoll.Conn, id []byte) {
	if id != nil {
		l.reply = command.AppendOK(l.reply[:0], id)
		l.answerText(c)
	}
}

// okMembers is ok for a broadcast that asked how many members got it.
func (l *loop) okMembers(c *netpoll.Conn, id []byte, members int) {
	if id != nil {
		l.reply = command.AppendOKMembers(l.reply[:0], id, members)
		l.answerText(c)
	}
}

// fail answers a command that was not carried out, if it has an id.
func (l *loop) fail(c *netpoll.Conn, id []byte, e *command.Error) {
	if id != nil {
		l.reply = command.AppendError(l.reply[:0], id, e)
		l.answerText(c)
	}
}

// answerText sends l.reply as one message.
func (l *loop) answerText(c *netpoll.Conn) {
	l.frame = l.session(c).voice().reply(l.frame[:0], l.reply)
	l.answer(c, l.frame)
}
