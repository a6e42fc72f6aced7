package session

import (
	"sync/atomic"

	"wsify/internal/ring"
)

// queue holds the connections of a loop that wait for something that all loops share,
// first come, first served. It belongs to the loop, except waits.
type queue struct {
	ring.Ring[uint64]
	waits atomic.Bool // a connection may wait: notify the loop when there is room
}

// serve calls try for the first connection in the queue, again and again, until try
// reports false: there is no room. If try reports true, the connection was served or
// no longer waits, and leaves the queue.
func (q *queue) serve(try func(id uint64) bool) {
	for q.Len() > 0 {
		q.waits.Store(true) // before try, so that no notification of room is missed
		if !try(*q.At(0)) {
			return
		}
		q.Pop()
	}
	q.waits.Store(false)
}
