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
