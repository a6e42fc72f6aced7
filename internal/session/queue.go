package session

import (
	"sync/atomic"

	"wsify/internal/ring"
)

// queue is connections of a loop that wait for something that all loops share, first
// come first served. It belongs to the loop, but for waits.
type queue struct {
	ring.Ring[uint64]
	waits atomic.Bool // somebody may wait: the loop is to be told when there is room
}

// serve hands out what there is room for, in turn, until try reports that there is
// none. try gets the first in the queue, which leaves it when it was served or is no
// longer concerned.
func (q *queue) serve(try func(id uint64) bool) {
	for q.Len() > 0 {
		q.waits.Store(true) // before it is tried: room that comes just behind is told
		if !try(*q.At(0)) {
			return
		}
		q.Pop()
	}
	q.waits.Store(false)
}
