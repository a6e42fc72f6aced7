package broker

import (
	"bytes"
	"sync"
	"sync/atomic"

	"wsify/broker/internal/link"
	"wsify/internal/ring"
)

// backlog holds received publications of channels whose members have too much undelivered. They
// wait for room, each channel in its order. When the backlog is full, or one channel has half of
// it, the newest publication is dropped and counted. Any goroutine may call its methods.
type backlog struct {
	r     *Remote
	limit int
	busy  atomic.Int64 // channels with waiting publications

	mu     sync.Mutex // locked before the hub's locks: deliver is called with it held
	waits  map[string]*busyChannel
	bytes  int
	closed bool
	due    ring.Ring[*busyChannel]
	wakeup sync.Cond // of mu: due is not empty, or closed
}

// busyChannel is a channel with at least one waiting publication.
type busyChannel struct {
	name     string
	contents ring.Ring[[]byte]
	bytes    int
	due      bool // in backlog.due
	missed   bool // some were dropped
}

func newBacklog(limit int, r *Remote) *backlog {
	b := &backlog{r: r, limit: limit, waits: map[string]*busyChannel{}}
	b.wakeup.L = &b.mu
	return b
}

// deliver gives a publication to the members, after those that already wait for them.
func (b *backlog) deliver(channel, content []byte) {
	if b.busy.Load() == 0 && b.try(channel, content) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.waits[string(channel)]
	if c == nil {
		if b.try(channel, content) {
			return
		}
		c = &busyChannel{name: string(channel)}
	}
	size := len(content) + publicationOverhead
	if b.closed || b.bytes+size > b.limit || c.bytes+size > b.limit/2 {
		b.r.drop(dropBusy, channel, len(content))
		if c.bytes > 0 {
			c.missed = true
		} else if !b.closed {
			b.r.mayHaveMissed(c.name)
		}
		return
	}
	if c.bytes == 0 {
		b.waits[c.name] = c
		b.busy.Add(1)
	}
	c.contents.Push(bytes.Clone(content))
	c.bytes += size
	b.bytes += size
}

// try gives a publication to the members, or drops it when its head cannot be read. It reports false
// when they have no room.
func (b *backlog) try(channel, content []byte) (done bool) {
	err := b.r.deliver(channel, content)
	if err == ErrHead {
		b.r.drop(dropHead, channel, len(content))
	}
	return err == nil || err == ErrHead
}

// ready notes that a channel has room.
func (b *backlog) ready(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.waits[channel]; c != nil && !c.due {
		c.due = true
		b.due.Push(c)
		b.wakeup.Signal()
	}
}

// run delivers waiting publications as their channels get room, until the backlog is closed.
func (b *backlog) run() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for b.due.Len() == 0 && !b.closed {
			b.wakeup.Wait()
		}
		if b.closed {
			return
		}
		b.deliverFirst(b.due.Pop())
		b.mu.Unlock() // lets other goroutines in
		b.mu.Lock()
	}
}

// deliverFirst delivers the first waiting publication of c if there is still room; if not, ready
// will be called. Needs mu.
func (b *backlog) deliverFirst(c *busyChannel) {
	c.due = false
	content := *c.contents.At(0)
	if !b.try(link.Bytes(c.name), content) {
		return
	}
	c.contents.Pop()
	size := len(content) + publicationOverhead
	c.bytes -= size
	b.bytes -= size
	if c.bytes == 0 {
		delete(b.waits, c.name)
		b.busy.Add(-1)
		if c.missed {
			b.r.mayHaveMissed(c.name)
		}
		return
	}
	c.due = true
	b.due.Push(c)
}

// close drops the waiting publications and counts them.
func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, c := range b.waits {
		b.r.counts.dropped[dropBusy].Add(uint64(c.contents.Len()))
	}
	clear(b.waits)
	b.bytes = 0
	b.busy.Store(0)
	b.wakeup.Broadcast()
}

// size returns the bytes of the waiting publications.
func (b *backlog) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}
