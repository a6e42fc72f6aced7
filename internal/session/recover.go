package session

import (
	"errors"
	"time"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/internal/command"
	"wsify/internal/history"
	"wsify/netpoll"
)

// from says where a join of a channel with history begins. The zero value begins now.
type from struct {
	asked bool            // there is a since
	since broker.Position // zero if it cannot be read
	last  int             // the newest ones instead; zero for none
}

// recovered is the outcome of a join of a channel with history.
type recovered struct {
	channel  []byte          // nil if the connection is a member already
	position broker.Position // to go on from; zero when it is not known, or was told before
	asked    bool            // there was a since
	lost     bool            // not all that was missed could be given
	err      *command.Error  // joined all the same, but it is not known what was missed; or denied
}

// recovery is a join of a channel with history that is under way. It belongs to the loop of its
// connection, but for page and err, which trackers passes with tell.
type recovery struct {
	from
	loop  *loop
	conn  uint64
	track *tracker
	then  func(c *netpoll.Conn, s *session, r recovered)

	began   time.Time
	sent    bool                   // some of it was sent, and the rest follows
	revoked bool                   // an operator took the channel
	tries   int                    // answers of the engine that did not help
	page    *history.Page[*record] // the last answer
	values  []*record              // what is sent next
	at      broker.Position        // where the membership begins
	lost    bool
}

// Results of recoveries, for the counter.
const (
	recoveryDone = iota
	recoveryLost
	recoveryFailed
	numRecoveries
)

var recoveryNames = [numRecoveries]string{"recovered", "lost", "failed"}

// maxTries is how many answers of the engine may not help a join, for example because history
// passes faster than it is read. Then what was missed is lost.
const maxTries = 4

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
func (l *loop) recover(c *netpoll.Conn, s *session, channel []byte, f from, then func(*netpoll.Conn, *session, recovered)) (pending bool) {
	if l.hub.Member(c.Slot(), &s.subs, channel) {
		if !f.asked && f.last == 0 {
			then(c, s, recovered{})
			return false
		}
	}
	r := &recovery{from: f, loop: l, conn: c.ID(), track: l.node.trackers.hold(channel), then: then, began: time.Now()}
	l.hub.Leave(c.Slot(), &s.subs, channel) // after the hold, so the log stays
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
		verdict := takeRead
		room := l.node.cfg.WriteQueueSize/2 - c.Queued()
		l.hub.JoinIf(c.Slot(), &s.subs, r.track.name, func() bool {
			verdict = l.node.trackers.take(r, room, c.Queued() == 0)
			return verdict == takeAll
		})
		switch verdict {
		case takeAll:
			l.sendRecords(c, s, r)
			l.finish(c, s, r, nil)
			return true
		case takeSome:
			c.LetGo() // what is on hold is written before, or nothing ever is
			l.sendRecords(c, s, r)
			if l.flushCork(c); !c.Open() {
				return false
			}
		case takeLater:
			c.LetGo()
			l.awaitWritten(c, s, r)
			return false
		case takeRead:
			l.node.trackers.await(r)
			return false
		}
	}
}

// sendRecords sends the publications that were taken.
func (l *loop) sendRecords(c *netpoll.Conn, s *session, r *recovery) {
	class, grown := s.subs.Class, 0
	for _, k := range r.values {
		form, more := k.form(l.node, class)
		l.answer(c, l.ownForm(s, form))
		if more > 0 {
			grown += more
			l.node.trackers.grow(r.track, k, more)
		}
	}
	if n := len(r.values); n > 0 {
		r.since, r.last, r.sent = r.values[n-1].head.Position, 0, true
	}
	clear(r.values)
	r.values = r.values[:0]
}

// finish ends a join that has taken effect.
func (l *loop) finish(c *netpoll.Conn, s *session, r *recovery, err *command.Error) {
	t := l.node.trackers
	t.release(r.track)
	if e := l.more(s); e != nil && e.recovery == r {
		e.recovery = nil
	}
	if r.asked {
		switch {
		case err != nil:
			t.counts.recoveries[recoveryFailed].Add(1)
		case r.lost:
			t.counts.recoveries[recoveryLost].Add(1)
		default:
			t.counts.recoveries[recoveryDone].Add(1)
		}
	}
	r.then(c, s, recovered{channel: r.track.name, position: r.at, asked: r.asked, lost: r.lost, err: err})
}

// tell passes an answer of the engine to the loop, or wakes the join because the log has
// changed. own says that the question was for this join too. It may be called from any goroutine.
func (r *recovery) tell(page *history.Page[*record], own bool, err error) {
	r.loop.net.PostTo(r.conn, func(c *netpoll.Conn) { r.loop.heard(c, r, page, own, err) })
}

// heard goes on with a join that has waited.
func (l *loop) heard(c *netpoll.Conn, r *recovery, page *history.Page[*record], own bool, err error) {
	s := l.session(c)
	if e := l.more(s); !c.Open() || e == nil || e.recovery != r {
		return // the session has ended
	}
	l.startCork(c)
	if page != nil {
		r.page = page
	}
	if own {
		r.tries++
	}
	if err != nil && !r.revoked {
		l.joinWithout(c, s, r, err)
	} else {
		l.goOn(c, s, r)
	}
	l.uncork()
	l.relieve()
}

// joinWithout joins a channel whose history cannot be read now.
func (l *loop) joinWithout(c *netpoll.Conn, s *session, r *recovery, err error) {
	l.hub.JoinIf(c.Slot(), &s.subs, r.track.name, func() bool {
		r.at = l.node.trackers.position(r.track)
		return true
	})
	r.lost = true
	bad := errHistory
	if errors.Is(err, broker.ErrDown) || errors.Is(err, broker.ErrClosed) {
		bad = errJoinedDeaf
	}
	l.finish(c, s, r, bad)
}

// awaitWritten goes on with a join when what is queued has been written.
func (l *loop) awaitWritten(c *netpoll.Conn, s *session, r *recovery) {
	c.LetGo() // of a stream, which is told here first that it is open
	c.WhenWritten(func(c *netpoll.Conn) { l.heard(c, r, nil, false, nil) })
}

// dropRecovery ends a join whose session ends.
func (l *loop) dropRecovery(e *extra) {
	if r := e.recovery; r != nil {
		e.recovery = nil
		l.node.trackers.release(r.track)
	}
}

// gapVoice returns how a class is told of a gap, without compression; nil if it is not.
func gapVoice(class hub.Class) func(channel []byte, position string) *buffer.Buffer {
	if v := &voices[class]; v.deflated {
		class = v.plain
	}
	return voices[class].gap
}

// silentInGaps are the classes that are told nothing of a gap.
var silentInGaps = func() (silent hub.Classes) {
	for class := range hub.Class(hub.NumClasses) {
		if gapVoice(class) == nil {
			silent.Add(class)
		}
	}
	return silent
}()
