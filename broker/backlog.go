package broker

import (
	"sync"
	"sync/atomic"

	"wsify/broker/internal/link"
)

// backlog is what was received for channels whose members have too much
// undelivered: it waits for room, each channel in its order. When the backlog is
// full, or half of it is of one channel, the newest is dropped and counted. Its
// methods may be called from any goroutine.
type backlog struct {
	r     *Remote
	limit int
	busy  atomic.Int64 // channels that wait

	mu     sync.Mutex // before the hub's locks: deliver is called with it
	waits  map[string]*queue
	bytes  int
	closed bool
	due    []*queue
	wakeup sync.Cond // of mu: due is not empty, or closed
}

// queue is what waits for one channel.
type queue struct {
	channel  string
	contents [][]byte
	bytes    int
	due      bool // in backlog.due
}

func newBacklog(limit int, r *Remote) *backlog {
	b := &backlog{r: r, limit: limit, waits: map[string]*queue{}}
	b.wakeup.L = &b.mu
	return b
}

// deliver gives a publication to the members, behind what waits for them.
func (b *backlog) deliver(channel, content []byte) {
	if b.busy.Load() == 0 && b.r.deliver(channel, content) == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.waits[string(channel)]
	if q == nil {
		if b.r.deliver(channel, content) == nil {
			return
		}
		q = &queue{channel: string(channel)}
	}
	size := len(content) + publicationOverhead
	if b.closed || b.bytes+size > b.limit || q.bytes+size > b.limit/2 {
		b.r.drop(dropBusy, channel, len(content))
		return
	}
	if q.bytes == 0 {
		b.waits[q.channel] = q
		b.busy.Add(1)
	}
	q.contents = append(q.contents, append([]byte(nil), content...))
	q.bytes += size
	b.bytes += size
}

// ready notes that a channel has room.
func (b *backlog) ready(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	q := b.waits[channel]
	if q == nil || q.due {
		return
	}
	q.due = true
	b.due = append(b.due, q)
	b.wakeup.Signal()
}

// run delivers what waits, when there is room, until the backlog is closed.
func (b *backlog) run() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for len(b.due) == 0 && !b.closed {
			b.wakeup.Wait()
		}
		if b.closed {
			return
		}
		q := b.due[0]
		b.due = b.due[1:]
		q.due = false // from here on ready puts it back
		if more := b.flush(q); more {
			q.due = true
			b.due = append(b.due, q)
		}
		b.mu.Unlock() // others have their turn
		b.mu.Lock()
	}
}

// flushSlice is how many publications are delivered while the lock is held.
const flushSlice = 64

// flush delivers what there is room for. It reports whether to go on.
func (b *backlog) flush(q *queue) (more bool) {
	for range flushSlice {
		if len(q.contents) == 0 {
			break
		}
		if b.r.deliver(link.Bytes(q.channel), q.contents[0]) != nil {
			return false // ready will be called
		}
		size := len(q.contents[0]) + publicationOverhead
		q.contents[0] = nil
		q.contents = q.contents[1:]
		q.bytes -= size
		b.bytes -= size
	}
	if len(q.contents) > 0 {
		return true
	}
	delete(b.waits, q.channel)
	b.busy.Add(-1)
	return false
}

// close drops what waits, which is counted.
func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, q := range b.waits {
		b.r.counts.dropped[dropBusy].Add(uint64(len(q.contents)))
	}
	clear(b.waits)
	b.due, b.bytes = nil, 0
	b.busy.Store(0)
	b.wakeup.Broadcast()
}

// size returns the bytes that wait, and for how many channels.
func (b *backlog) size() (bytes, channels int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes, len(b.waits)
}
