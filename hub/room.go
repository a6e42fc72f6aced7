package hub

// Waiter is a publication that waits for room in a channel. It serves one wait. ID, First
// and Came are set before the wait; the lock of the channel's shard guards the rest.
type Waiter struct {
	// ID names the waiter. The hub does not interpret it.
	ID uint64
	// Came is called in place of Sink.Room, if it is not nil.
	Came func()
	// First is for a publication that goes ahead of waiters without it, and may use
	// the room that is kept for them.
	First bool

	channel    *channel
	size       int
	queued     bool
	told       bool // size bytes are kept for it
	next, prev *Waiter
}

// crowd is the queue for room in a channel, first come, first served, and the room
// that is kept for waiters that were told. Most channels have none.
type crowd struct {
	first, last *Waiter
	bytes       int // kept for waiters that were told
	told        int // how many were told
}

// Busy reports whether a publication of size bytes has to wait: too much is undelivered
// in the channel, or others wait already or were told that they may publish.
func (h *Hub) Busy(channel []byte, size int) bool {
	s := h.shardOf(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channels[string(channel)]
	return ch != nil && ch.busy(size, h.maxPending, false)
}

// Full is Busy for a publication that goes ahead of all waiters.
func (h *Hub) Full(channel []byte, size int) bool {
	s := h.shardOf(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := s.channels[string(channel)]
	return ch != nil && ch.busy(size, h.maxPending, true)
}

// AwaitRoom puts w in the queue for size bytes of room in a channel, and reports false
// when there is room already. When it is w's turn, the room is kept for it, Sink.Room
// is called, and w may publish. That may happen at once, where there is room but
// waiters told before have not published yet. Forgo must follow, told or not.
func (h *Hub) AwaitRoom(channel []byte, size int, w *Waiter) bool {
	s := h.shardOf(channel)
	s.mu.Lock()
	ch := s.channels[string(channel)]
	if ch == nil || !ch.busy(size, h.maxPending, w.First) {
		s.mu.Unlock()
		return false
	}
	w.channel, w.size = ch, size
	if ch.crowd == nil {
		ch.crowd = &crowd{}
	}
	ch.crowd.add(w)
	told := ch.grant(h.maxPending)
	s.mu.Unlock()
	h.tell(told)
	return true
}

// Forgo ends a wait, or frees the room that is kept for w, so that the next waiters get it.
// Call it after w has published, or when it will not. It may be called more than once.
func (h *Hub) Forgo(w *Waiter) {
	ch := w.channel
	s := &h.shards[ch.shard]
	s.mu.Lock()
	switch {
	case w.queued:
		ch.crowd.remove(w)
	case w.told:
		w.told = false
		ch.crowd.bytes -= w.size
		ch.crowd.told--
	}
	told := ch.grant(h.maxPending)
	s.mu.Unlock()
	h.tell(told)
}

// tell calls Sink.Room for each waiter in a list that grant returned.
func (h *Hub) tell(w *Waiter) {
	for w != nil {
		next := w.next // a waiter that is told may be reused at once
		if w.Came != nil {
			w.Came()
		} else {
			h.sink.Room(w)
		}
		w = next
	}
}

// busy reports whether size bytes have to wait: for room, or behind others that wait for
// it or were told and have not published yet.
func (ch *channel) busy(size, limit int, first bool) bool {
	return !first && ch.crowd != nil || !ch.hasRoom(size, limit, first)
}

// hasRoom reports whether there is room for size bytes beside what is kept for
// others. A first publication does not respect what is kept.
func (ch *channel) hasRoom(size, limit int, first bool) bool {
	told := 0
	if q := ch.crowd; q != nil && !first && q.told > 0 {
		size += q.bytes
		told = q.told
		if size > limit || told >= maxSealed {
			return false
		}
	}
	if int(ch.bytes)+size <= limit && int(ch.count)+told < maxSealed {
		return true
	}
	bytes, live := ch.waiting()
	ch.bytes, ch.count = uint32(bytes), uint16(live)+1 // what is pending may become one more
	return bytes == 0 || bytes+size <= limit && live+told < maxSealed
}

// waiting returns the most that one of the parts has to deliver.
func (ch *channel) waiting() (bytes, live int) {
	for p := range ch.parts() {
		b, n := p.waiting()
		bytes, live = max(bytes, b), max(live, n)
	}
	return bytes, live
}

// grant removes from the queue the waiters for which there is room now, keeps the
// room for them, and returns them as a list. Needs the shard's lock.
func (ch *channel) grant(limit int) (told *Waiter) {
	q := ch.crowd
	if q == nil {
		return nil
	}
	end := &told
	for w := q.first; w != nil && ch.hasRoom(w.size, limit, w.First); w = q.first {
		q.remove(w)
		w.told = true
		q.bytes += w.size
		q.told++
		*end, end = w, &w.next
	}
	if q.first == nil && q.told == 0 {
		ch.crowd = nil
	}
	return told
}

// add puts w at the end of the queue, or at its front when First is set.
func (q *crowd) add(w *Waiter) {
	w.queued = true
	if w.First {
		w.next = q.first
	} else {
		w.prev = q.last
	}
	q.link(w)
}

// remove takes w out of the queue.
func (q *crowd) remove(w *Waiter) {
	before, after := w.prev, w.next
	w.queued, w.prev, w.next = false, nil, nil
	if before != nil {
		before.next = after
	} else {
		q.first = after
	}
	if after != nil {
		after.prev = before
	} else {
		q.last = before
	}
}

// link makes the neighbours of w, or the ends of the queue, point to it.
func (q *crowd) link(w *Waiter) {
	if w.prev != nil {
		w.prev.next = w
	} else {
		q.first = w
	}
	if w.next != nil {
		w.next.prev = w
	} else {
		q.last = w
	}
}
