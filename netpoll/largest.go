package netpoll

// Queued returns how many bytes of memory the outbound queues of all connections keep.
// A buffer that many queues hold counts once. It may be called from any goroutine.
func (g *Group) Queued() (n int64) {
	for _, l := range g.loops {
		n += l.queuedBytes.Load()
	}
	return n
}

// Enqueued returns how many bytes of memory the queues of this loop have ever taken up.
// It only grows. Only the loop's goroutine may call it.
func (l *Loop) Enqueued() uint64 { return l.enqueued }

// countQueued counts added bytes; queue is what the queue that took them holds now.
func (l *Loop) countQueued(queue, added int) {
	l.queuedBytes.Add(int64(added))
	l.enqueued += uint64(added)
	if int64(queue) > l.largest.Load() {
		l.largest.Store(int64(queue))
	}
}

// LargestQueue returns a size that no queue of this loop is above. It is exact after
// MeasureLargest, and only grows otherwise. It may be called from any goroutine.
func (l *Loop) LargestQueue() int64 { return l.largest.Load() }

// MeasureLargest looks at every queue of the loop: there is one for each connection
// that has something queued. Only the loop's goroutine may call it.
func (l *Loop) MeasureLargest() int64 {
	largest := 0
	for ref := uint32(1); ref <= l.queues.Bound(); ref++ {
		largest = max(largest, l.queues.At(ref).bytes)
	}
	l.largest.Store(int64(largest))
	return int64(largest)
}

// EmptyLargest empties the largest queues of the loop while more says so, for so many
// buffers at most, and calls slow for each connection, which the handler has to end. The
// largest are those that have no less than seven eighths of what the largest has.
// A connection is closed at once, for reason, when it is being ended already, or when a
// message that is sent in part is all that is left: there is no other way to get at the
// memory. It reports whether there was a queue. Only the loop's goroutine may call it.
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
