package netpoll

// Queued returns how many bytes of memory the outbound queues of all connections keep.
// A buffer that many queues hold counts once. It may be called from any goroutine.
func (g *Group) Queued() (n int64) {
	for _, l := range g.loops {
		n += l.queuedBytes.Load()
	}
	return n
}

// Enqueued returns how many bytes of memory the queues of this loop have taken since it
// was opened. Only the loop's goroutine may call it.
func (l *Loop) Enqueued() uint64 { return l.enqueued }

// countQueued counts added bytes; queue is the new size of the queue that took them.
func (l *Loop) countQueued(queue, added int) {
	l.queuedBytes.Add(int64(added))
	l.enqueued += uint64(added)
	if int64(queue) > l.largest.Load() {
		l.largest.Store(int64(queue))
	}
}

// LargestQueue returns an upper bound of the queues of this loop. MeasureLargest
// makes it exact; until then it only grows. It may be called from any goroutine.
func (l *Loop) LargestQueue() int64 { return l.largest.Load() }

// MeasureLargest returns the size of the largest queue of the loop. It looks at all queues;
// only connections with something queued have one. Only the loop's goroutine may call it.
func (l *Loop) MeasureLargest() int64 {
	largest := 0
	for ref := uint32(1); ref <= l.queues.Bound(); ref++ {
		largest = max(largest, l.queues.At(ref).bytes)
	}
	l.largest.Store(int64(largest))
	return int64(largest)
}

// EmptyLargest empties the largest queues of the loop while more returns true, for so
// many buffers at most. The largest are those of at least seven eighths of the maximum.
// It calls slow for each connection, which the handler has to end. A connection is
// closed at once, for reason, if it is already ending, or if only a message sent in part
// is left: nothing else frees that memory. It reports whether there was a queue. Only
// the loop's goroutine may call it.
func (l *Loop) EmptyLargest(buffers int, more func() bool, reason Reason, slow func(c *Conn)) bool {
	l.checkOwner()
	largest := l.MeasureLargest()
	if largest == 0 {
		return false
	}
	least := int(largest - largest/8)
	for ref := uint32(1); ref <= l.queues.Bound() && buffers > 0 && more(); ref++ {
		if q := l.queues.At(ref); q.bytes >= least {
			buffers -= len(q.items) - q.head
			l.empty(l.conns.at(q.slot), reason, slow)
		}
	}
	return true
}

func (l *Loop) empty(c *Conn, reason Reason, slow func(c *Conn)) {
	if q := c.queue(); c.Open() && (q.off == 0 || len(q.items)-q.head > 1) {
		c.DropQueued()
		slow(c)
		return
	}
	c.Close(reason)
	c.dropQueue()
}
