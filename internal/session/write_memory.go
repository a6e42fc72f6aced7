package session

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"wsify/netpoll"
)

// writeMemory is the bound on the memory that the outbound queues of all connections keep
// together (-max-write-memory). Each loop counts its own, and adds up all of them when
// it has queued a step more. The slowest connections are ended then, which are those
// with the largest queues.
//
// Above high the loop with the largest queue of all is asked, by Post; it has the last
// eighth of the bound to do it in. Above hard a loop takes its own largest at once,
// unless what the other loop is about to free will do. As hard is below the bound by what
// all loops may queue between two looks, the bound is passed by one slice a loop at most
// (the publications that a channel had waiting there, joined in one buffer), and by an
// eighth until the other loop's next turn.
type writeMemory struct {
	bound, hard, high int64 // 0 when there is no bound
	low               int64 // where ending the slowest stops: no more go than have to
	step              uint64
	asked             atomic.Bool // a loop has been asked
}

// writeMemoryStep is the largest step. A connection that reads has something queued within a
// turn only, and so looking costs a delivery nothing that can be measured.
const writeMemoryStep = 64 << 10

// writeMemoryBuffers is how many buffers a loop that was asked lets go of in a turn: less than
// a millisecond.
const writeMemoryBuffers = 8 << 10

// limit sets the marks; a bound of 0 is none.
func (m *writeMemory) limit(bound, loops int) {
	if m.step = math.MaxUint64; bound == 0 {
		return
	}
	step := max(1, min(writeMemoryStep, bound/(16*loops)))
	m.bound, m.step = int64(bound), uint64(step)
	m.hard, m.high, m.low = m.bound-int64(step*loops), m.bound/8*7, m.bound/32*27
}

// relieve is called behind what may have queued something.
func (l *loop) relieve() {
	m := &l.node.memory
	enqueued := l.net.Enqueued()
	if enqueued-l.looked < m.step {
		return
	}
	l.looked = enqueued
	queued := l.node.group.Queued()
	if queued <= m.high {
		return
	}
	l.node.faults.Warn("the outbound queues keep too much memory: the slowest connections are closed", "bytes", queued, "limit", m.bound)
	hard := m.hard
	if slowest := l.node.slowest(); slowest != l {
		hard += min(slowest.net.LargestQueue(), m.bound-m.high)
	}
	for l.node.group.Queued() > hard && l.endLargest(hard, math.MaxInt) {
	}
	if l.node.group.Queued() > m.high && m.asked.CompareAndSwap(false, true) {
		l.node.slowest().askSlow()
	}
}

// endLargest empties the largest queues of this loop until target is reached, and has
// their connections ended. It reports whether there are any.
func (l *loop) endLargest(target int64, buffers int) bool {
	more := func() bool { return l.node.group.Queued() > target }
	return l.net.EmptyLargest(buffers, more, reasonWriteMemory, func(c *netpoll.Conn) { l.tooSlow(c, reasonWriteMemory) })
}

// slowest returns the loop with the largest queue of all, as far as is known.
func (n *Node) slowest() *loop {
	return slices.MaxFunc(n.loops, func(a, b *loop) int { return cmp.Compare(a.net.LargestQueue(), b.net.LargestQueue()) })
}

// askSlow has a loop end its slowest, one such task being under way in the process. It
// may be called from any goroutine.
func (l *loop) askSlow() { l.net.Post(l.endSlowest) }

// endSlowest ends the slowest connections of this loop, unless another turns out to have
// slower ones, and hands on until enough memory is free.
func (l *loop) endSlowest() {
	m := &l.node.memory
	if l.node.group.Queued() <= m.low {
		m.asked.Store(false)
		return
	}
	l.net.MeasureLargest()
	if l.node.slowest() == l {
		l.endLargest(m.low, writeMemoryBuffers)
	}
	l.node.slowest().askSlow()
}
