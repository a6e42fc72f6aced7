package session

import (
	"wsify/broker"
	"wsify/internal/command"
	"wsify/internal/follow"
	"wsify/netpoll"
)

var errNoHistory = &command.Error{Code: command.BadRequest, Message: "this channel keeps no history"}

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
