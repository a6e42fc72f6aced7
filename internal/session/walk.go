package session

import (
	"context"
	"fmt"
	"strings"
	"time"

	"wsify/netpoll"
)

// A walk visits the connections of a loop in turns, each of which takes about this long.
const walkSlice = time.Millisecond

// walkStep is how many slots are visited between two looks at the clock. The slowest visits
// end a connection, which takes some 10 us.
const walkStep = 32

// A LateError says which event loops have not done in time what an operator asked for.
type LateError struct{ Loops []int }

func (e *LateError) Error() string {
	numbers := strings.Trim(fmt.Sprint(e.Loops), "[]")
	return "not done in time by event loop " + strings.ReplaceAll(numbers, " ", ", ")
}

// visitor is called on a loop for one of its connections. It returns false to end the walk of this
// loop. It must not block.
type visitor func(l *loop, c *netpoll.Conn, s *session) (more bool)

// walk visits the connections of all loops, each loop from its own slot on, in the order of slots.
// A connection that stays open is visited once. One that is opened meanwhile may be visited.
//
// It returns when all loops are done. When ctx ends first, the error is a *LateError, and loops may
// still be visiting; they go on unless while has ended.
func (n *Node) walk(ctx, while context.Context, from func(loop int) uint32, visit visitor) error {
	done := make([]chan struct{}, len(n.loops))
	for i, l := range n.loops {
		done[i] = make(chan struct{})
		slot := from(i)
		l.net.Post(func() { l.walkSome(while, slot, visit, done[i]) })
	}
	return awaitLoops(ctx, done)
}

// awaitLoops waits until each loop has closed its chan.
func awaitLoops(ctx context.Context, done []chan struct{}) error {
	var late []int
	for i := range done {
		select {
		case <-done[i]:
			continue
		default:
		}
		select {
		case <-done[i]:
		case <-ctx.Done():
			late = append(late, i)
		}
	}
	if late != nil {
		return &LateError{late}
	}
	return nil
}

// walkSome visits a slice of the loop's connections, and posts the rest.
func (l *loop) walkSome(while context.Context, slot uint32, visit visitor, done chan struct{}) {
	for begun := time.Now(); time.Since(begun) < walkSlice; slot += walkStep {
		more := slot < l.net.Slots() && while.Err() == nil && l.net.EachIn(slot, slot+walkStep, func(c *netpoll.Conn) bool {
			return visit(l, c, l.session(c))
		})
		if !more {
			close(done)
			return
		}
	}
	l.net.Post(func() { l.walkSome(while, slot, visit, done) })
}

// fromTheStart walks all connections.
func fromTheStart(int) uint32 { return 0 }

// at runs fn on the loop of a connection, which is nil if it has ended. When ctx ends first, the
// error is a *LateError and fn may run later.
func (n *Node) at(ctx context.Context, id uint64, fn func(l *loop, c *netpoll.Conn)) error {
	index, _ := netpoll.Place(id)
	l, done := n.loops[index], make(chan struct{})
	l.net.Post(func() {
		defer close(done)
		fn(l, l.net.Conn(id))
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return &LateError{[]int{index}}
	}
}
