package follow

import (
	"bytes"

	"wsify/broker"
	"wsify/internal/history"
)

// Deliver adds a publication with a position to the log of its channel, and gives the members what
// is next. Its slices are borrowed, but for the content of a broker that is not asynchronous: that is shared.
func (f *Follower) Deliver(p Publication) {
	f.mu.Lock()
	ch := f.channels[string(p.Channel)]
	f.mu.Unlock()
	if ch == nil {
		return // nobody here is a member
	}
	if f.broker.Asynchronous() { // a broker that is not keeps the content, in memory that is never written again
		p.Content = bytes.Clone(p.Content)
	}
	entry := newRecord(ch.name, p.Content, p.Head).entry()
	f.mu.Lock()
	if ch.gone {
		f.mu.Unlock()
		return
	}
	if !ch.log.Put(entry) {
		f.counts.doubles.Add(1)
	}
	s := f.beginLocked(ch)
	f.mu.Unlock()
	f.carryOut(ch, s, false)
}

// step is a step of a log, with what belongs to it.
type step struct {
	what  history.Step
	entry history.Entry[*record]
	at    history.Position // of a gap
}

// beginLocked returns the next step for the caller to carry out. Only one goroutine carries out
// the steps of a channel; to the others there is nothing to do.
func (f *Follower) beginLocked(ch *channel) step {
	if ch.busy {
		return step{}
	}
	ch.busy = true
	return f.nextLocked(ch)
}

// nextLocked returns the next step. If there is none now, the caller is done.
func (f *Follower) nextLocked(ch *channel) (s step) {
	switch s.what, s.entry = ch.log.Next(); s.what {
	case history.Deliver:
		return s
	case history.Gap:
		s.at, _ = ch.log.Position()
		return s
	case history.Read, history.Start:
		if !ch.resting {
			f.orderLocked(ch)
		}
	}
	ch.busy = false
	f.forgetLocked(ch)
	return step{}
}

// carryOut carries out steps, from the first one that beginLocked has returned. With wait, it waits
// before each until the members have room.
func (f *Follower) carryOut(ch *channel, s step, wait bool) {
	for s.what != history.Idle {
		if wait {
			f.members.AwaitRoom(ch.name, s.entry.Size)
		}
		if s.what == history.Gap {
			f.counts.gaps.Add(1)
			f.members.TellGap(ch.name, broker.Position(s.at), ch.given)
		} else {
			f.members.Give(&s.entry.Value.Publication, ch.given)
		}
		f.mu.Lock()
		s = f.nextLocked(ch)
		f.mu.Unlock()
	}
}
