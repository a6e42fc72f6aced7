package netpoll

import "wsify/internal/buffer"

// Send writes p, or queues what the kernel does not take. p is borrowed: it is
// copied when it has to be queued.
//
// It reports false, and takes nothing, if the connection has been closed, or if the
// queue would pass its high-water mark (Config.MaxQueuedBytes). The caller decides
// what to do with a slow consumer. An empty queue takes a message of any size, so
// that a frame is never cut.
func (c *Conn) Send(p []byte) bool {
	return c.sendCopy(p, c.Loop().maxQueued)
}

// SendUrgent is Send for control frames: they may pass the high-water mark by
// urgentReserve bytes. A message above the mark, which only an empty queue takes,
// does not count against them.
func (c *Conn) SendUrgent(p []byte) bool {
	mark := c.Loop().maxQueued
	if c.out != 0 {
		q := c.queue()
		mark = max(mark, cost(q.items[q.head]))
	}
	return c.sendCopy(p, mark+urgentReserve)
}

// urgentReserve is how far control frames may pass the mark. A peer that makes us
// queue more of them than this without reading any is a slow consumer too.
const urgentReserve = 16 << 10

func (c *Conn) sendCopy(p []byte, limit int) bool {
	c.check()
	if len(p) == 0 || !c.canSend(c.costOfCopy(len(p)), limit) {
		return len(p) == 0
	}
	n := 0
	if c.out == 0 {
		if n = c.sendNow(p); n < 0 {
			return false
		}
	}
	if n < len(p) {
		c.enqueueCopy(p, n)
	}
	return true
}

// hasRoom reports whether the last buffer of the queue takes n more bytes and no other
// queue holds it: many small answers must not cost a buffer each. A buffer that the
// kernel has taken in part takes none, because DropQueued has to keep it.
func (q *queue) hasRoom(n int) bool {
	end := len(q.items) - 1
	last := q.items[end]
	return last.Sole() && last.Room() >= n && (q.head < end || q.off == 0)
}

// costOfCopy is what the queue grows by when n bytes are copied into it.
func (c *Conn) costOfCopy(n int) int {
	if c.out != 0 && c.queue().hasRoom(n) {
		return 0
	}
	return placeSize + buffer.MemoryFor(n)
}

// enqueueCopy queues a copy of p. The first off bytes are already written. They are
// copied too, because off tells DropQueued that the message is cut.
func (c *Conn) enqueueCopy(p []byte, off int) {
	if c.out != 0 && c.queue().hasRoom(len(p)) {
		q := c.queue()
		q.items[len(q.items)-1].Append(p, 1)
		return
	}
	b := buffer.New(len(p))
	b.Append(p, 1)
	c.enqueue(b, off)
	b.Release()
	if !c.has(flagDirty) {
		c.watchWritable(true)
	}
}

// SendShared is Send for bytes that many connections get. What the kernel does not
// take is queued as a reference to b. The caller keeps its own reference.
func (c *Conn) SendShared(b *Shared) bool {
	if c.out != 0 {
		return c.QueueShared(b)
	}
	c.check()
	if c.flags&(flagOpen|flagClosing|flagLingering) != flagOpen {
		return false
	}
	n := c.sendNow(b.Bytes())
	if n == b.Len() {
		return true
	}
	if n < 0 {
		return false
	}
	c.enqueue(b, n)
	c.watchWritable(true)
	return true
}

// QueueShared queues a reference to b without trying to write. Everything queued
// this way within a turn leaves in one gathered write at its end. Outside a turn,
// it requests one.
func (c *Conn) QueueShared(b *Shared) bool {
	if c.has(flagWriteOn) && b.Len() <= smallMessage {
		return c.Send(b.Bytes())
	}
	c.check()
	if !c.canSend(cost(b), c.Loop().maxQueued) {
		return false
	}
	if b.Len() == 0 {
		return true // the queue holds no empty pieces
	}
	c.enqueue(b, 0)
	if c.flags&(flagDirty|flagWriteOn) == 0 {
		c.flags |= flagDirty
		l := c.Loop()
		l.dirty = append(l.dirty, c.ID())
		if !l.inTurn {
			l.Wake()
		}
	}
	return true
}

// smallMessage is the largest shared buffer that is copied into a queue which
// already waits for the kernel. Two such messages share a buffer of ours, where a
// reference alone could keep as much memory.
const smallMessage = 128

// canSend reports whether c is open and its queue may grow by cost.
func (c *Conn) canSend(cost, limit int) bool {
	if c.flags&(flagOpen|flagClosing|flagLingering) != flagOpen {
		return false
	}
	return c.out == 0 || c.queue().bytes+cost <= limit
}

// sendNow tries to write p and returns how much the kernel took: 0 when it takes
// nothing now, -1 when the write failed, which closes the connection.
func (c *Conn) sendNow(p []byte) int {
	n, e := send(c.fd, p)
	if e == 0 {
		c.Loop().sent(n)
		return n
	}
	if wouldBlock(e) {
		return 0
	}
	c.Close(ReasonReset)
	return -1
}

// flushDirty writes to every connection for which something was queued in this turn.
func (l *Loop) flushDirty() {
	for i := 0; i < len(l.dirty); i++ {
		c := l.conn(l.dirty[i])
		if c == nil {
			continue
		}
		c.flags &^= flagDirty
		if c.flags&flagClosing == 0 {
			c.flush()
		}
	}
	l.dirty = l.dirty[:0]
	if cap(l.dirty) > 4096 {
		l.dirty = nil
	}
}
