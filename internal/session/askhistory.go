package session

import (
	"context"
	"errors"
	"time"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/history"
)

// Bounds of the questions to the engine.
const (
	maxReaders  = 16              // at once; each has a goroutine
	readTimeout = 5 * time.Second // for one question, and before it for the subscription
	roomTimeout = 5 * time.Second
	restFirst   = 100 * time.Millisecond // before the next question about a channel, when one has failed; it doubles
	restLast    = 3 * time.Second        // while the link is lost
	maxFailed   = 5                      // failures until a gap is given up
)

// historyQuestion is what the engine is asked about one channel. With last above zero it is for the
// newest ones, else for what follows after.
type historyQuestion struct {
	kind  questionKind
	asked time.Time
	after broker.Position
	last  int

	lapses int // of the tracker, when the question was made
}

// behind reports whether something may be missing that the engine was not asked for. A link may
// be lost, and be back, while a question is under way.
func (tr *tracker) behind() bool { return tr.lapses != tr.checked }

type questionKind uint8

const (
	askNothing questionKind = iota
	askStart                // for the first position of a channel
	askMissing              // for what the members miss
	askOlder                // for what a join needs, and the log does not have
)

// answer is what an engine has said about the past of a channel.
type answer struct {
	asked    time.Time
	after    broker.Position // what it was asked for; zero if nothing
	tail     broker.Position
	complete bool
}

// denies reports whether the answer says that not all is kept that follows p, to a join that
// has begun at some time. What is not kept any more does not come back, so in a storm of
// reconnects one answer is enough. Positions of the future and of other epochs may come from a
// node that is ahead of this one: there the answer has to be newer than the join.
func (a *answer) denies(p broker.Position, began time.Time) bool {
	if !a.complete && p.Epoch == a.after.Epoch && p.Epoch == a.tail.Epoch && p.Offset <= a.after.Offset && a.after.Offset <= a.tail.Offset {
		return true
	}
	return a.asked.After(began) && (p.Epoch != a.tail.Epoch || p.Offset > a.tail.Offset)
}

// orderLocked makes a reader ask the engine about a channel.
func (t *trackers) orderLocked(tr *tracker) {
	if tr.due || tr.gone {
		return
	}
	tr.due = true
	t.due.Push(tr)
	if t.readers < maxReaders {
		t.readers++
		go t.serve()
	}
}

// serve asks about one channel after another, until none is due.
func (t *trackers) serve() {
	for {
		t.mu.Lock()
		if t.due.Len() == 0 {
			t.readers--
			t.mu.Unlock()
			return
		}
		tr := t.due.Pop()
		q := tr.question()
		t.mu.Unlock()
		q.asked = time.Now()
		t.read(tr, q)
	}
}

// question returns what the engine has to be asked. Needs trackers.mu.
func (tr *tracker) question() historyQuestion {
	at, known := tr.log.Position()
	step, most := tr.log.Peek(), tr.most()
	switch {
	case tr.gone:
		return historyQuestion{}
	case !known:
		return historyQuestion{kind: askStart, after: most.since, last: most.last}
	case tr.behind() || step == history.Read:
		return historyQuestion{kind: askMissing, after: broker.Position(at), lapses: tr.lapses}
	case len(tr.waiting) == 0:
		return historyQuestion{}
	case most.last == 0 && (most.since.Epoch != at.Epoch || most.since.Offset > at.Offset):
		return historyQuestion{kind: askMissing, after: broker.Position(at), lapses: tr.lapses}
	}
	return historyQuestion{kind: askOlder, after: most.since, last: most.last}
}

// most returns the largest wish of the joins that wait: of those that are like the first, the one
// that reaches back the farthest. So its answer serves the others, too.
func (tr *tracker) most() (f from) {
	for i, r := range tr.waiting {
		switch {
		case i == 0:
			f = r.from
		case r.last > 0 && f.last > 0:
			f.last = max(f.last, r.last)
		case r.last == 0 && f.last == 0 && r.since.Epoch == f.since.Epoch:
			f.since.Offset = min(f.since.Offset, r.since.Offset)
		}
	}
	return f
}

// isFor reports whether an answer to q is for a join too: if it does not help, the next one may
// not, either.
func (q *historyQuestion) isFor(f from) bool {
	switch {
	case q.kind == askMissing:
		return f.last == 0 && (f.since.Epoch != q.after.Epoch || f.since.Offset > q.after.Offset)
	case q.last > 0 || f.last > 0:
		return f.last > 0 && q.last >= f.last
	}
	return f.since.Epoch == q.after.Epoch && f.since.Offset >= q.after.Offset
}

// read asks the engine, and gives what it answers to the members and the joins that wait.
func (t *trackers) read(tr *tracker, q historyQuestion) {
	var page *history.Page[*record]
	var err error
	if q.kind != askNothing {
		page, err = t.ask(tr, q)
		t.counts.reads[toInt(err == nil)].Add(1)
	}
	t.mu.Lock()
	if tr.due = false; err != nil {
		t.failedLocked(tr, err)
	} else {
		t.apply(tr, q, page)
	}
	told := tr.waiting
	tr.waiting = nil
	s := t.beginLocked(tr)
	if tr.behind() && !tr.resting {
		t.orderLocked(tr)
	}
	t.mu.Unlock()
	t.carryOut(tr, s, func(size int) { t.awaitRoom(tr.name, size) })
	for _, r := range told {
		r.tell(page, q.isFor(r.from), err)
	}
}

// ask asks the engine. It blocks. The first question about a channel waits for its
// subscription: what is published from then on arrives.
func (t *trackers) ask(tr *tracker, q historyQuestion) (*history.Page[*record], error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	if q.kind == askStart {
		if err := t.awaitSubscription(ctx, tr.name); err != nil {
			return nil, err
		}
	}
	if q.last > 0 {
		q.after = broker.Position{}
	}
	p, err := t.source.ReadHistory(ctx, string(tr.name), q.after, q.last)
	if lost := err == nil && !p.Complete && q.kind == askMissing; lost && (p.Tail.Epoch != q.after.Epoch || p.Tail.Offset > q.after.Offset) {
		q.after, q.last = broker.Position{}, t.size // what is left of it
		p, err = t.source.ReadHistory(ctx, string(tr.name), q.after, q.last)
	}
	if err != nil {
		return nil, err
	}
	page := pageOf(tr.name, &p, q.after, q.last)
	return &page, nil
}

func (t *trackers) awaitSubscription(ctx context.Context, channel []byte) error {
	confirmed := make(chan error, 1)
	pending, err := t.node.broker.Await(channel, func(err error) { confirmed <- err })
	if !pending {
		return err
	}
	select {
	case err = <-confirmed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// apply adds an answer to the log. Needs mu.
func (t *trackers) apply(tr *tracker, q historyQuestion, page *history.Page[*record]) {
	tr.failed, tr.downs, tr.resting = 0, 0, false
	if q.kind == askNothing || tr.gone {
		return
	}
	tr.answer = answer{asked: q.asked, after: q.after, tail: broker.Position(page.Tail), complete: page.Complete}
	switch q.kind {
	case askStart:
		tr.log.Begin(*page, tr.members)
	case askMissing:
		tr.checked = q.lapses
		tr.log.Fill(history.Position(q.after), *page)
	case askOlder:
		tr.log.Backfill(*page)
	}
}

// failedLocked notes that a question has failed. It is asked again after a rest. A gap that
// cannot be read for long is given up, but not while the engine is unreachable: then nothing
// arrives, either.
func (t *trackers) failedLocked(tr *tracker, err error) {
	switch {
	case errors.Is(err, broker.ErrClosed):
		tr.resting = true
		return
	case errors.Is(err, broker.ErrDown):
		tr.downs = min(tr.downs+1, maxFailed)
	default:
		tr.failed++
	}
	rest := restFirst << max(tr.failed, tr.downs) / 2
	if tr.failed >= maxFailed {
		tr.failed, tr.checked = 0, tr.lapses
		tr.log.GiveUp()
	}
	t.restLocked(tr, rest)
}

// restLocked asks about a channel again after a rest, if there is still something to ask. While
// the link is lost, it rests on.
func (t *trackers) restLocked(tr *tracker, rest time.Duration) {
	tr.resting = true
	time.AfterFunc(rest, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		_, known := tr.log.Position()
		switch {
		case tr.gone || !tr.resting || known && !tr.behind() && tr.log.Peek() < history.Read:
			tr.resting = false
		case !t.node.broker.Up():
			t.restLocked(tr, restLast)
		default:
			tr.resting = false
			t.orderLocked(tr)
		}
	})
}

// awaitRoom waits until the members of a channel have room for size bytes. Members that are
// too slow are closed, so that takes no longer than roomTimeout.
func (t *trackers) awaitRoom(channel []byte, size int) {
	room := make(chan struct{})
	w := &hub.Waiter{First: true, Came: func() { close(room) }}
	if !t.node.hub.AwaitRoom(channel, size, w) {
		return
	}
	select {
	case <-room:
	case <-time.After(roomTimeout):
	}
	t.node.hub.Forgo(w)
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
