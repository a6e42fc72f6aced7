package session

import (
	"wsify/broker"
	"wsify/internal/command"
	"wsify/internal/follow"
	"wsify/netpoll"
)

var (
	errChannels  = &command.Error{Code: command.Limit, Message: "this connection is a member of too many channels"}
	errNoHistory = &command.Error{Code: command.BadRequest, Message: "this channel keeps no history"}
)

func (l *loop) join(c *netpoll.Conn, s *session, cmd *command.Command) {
	if l.hasEnough(c, s, cmd.Channel) {
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

// hasEnough reports whether a session is a member of as many channels as it may be, and not of this one.
func (l *loop) hasEnough(c *netpoll.Conn, s *session, channel []byte) bool {
	return s.subs.Count() >= l.node.now().maxChannelsPerConnection && !l.hub.Member(c.Slot(), &s.subs, channel)
}

// joinKept carries out a join of a node that keeps history. It reports false for a channel
// without, which is joined like any other.
func (l *loop) joinKept(c *netpoll.Conn, s *session, cmd *command.Command) bool {
	begin, bad := l.beginning(cmd)
	switch {
	case bad != nil:
		l.notDone(c, cmd, bad)
		return true
	case !l.node.keepsHistory(string(cmd.Channel)):
		return false
	case !l.hoard(c, s, membershipPrice+len(cmd.Channel)):
		return true
	}
	id := cloneID(cmd.ID)
	if l.recover(c, s, cmd.Channel, begin, func(c *netpoll.Conn, s *session, r recovered) { l.joinedKept(c, s, id, r) }) {
		l.park(c, s, nil, whyHistory)
	}
	return true
}

// beginning returns where a join begins.
func (l *loop) beginning(cmd *command.Command) (f follow.From, bad *command.Error) {
	since, asked, last, bad := cmd.From.Read()
	if bad == nil && (asked || last > 0) && !l.node.keepsHistory(string(cmd.Channel)) {
		bad = errNoHistory
	}
	f = follow.From{Asked: asked, Last: min(last, l.node.cfg.History.Size)}
	f.Since, _ = broker.ParsePosition(since) // one that cannot be read is none of this history
	return f, bad
}

// joinedKept answers a join of a channel with history, and resumes its session if it has waited.
// Where there is no answer, what is lost is a gap.
func (l *loop) joinedKept(c *netpoll.Conn, s *session, id []byte, r recovered) {
	switch {
	case r.err != nil:
		l.counts.notDone(r.err.Code)
		l.fail(c, id, r.err)
	case id != nil:
		l.reply = command.AppendJoined(l.reply[:0], id, r.position.String(), r.asked, !r.lost)
		l.answerText(c)
	}
	if id == nil && r.lost {
		l.tellGap(c, s, r.channel, r.position)
	}
	if e := l.more(s); s.state == parked && e.why == whyHistory && c.Open() {
		l.uncork()
		l.resume(c, s)
	}
}

// tellGap tells one member of a gap, if its class is told of gaps.
func (l *loop) tellGap(c *netpoll.Conn, s *session, channel []byte, at broker.Position) {
	gap := gapVoice(s.subs.Class)
	if gap == nil || at == (broker.Position{}) {
		return
	}
	b := gap(channel, at.String())
	l.answer(c, b.Bytes())
	b.Release()
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
