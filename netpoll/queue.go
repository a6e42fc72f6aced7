package netpoll

import (
	"golang.org/x/sys/unix"

	"wsify/internal/buffer"
	"wsify/internal/invariants"
)

// queue is the outbound queue of a connection the kernel takes no more from. It
// holds references to shared buffers; it copies only what is smaller than the
// memory a reference may keep.
//
// A connection has one only while something is queued. It lies in a table of the
// loop's, and keeps the memory of its places for the next that needs one.
type queue struct {
	items []*buffer.Buffer
	head  int    // items before head are written
	off   int    // bytes of items[head] that are written
	bytes int    // memory that the queue would keep if it were the only one (I11)
	slot  uint32 // of its connection
}

// placeSize is what the place of a buffer counts for: a pointer, and a spare one, as
// items has up to twice the places it needs.
const placeSize = 16

// cost is what a queue counts for b, written in part or not: all its memory, though
// others may hold it too. They need not, and may be gone the next moment. So the mark
// of a connection bounds what it alone can keep; what all keep together, where a buffer
// counts once, is the sum over the loops.
func cost(b *buffer.Buffer) int { return placeSize + b.Memory() }

// Bounds on what is kept of empty queues: how many keep places, and how many each.
const (
	keepQueues      = 256
	keepQueueLength = 64
)

// queue returns the outbound queue of c, which has one.
func (c *Conn) queue() *queue { return c.Loop().queues.At(c.out) }

// maxIovecs is how many buffers one gathered write takes. The kernel's bound is
// 1024 (IOV_MAX, writev(2)); beyond some dozens nothing is gained.
const maxIovecs = 64

// enqueue adds a reference to b, of which the first off bytes are written
// already.
func (c *Conn) enqueue(b *buffer.Buffer, off int) {
	var q *queue
	if c.out == 0 {
		c.out, q = c.Loop().queues.Take()
		q.off, q.slot = off, c.Slot()
		if q.items == nil {
			q.items = make([]*buffer.Buffer, 0, 4)
		}
	} else {
		q = c.queue()
	}
	q.compact()
	q.items = append(q.items, b)
	q.bytes += cost(b)
	c.Loop().countQueued(q.bytes, placeSize+b.Hold())
}

// compact moves what is left to the front when the items are full and half of
// them written: a queue that never empties must not grow for ever.
func (q *queue) compact() {
	if len(q.items) < cap(q.items) || 2*q.head < len(q.items) {
		return
	}
	n := copy(q.items, q.items[q.head:])
	clear(q.items[n:])
	q.items, q.head = q.items[:n], 0
}

// letGo drops the reference to b and returns how much memory no queue keeps any more.
func (q *queue) letGo(b *buffer.Buffer) (freed int) {
	q.bytes -= cost(b)
	return placeSize + b.Drop()
}

// flush writes what is queued until the kernel takes no more. It closes the
// connection when the kernel refuses.
func (c *Conn) flush() {
	for c.out != 0 {
		n, e := c.queue().write(c.fd)
		if wouldBlock(e) {
			break
		}
		if e != 0 {
			c.Close(ReasonReset)
			return
		}
		c.written(n)
	}
	c.watchWritable(c.out != 0)
	if c.out == 0 && c.has(flagLingering) {
		c.shutWhenWritten()
	}
}

// write makes one system call for what is not written yet, or for the front of it.
func (q *queue) write(fd int32) (int, unix.Errno) {
	if q.head == len(q.items)-1 {
		return send(fd, q.items[q.head].Bytes()[q.off:])
	}
	var iov [maxIovecs]unix.Iovec
	return sendv(fd, q.gather(iov[:0]))
}

// gather appends the unwritten pieces to iov, up to its capacity.
func (q *queue) gather(iov []unix.Iovec) []unix.Iovec {
	off := q.off
	for _, b := range q.items[q.head:] {
		if len(iov) == cap(iov) {
			break
		}
		p := b.Bytes()[off:]
		off = 0
		v := unix.Iovec{Base: &p[0]}
		v.SetLen(len(p))
		iov = append(iov, v)
	}
	return iov
}

// written takes n bytes off the head of the queue.
func (c *Conn) written(n int) {
	q := c.queue()
	c.Loop().sent(n)
	freed := 0
	for n > 0 {
		b := q.items[q.head]
		left := b.Len() - q.off
		if n < left {
			q.off += n
			break
		}
		n -= left
		q.off = 0
		q.items[q.head] = nil
		q.head++
		freed += q.letGo(b)
	}
	c.Loop().queuedBytes.Add(-int64(freed))
	if q.head == len(q.items) {
		c.giveQueue(q)
	}
}

// DropQueued discards what is queued, except for a buffer the kernel has taken a
// part of, so that the peer never sees half a frame. It gives a slow consumer's
// memory back before its Close frame is sent.
func (c *Conn) DropQueued() {
	c.check()
	if c.out == 0 {
		return
	}
	q := c.queue()
	if q.off != 0 {
		c.dropFrom(q, q.head+1)
		return
	}
	c.dropQueue()
	c.watchWritable(false)
	if c.has(flagLingering) {
		c.shutWhenWritten()
	}
}

// dropQueue discards what is queued.
func (c *Conn) dropQueue() {
	q := c.queue()
	c.dropFrom(q, q.head)
	c.giveQueue(q)
}

// dropFrom discards the items from index i on.
func (c *Conn) dropFrom(q *queue, i int) {
	freed := 0
	for _, b := range q.items[i:] {
		freed += q.letGo(b)
	}
	clear(q.items[i:])
	q.items = q.items[:i]
	c.Loop().queuedBytes.Add(-int64(freed))
}

// watchWritable keeps write interest on exactly while something is queued (I5).
func (c *Conn) watchWritable(on bool) {
	if on == c.has(flagWriteOn) || !c.has(flagOpen) {
		return
	}
	c.flags ^= flagWriteOn
	c.setInterest()
}

// giveQueue takes the empty queue q off c.
func (c *Conn) giveQueue(q *queue) {
	if invariants.Enabled {
		invariants.Check(q.bytes == 0, "I11: %d bytes are counted for an empty queue", q.bytes)
	}
	clear(q.items)
	if c.out > keepQueues || cap(q.items) > keepQueueLength {
		*q = queue{}
	} else {
		*q = queue{items: q.items[:0]}
	}
	c.Loop().queues.Give(c.out)
	c.out = 0
}
