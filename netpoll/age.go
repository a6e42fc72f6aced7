package netpoll

import "time"

// secondOf is the time at which a connection was accepted, in the three bytes that a Conn has left.
func secondOf(now time.Duration) [3]byte {
	n := uint32(now / time.Second)
	return [3]byte{byte(n), byte(n >> 8), byte(n >> 16)}
}

// Age is how long ago c was accepted, to a second. After half a year, 2^24 seconds, it begins at
// zero again.
func (c *Conn) Age() time.Duration {
	n := uint32(c.born[0]) | uint32(c.born[1])<<8 | uint32(c.born[2])<<16
	now := uint32(c.Loop().now() / time.Second)
	return time.Duration((now-n)&(1<<24-1)) * time.Second
}

// EachIn calls fn for the open connections whose Slot is at least from and below to, in this order,
// until fn returns false, which it reports. Only the loop's goroutine may call it.
func (l *Loop) EachIn(from, to uint32, fn func(c *Conn) (more bool)) bool {
	l.checkOwner()
	for slot := from; slot < to && l.conns.has(slot); slot++ {
		if c := l.conns.at(slot); c.flags&(flagOpen|flagClosing) == flagOpen && !fn(c) {
			return false
		}
	}
	return true
}

// Place returns the loop's index and the slot that an ID holds.
func Place(id uint64) (loop int, slot uint32) { return loopOf(id), slotOf(id) }
