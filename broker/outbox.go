package broker

import (
	"errors"
	"sync"
	"time"
)

// publicationOverhead is what a publication that waits costs beside its bytes.
const publicationOverhead = 128

// outbox is publications that wait for the engine, in order. Its methods may be
// called from any goroutine.
type outbox struct {
	limit int // bytes that may wait; an empty outbox takes a publication of any size

	mu      sync.Mutex // a leaf lock
	filled  sync.Cond  // of mu: something waits, or closed
	waiting []publication
	bytes   int
	refused bool // put has returned ErrFull, and take has not told of room since
	closed  bool
}

func newOutbox(limit int) *outbox {
	o := &outbox{limit: limit}
	o.filled.L = &o.mu
	return o
}

// put adds p, which it copies nothing of. Once it has refused somebody it refuses
// everybody until take tells of room: who comes later would fill it for ever.
func (o *outbox) put(p publication) error {
	size := len(p.channel) + len(p.content) + publicationOverhead
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return ErrClosed
	case o.refused || o.bytes > 0 && o.bytes+size > o.limit:
		o.refused = true
		return ErrFull
	}
	o.bytes += size
	o.waiting = append(o.waiting, p)
	if len(o.waiting) == 1 {
		o.filled.Signal()
	}
	return nil
}

// take waits for publications and appends the first of them to batch, up to
// maxPublications or maxPublishBytes. room reports that put has refused something
// that there is room for now. ok is false when the outbox is closed and empty.
func (o *outbox) take(batch []publication) (_ []publication, room, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) == 0 && !o.closed {
		o.filled.Wait()
	}
	n, size := 0, 0
	for n < len(o.waiting) && n < maxPublications && size < maxPublishBytes {
		p := &o.waiting[n]
		size += len(p.content)
		o.bytes -= len(p.channel) + len(p.content) + publicationOverhead
		batch = append(batch, *p)
		*p = publication{}
		n++
	}
	o.waiting = o.waiting[n:]
	if len(o.waiting) == 0 {
		o.waiting = nil
	}
	room = o.refused && o.bytes <= o.limit/2
	if room {
		o.refused = false
	}
	return batch, room, n > 0
}

// close lets nothing more in.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.filled.Broadcast()
}

// depth returns how many publications wait, and their bytes.
func (o *outbox) depth() (publications, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting), o.bytes
}

// publishing is one goroutine that gives the engine what is in the outbox, in
// order, until the outbox is closed and empty.
func (r *Remote) publishing() {
	defer close(r.emptied)
	var batch []publication
	for {
		var room, ok bool
		batch, room, ok = r.outbox.take(batch[:0])
		if !ok {
			return
		}
		if room && r.room != nil {
			r.room()
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
func (r *Remote) publishBatch(batch []publication) {
	r.using.RLock() // the link is not closed meanwhile
	defer r.using.RUnlock()
	l := r.current
	if l == nil || !r.up.Load() || l.ctx.Err() != nil {
		for i := range batch {
			batch[i].err = ErrDown
		}
		return
	}
	ctx, cancel := within(l.ctx, publishTimeout)
	defer cancel()
	l.link.publish(ctx, batch)
	if ctx.Err() != nil && l.ctx.Err() == nil {
		l.lost(errNoAnswer)
	}
}

// published counts an outcome and tells it.
func (r *Remote) published(p *publication, now time.Time) {
	r.counts.outcome(p.err, now.Sub(p.at))
	if p.err != nil && !errors.Is(p.err, ErrDown) && !errors.Is(p.err, ErrUnknown) {
		r.warn(&r.rejecting, "the engine refuses publications; who published is told (at debug the log says why)")
		r.log.Debug("a publication was refused", "channel", p.channel, "err", p.err)
	}
	if p.done != nil {
		p.done(p.err)
	}
}
