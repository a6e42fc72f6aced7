package broker

import "container/list"

// Waiter is a publisher that waits for room in a broker. It serves one wait.
type Waiter struct {
	// ID names who waits. It means nothing to the broker.
	ID uint64

	// Guarded by outbox.mu.
	size  int           // what it wants
	kept  int           // what is kept for it: size, once it was told
	place *list.Element // nil when it is not in the queue
}

// await puts w at the end of the queue, unless it is nil. Needs mu.
func (o *outbox) await(w *Waiter, size int) {
	if w != nil && w.place == nil {
		w.size, w.place = size, o.queue.PushBack(w)
	}
}

// forgo takes w out of the queue, or gives back what is kept for it. told is who has
// room by that.
func (o *outbox) forgo(w *Waiter) (told []*Waiter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.place != nil {
		o.queue.Remove(w.place)
		w.place = nil
	}
	o.bytes -= w.kept
	w.kept = 0
	return o.grant()
}

// grant takes those off the queue for whom there is room now, and keeps it for them.
// Needs mu.
func (o *outbox) grant() (told []*Waiter) {
	for first := o.queue.Front(); first != nil; first = o.queue.Front() {
		w := first.Value.(*Waiter)
		if !o.hasRoom(w.size) {
			break
		}
		o.queue.Remove(first)
		w.place, w.kept = nil, w.size
		o.bytes += w.size
		told = append(told, w)
	}
	return told
}

// PublishFor is Publish for a publisher that can wait. ErrFull says that w is in the
// queue: when its turn has come, room is kept for it and the room of Start is called
// with it. Either the same is then published for w, which is not refused as full any
// more, or Forgo is called.
func (r *Remote) PublishFor(w *Waiter, channel, content []byte, done func(error)) (pending bool, err error) {
	pending, err = r.publish(w, channel, content, done)
	if err != nil && err != ErrFull {
		r.Forgo(w)
	}
	return pending, err
}

// Forgo ends a wait, or gives the room that is kept for w to those behind it. It may be
// called more than once.
func (r *Remote) Forgo(w *Waiter) { r.tell(r.outbox.forgo(w)) }

// tell tells waiters that there is room for them.
func (r *Remote) tell(told []*Waiter) {
	for _, w := range told {
		r.room(w)
	}
}
