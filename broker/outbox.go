package broker

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"wsify/broker/internal/link"
	"wsify/internal/ring"
)

// publicationOverhead is the memory that a waiting publication takes besides its bytes.
const publicationOverhead = 128

// outbox is a queue of publications for the engine, and a queue of waiters for room in it, first
// come, first served. Any goroutine may call its methods.
type outbox struct {
	limit int // bytes that may wait; an empty outbox takes a publication of any size

	mu      sync.Mutex // a leaf lock
	filled  sync.Cond  // of mu: waiting is not empty, or the outbox is closed
	waiting ring.Ring[Publication]
	bytes   int       // of waiting, and kept for waiters that were told
	waiters list.List // of *Waiter
	closed  bool
}

// Waiter is a publisher that waits for room in a broker. It serves one wait.
type Waiter struct {
	// ID names the waiter. It means nothing to the broker.
	ID uint64

	// Guarded by outbox.mu.
	size  int           // of its publication
	kept  int           // bytes kept for it: size, once it was told
	place *list.Element // in outbox.waiters, nil when it is not there
}

func newOutbox(limit int) *outbox {
	o := &outbox{limit: limit}
	o.filled.L = &o.mu
	return o
}

// put adds p without copying it. When there is no room, or others wait for it, a w that is not nil
// waits behind them.
func (o *outbox) put(p Publication, w *Waiter) error {
	size := p.size()
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return ErrClosed
	case w != nil && w.kept > 0:
		o.bytes -= w.kept
		w.kept = 0
	case !o.hasRoom(size) || o.waiters.Len() > 0:
		if w != nil && w.place == nil {
			w.size, w.place = size, o.waiters.PushBack(w)
		}
		return ErrFull
	}
	o.bytes += size
	o.waiting.Push(p)
	if o.waiting.Len() == 1 {
		o.filled.Signal()
	}
	return nil
}

// size is the number of bytes that p counts for while it waits.
func (p *Publication) size() int { return len(p.Channel) + len(p.Content) + publicationOverhead }

func (o *outbox) hasRoom(size int) bool { return o.bytes == 0 || o.bytes+size <= o.limit }

// take waits for publications and appends the first of them to batch, up to MaxPublications or
// MaxPublishBytes. told are the waiters that get the freed room. ok is false when the outbox is
// closed and empty.
func (o *outbox) take(batch []Publication) (_ []Publication, told []*Waiter, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.waiting.Len() == 0 && !o.closed {
		o.filled.Wait()
	}
	n, size := 0, 0
	for o.waiting.Len() > 0 && n < MaxPublications && size < MaxPublishBytes {
		p := o.waiting.Pop()
		size += len(p.Content)
		o.bytes -= p.size()
		batch = append(batch, p)
		n++
	}
	return batch, o.grant(), n > 0
}

// forgo ends the wait of w, or frees the room kept for it. told are the waiters that get that room.
func (o *outbox) forgo(w *Waiter) (told []*Waiter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.place != nil {
		o.waiters.Remove(w.place)
		w.place = nil
	}
	o.bytes -= w.kept
	w.kept = 0
	return o.grant()
}

// grant ends the wait of the waiters that now have room, and keeps the room for them. Needs mu.
func (o *outbox) grant() (told []*Waiter) {
	for first := o.waiters.Front(); first != nil; first = o.waiters.Front() {
		w := first.Value.(*Waiter)
		if !o.hasRoom(w.size) {
			break
		}
		o.waiters.Remove(first)
		w.place, w.kept = nil, w.size
		o.bytes += w.size
		told = append(told, w)
	}
	return told
}

// close makes put refuse publications.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.filled.Broadcast()
}

// size returns the number of waiting publications and the bytes in use.
func (o *outbox) size() (publications, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting.Len(), o.bytes
}

// publishing gives the engine the publications of the outbox in order, until the outbox is closed
// and empty; then it ends the other goroutines. One goroutine runs it.
func (r *Remote) publishing() {
	defer r.backlog.close()
	defer r.stop(ErrClosed)
	var batch []Publication
	for {
		var told []*Waiter
		var ok bool
		batch, told, ok = r.outbox.take(batch[:0])
		r.tell(told)
		if !ok {
			return
		}
		r.publishBatch(batch)
		now := time.Now()
		for i := range batch {
			r.published(&batch[i], now)
		}
		clear(batch)
	}
}

// publishBatch sets the outcome of each publication.
func (r *Remote) publishBatch(batch []Publication) {
	r.using.Lock() // so that the link is not closed meanwhile
	defer r.using.Unlock()
	l := r.current.Load()
	if l == nil || l.ctx.Err() != nil {
		for i := range batch {
			batch[i].Err = ErrDown
		}
		return
	}
	ctx, cancel := link.Within(l.ctx, PublishTimeout)
	defer cancel()
	l.link.Publish(ctx, batch)
	if ctx.Err() != nil && l.ctx.Err() == nil {
		l.Lost(link.ErrNoAnswer)
	}
}

// published counts the outcome of p and passes it to done.
func (r *Remote) published(p *Publication, now time.Time) {
	r.counts.outcome(p.Err)
	if p.Err == nil {
		r.cfg.PublishTook(now.Sub(p.at))
	}
	if p.Err != nil && !errors.Is(p.Err, ErrDown) && !errors.Is(p.Err, ErrUnknown) {
		r.faults.Warn("the engine refuses publications; the publishers get an error (at debug the log says why)")
		r.log.Debug("a publication was refused", "channel", p.Channel, "err", p.Err)
	}
	if p.done != nil {
		p.done(p.Receipt, p.Err)
	}
	r.pending.Add(-1)
}
