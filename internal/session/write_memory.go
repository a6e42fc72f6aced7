package session

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"wsify/netpoll"
)

// writeMemory is the bound on the memory of the outbound queues of all connections
// together (-max-write-memory). Each loop counts its own queues. When it has queued a step
// more, it adds up the counts of all loops. Above a mark, the slowest connections are
// ended, that is, those with the largest queues.
//
// Above high, the loop with the largest queue of all is asked, by Post. The last eighth of
// the bound is the reserve until it acts. Above hard, a loop empties its own largest queues
// at once, unless the memory that the other loop will free is enough. hard is below the
// bound by the amount that all loops may queue between two checks. So each loop exceeds the
// bound by one slice at most: the publications of one channel, joined in one buffer. Until
// the other loop's next turn, the bound may also be exceeded by an eighth.
type writeMemory struct {
	bound, hard, high int64 // 0: no bound
	low               int64 // ending the slowest stops here, so that no more end than necessary
	step              uint64
	asked             atomic.Bool // a loop has been asked
}

// writeMemoryStep is the largest step. A peer that reads has a non-empty queue only within
// a turn, so the check adds no measurable cost to a delivery.
const writeMemoryStep = 64 << 10

// writeMemoryBuffers is how many buffers a loop that was asked frees in a turn, in less than
// a millisecond.
const writeMemoryBuffers = 8 << 10

// limit sets the marks. A bound of 0 means no bound.
func (m *writeMemory) limit(bound, loops int) {
	if m.step = math.MaxUint64; bound == 0 {
		return
	}
	step := max(1, min(writeMemoryStep, bound/(16*loops)))
	m.bound, m.step = int64(bound), uint64(step)
	m.hard, m.high, m.low = m.bound-int64(step*loops), m.bound/8*7, m.bound/32*27
}

// relieve is called after each operation that may have queued something.
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
	if l.node.group.Queued() > m.high {
		l.node.endSlowest()
	}
}

// endLargest empties the largest queues of this loop until target is reached. Their
// connections end at the end of the turn. It reports whether there were any.
func (l *loop) endLargest(target int64, buffers int) bool {
	more := func() bool { return l.node.group.Queued() > target }
	return l.net.EmptyLargest(buffers, more, reasonWriteMemory, func(c *netpoll.Conn) { l.tooSlow(c, reasonWriteMemory) })
}

// endSlowest ends the slowest connections of all loops until the queues keep at most what
// the low mark allows. It does not wait. It does nothing if that is under way already.
func (n *Node) endSlowest() {
	if n.memory.asked.CompareAndSwap(false, true) {
		n.slowest().askSlow(0)
	}
}

// slowest returns the loop with the largest known queue.
func (n *Node) slowest() *loop {
	return slices.MaxFunc(n.loops, func(a, b *loop) int { return cmp.Compare(a.net.LargestQueue(), b.net.LargestQueue()) })
}

// askSlow makes a loop end its slowest connections. At most one such task exists in the
// process. It may be called from any goroutine.
func (l *loop) askSlow(vain int) {
	l.net.Post(func() { l.endSlowest(vain) })
}

// endSlowest ends the slowest connections of this loop, unless another loop has slower
// ones. Then it asks the slowest loop again, until the low mark is reached. The last vain
// loops that were asked found no queue: what is queued then belongs to a turn, and to peers
// that read.
func (l *loop) endSlowest(vain int) {
	m := &l.node.memory
	if l.node.group.Queued() <= m.low || vain > 2*len(l.node.loops) {
		m.asked.Store(false)
		return
	}
	l.net.MeasureLargest()
	vain++
	if l.node.slowest() == l && l.endLargest(m.low, writeMemoryBuffers) {
		vain = 0
	}
	l.node.slowest().askSlow(vain)
}
