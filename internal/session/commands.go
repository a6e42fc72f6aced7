package session

import (
	"wsify/internal/command"
	"wsify/netpoll"
)

var errChannels = &command.Error{Code: command.Limit, Message: "this connection is a member of too many channels"}

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

func (l *loop) join(c *netpoll.Conn, s *session, cmd *command.Command) {
	if s.subs.Count() >= l.node.now().maxChannelsPerConnection && !l.hub.Member(c.Slot(), &s.subs, cmd.Channel) {
		l.notDone(c, cmd, errChannels)
		return
	}
	if l.node.follower != nil && l.joinKept(c, s, cmd) {
		return
	}
	l.hub.Join(c.Slot(), &s.subs, cmd.Channel)
	if !l.hoard(c, s, membershipPrice+len(cmd.Channel)) {
		return
	}
	if l.node.broker.Asynchronous() && l.awaitSubscription(c, s, cmd) {
		return
	}
	l.ok(c, cmd.ID)
}

// awaitSubscription parks the session until the broker has confirmed the subscription
// to the joined channel. So a sender receives its own broadcast that follows its join
// (I7). It reports false if the subscription is confirmed already.
func (l *loop) awaitSubscription(c *netpoll.Conn, s *session, cmd *command.Command) bool {
	conn, id := c.ID(), cloneID(cmd.ID)
	done := func(err error) {
		l.net.PostTo(conn, func(c *netpoll.Conn) { l.subscribed(c, id, err) })
	}
	if l.node.debugging() {
		done = l.logged(c, cmd, joinError, done)
	}
	pending, err := l.node.broker.Await(cmd.Channel, done)
	switch {
	case pending:
		l.park(c, s, nil, whySubscription)
	case err != nil:
		l.notDone(c, cmd, joinError(err))
	default:
		return false
	}
	return true
}

// subscribed answers a join and resumes its session.
func (l *loop) subscribed(c *netpoll.Conn, id []byte, err error) {
	s := l.session(c)
	if !c.Open() || s.state != parked || l.more(s).why != whySubscription {
		return
	}
	if err != nil {
		bad := joinError(err)
		l.counts.notDone(bad.Code)
		l.fail(c, id, bad)
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

// leave ends a membership. It first sends the publications from before the leave, the
// member's own included.
func (l *loop) leave(c *netpoll.Conn, s *session, cmd *command.Command) {
	l.leaveChannel(c, s, cmd.Channel)
	l.ok(c, cmd.ID)
}

func (l *loop) leaveChannel(c *netpoll.Conn, s *session, channel []byte) {
	if b := l.hub.Owed(c.Slot(), &s.subs, channel); b != nil {
		l.flushCork(c)
		l.sendOne(c, b)
		b.Release()
	}
	l.hub.Leave(c.Slot(), &s.subs, channel)
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
