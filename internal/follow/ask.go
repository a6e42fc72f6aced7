package follow

import (
	"context"
	"errors"
	"time"

	"wsify/broker"
	"wsify/internal/history"
)

// Bounds of the questions to the engine.
const (
	maxReaders  = 16                     // at once; each has a goroutine
	readTimeout = 5 * time.Second        // for one question, and before it for the subscription
	restFirst   = 100 * time.Millisecond // before the next question about a channel, when one has failed; it doubles
	restLast    = 3 * time.Second        // while the link is lost
	maxFailed   = 5                      // failures until a gap is given up
)

// orderLocked makes a reader ask the engine about a channel.
func (f *Follower) orderLocked(ch *channel) {
	if ch.due || ch.gone {
		return
	}
	ch.due = true
	f.due.Push(ch)
	if f.readers < maxReaders {
		f.readers++
		go f.serve()
	}
}

// serve asks about one channel after another, until none is due.
func (f *Follower) serve() {
	for {
		f.mu.Lock()
		if f.due.Len() == 0 {
			f.readers--
			f.mu.Unlock()
			return
		}
		ch := f.due.Pop()
		q := ch.question()
		f.mu.Unlock()
		q.asked = time.Now()
		f.read(ch, q)
	}
}

// read asks the engine, and gives what it answers to the members and the joins that wait.
func (f *Follower) read(ch *channel, q question) {
	var page *history.Page[*record]
	var err error
	if q.kind != askNothing {
		page, err = f.ask(ch, q)
		f.counts.read(err)
	}
	f.mu.Lock()
	if ch.due = false; err != nil {
		f.failedLocked(ch, err)
	} else {
		f.applyLocked(ch, q, page)
	}
	told := ch.waiting
	ch.waiting = nil
	s := f.beginLocked(ch)
	if ch.behind() && !ch.resting {
		f.orderLocked(ch)
	}
	f.mu.Unlock()
	f.carryOut(ch, s, true)
	for _, j := range told {
		j.joiner.Tell(News{page, q.isFor(j.From), err})
	}
}

// ask asks the engine. It blocks. The first question about a channel waits for its
// subscription: what is published from then on arrives.
func (f *Follower) ask(ch *channel, q question) (*history.Page[*record], error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	if q.kind == askStart {
		if err := f.awaitSubscription(ctx, ch.name); err != nil {
			return nil, err
		}
	}
	if q.last > 0 {
		q.after = broker.Position{}
	}
	p, err := f.broker.ReadHistory(ctx, string(ch.name), q.after, q.last)
	if lost := err == nil && !p.Complete && q.kind == askMissing; lost && (p.Tail.Epoch != q.after.Epoch || p.Tail.Offset > q.after.Offset) {
		q.after, q.last = broker.Position{}, f.keep.Size // what is left of it
		p, err = f.broker.ReadHistory(ctx, string(ch.name), q.after, q.last)
	}
	if err != nil {
		return nil, err
	}
	return pageOf(ch.name, &p, q.after, q.last), nil
}

func (f *Follower) awaitSubscription(ctx context.Context, name []byte) error {
	confirmed := make(chan error, 1)
	pending, err := f.broker.Await(name, func(err error) { confirmed <- err })
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

// applyLocked adds an answer to the log.
func (f *Follower) applyLocked(ch *channel, q question, page *history.Page[*record]) {
	ch.failed, ch.downs, ch.resting = 0, 0, false
	if q.kind == askNothing || ch.gone {
		return
	}
	ch.answer = answer{asked: q.asked, after: q.after, tail: broker.Position(page.Tail), complete: page.Complete}
	switch q.kind {
	case askStart:
		ch.log.Begin(*page, ch.members)
	case askMissing:
		ch.checked = q.lapses
		ch.log.Fill(history.Position(q.after), *page)
	case askOlder:
		ch.log.Backfill(*page)
	}
}

// failedLocked notes that a question has failed. It is asked again after a rest. A gap that
// cannot be read for long is given up, but not while the engine is unreachable: then nothing
// arrives, either.
func (f *Follower) failedLocked(ch *channel, err error) {
	switch {
	case errors.Is(err, broker.ErrClosed):
		ch.resting = true
		return
	case errors.Is(err, broker.ErrDown):
		ch.downs = min(ch.downs+1, maxFailed)
	default:
		ch.failed++
	}
	rest := restFirst << max(ch.failed, ch.downs) / 2
	if ch.failed >= maxFailed {
		ch.failed, ch.checked = 0, ch.lapses
		ch.log.GiveUp()
	}
	f.restLocked(ch, rest)
}

// restLocked asks about a channel again after a rest, if there is still something to ask. While
// the link is lost, it rests on.
func (f *Follower) restLocked(ch *channel, rest time.Duration) {
	ch.resting = true
	time.AfterFunc(rest, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		_, known := ch.log.Position()
		switch {
		case ch.gone || !ch.resting || known && !ch.behind() && ch.log.Peek() < history.Read:
			ch.resting = false
		case !f.broker.Up():
			f.restLocked(ch, restLast)
		default:
			ch.resting = false
			f.orderLocked(ch)
		}
	})
}
