package session

import (
	"wsify/broker"
	"wsify/hub"
	"wsify/internal/history"
)

// deliverTracked is deliver for a publication with a position.
func (n *Node) deliverTracked(p published) error {
	if n.mustWait(&p) {
		return hub.ErrBusy
	}
	n.trackers.received(p)
	return nil
}

// encodeThen encodes for encode, and calls then as hub.PublishThen does.
func (n *Node) encodeThen(p published, then func()) {
	var frames hub.Frames
	p.stamp, p.except = n.times.Stamp(p.channel), n.own(p.head.Except)
	for lacks := hub.Classes(1 << hub.Raw); lacks != 0; {
		for class := range lacks.Each() {
			n.speak(&frames, class, p)
		}
		_, lacks = n.hub.PublishThen(p.channel, &frames, 0, then)
	}
	frames.Release()
}

// encodeGap tells the members that something is missing before a position.
func (n *Node) encodeGap(channel []byte, at broker.Position, then func()) {
	var frames hub.Frames
	for again := true; again; {
		_, lacks := n.hub.PublishThen(channel, &frames, silentInGaps, then)
		for class := range lacks.Each() {
			frames[class] = gapVoice(class)(channel, at.String())
		}
		again = lacks != 0
	}
	frames.Release()
}

// received adds a publication with a position to the log of its channel, and gives the members
// what is next.
func (t *trackers) received(p published) {
	t.mu.Lock()
	tr := t.byName[string(p.channel)]
	t.mu.Unlock()
	if tr == nil {
		return // nobody here is a member
	}
	entry := entryOf(newRecord(tr.name, &p))
	t.mu.Lock()
	if tr.gone {
		t.mu.Unlock()
		return
	}
	if !tr.log.Put(entry) {
		t.counts.doubles.Add(1)
	}
	s := t.beginLocked(tr)
	t.mu.Unlock()
	t.carryOut(tr, s, nil)
}

// stepOf is a step of a log, with what belongs to it.
type stepOf struct {
	step  history.Step
	entry history.Entry[*record]
	at    history.Position // of a gap
}

// beginLocked returns the next step for the caller to carry out. Only one goroutine carries out
// the steps of a channel; to the others there is nothing to do.
func (t *trackers) beginLocked(tr *tracker) stepOf {
	if tr.busy {
		return stepOf{}
	}
	tr.busy = true
	return t.nextLocked(tr)
}

// nextLocked returns the next step. If there is none now, the caller is done.
func (t *trackers) nextLocked(tr *tracker) (s stepOf) {
	switch s.step, s.entry = tr.log.Next(); s.step {
	case history.Deliver:
		return s
	case history.Gap:
		s.at, _ = tr.log.Position()
		return s
	case history.Read, history.Start:
		if !tr.resting {
			t.orderLocked(tr)
		}
	}
	tr.busy = false
	t.forgetLocked(tr)
	return stepOf{}
}

// carryOut carries out steps, from the first one that beginLocked has returned. Before each,
// it calls wait, if there is one.
func (t *trackers) carryOut(tr *tracker, s stepOf, wait func(size int)) {
	for s.step != history.Idle {
		if wait != nil {
			wait(s.entry.Size)
		}
		this := s
		then := func() {
			t.mu.Lock()
			tr.log.Given()
			s = t.nextLocked(tr)
			t.mu.Unlock()
		}
		if this.step == history.Gap {
			t.counts.gaps.Add(1)
			t.node.encodeGap(tr.name, broker.Position(this.at), then)
		} else {
			t.node.encodeThen(this.entry.Value.published, then)
		}
	}
	t.tellSettled(tr)
}

// tellSettled tells the joins that wait, unless there is an answer to wait for.
func (t *trackers) tellSettled(tr *tracker) {
	t.mu.Lock()
	var told []*recovery
	if !tr.busy && !tr.due {
		told, tr.waiting = tr.waiting, nil
	}
	t.mu.Unlock()
	for _, r := range told {
		r.tell(nil, false, nil)
	}
}
