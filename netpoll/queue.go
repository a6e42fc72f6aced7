package netpoll

import (
	"golang.org/x/sys/unix"

	"wsify/internal/buffer"
	"wsify/internal/invariants"
)

// queue is the outbound queue of a connection while the kernel takes no more. It
// holds references to shared buffers, and copies only messages smaller than the
// memory that a reference may keep.
//
// A connection has one only while something is queued. It lies in a table of the
// loop, and keeps the memory of its items for the next connection that needs a queue.
type queue struct {
	items  []*buffer.Buffer
	head   int    // items before head are written
	off    int    // bytes of items[head] that are written
	bytes  int    // memory that the queue would keep if it were the only one (I11)
	slot   uint32 // of its connection
	last   int    // of a lingering connection: what was unwritten at the last deadline
	longer int    // and how often it got more time since
}

// placeSize is what an element of items counts: a pointer and a spare one, because
// the capacity of items is up to twice what it needs.
const placeSize = 16

// cost is what a queue counts for b: all its memory, even if b is written in part.
// Other queues that hold b do not reduce it, because they may drop b at any moment.
// Thus the mark of a connection bounds what it alone can keep. The sum over the loops
// counts each buffer once.
func cost(b *buffer.Buffer) int { return placeSize + b.Memory() }

// Bounds on what empty queues keep: how many of them have items, and how many each.
const (
	keepQueues      = 256
	keepQueueLength = 64
)

// queue returns the outbound queue of c, which must have one.
func (c *Conn) queue() *queue { return c.Loop().queues.At(c.out) }

// maxIovecs is how many buffers one gathered write takes. The kernel's bound is
// 1024 (IOV_MAX, writev(2)); more than some dozens bring no gain.
const maxIovecs = 64

// enqueue adds a reference to b. The first off bytes of b are already written.
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

// compact moves the unwritten items to the front when items is full and half of it
// is written: a queue that never empties must not grow forever.
func (q *queue) compact() {
	if len(q.items) < cap(q.items) || 2*q.head < len(q.items) {
		return
	}
	n := copy(q.items, q.items[q.head:])
	clear(q.items[n:])
	q.items, q.head = q.items[:n], 0
}

// letGo drops the reference to b and returns how much memory no queue keeps any longer.
func (q *queue) letGo(b *buffer.Buffer) (freed int) {
	q.bytes -= cost(b)
	return placeSize + b.Drop()
}

// flush writes the queue until the kernel takes no more. It closes the connection
// when a write fails.
func (c *Conn) flush() {
	if c.has(flagHeld) {
		return
	}
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
	if c.out == 0 && c.flags&(flagLingering|flagTell) != 0 {
		c.allWritten()
	}
}

// write makes one system call for what is not yet written, or for the front of it.
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

// DropQueued discards the queue, except a buffer that the kernel has taken in part,
// so that the peer never sees half a frame, and the first one that is held. It frees a slow consumer's memory
// before its Close frame is sent.
func (c *Conn) DropQueued() {
	c.check()
	if c.out == 0 {
		return
	}
	q := c.queue()
	if q.off != 0 || c.has(flagHeld) {
		c.dropFrom(q, q.head+1)
		return
	}
	c.dropQueue()
	c.watchWritable(false)
	if c.has(flagLingering) {
		c.shutWhenWritten()
	}
}

// dropQueue discards the whole queue.
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

// watchWritable keeps write interest on exactly while something is queued that may be
// written (I5).
func (c *Conn) watchWritable(on bool) {
	if on == c.has(flagWriteOn) || c.flags&(flagOpen|flagHeld) != flagOpen {
		return
	}
	c.flags ^= flagWriteOn
	c.setInterest()
}

// giveQueue returns the empty queue q of c to the loop.
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
