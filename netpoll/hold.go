package netpoll

// Hold queues p and writes nothing until LetGo, so that what is sent meanwhile follows p
// later. Queued bytes count as ever. p is borrowed. It reports false if c has ended or its
// queue is full. The caller bounds the time.
//
// Linger lets go, too. DropQueued keeps p.
func (c *Conn) Hold(p []byte) bool {
	c.check()
	if len(p) == 0 || !c.canSend(c.costOfCopy(len(p)), c.Loop().maxQueued) {
		return false
	}
	c.watchWritable(false)
	c.flags |= flagHeld
	c.enqueueCopy(p, 0)
	return true
}

// LetGo writes what was held back. Without a Hold it does nothing.
func (c *Conn) LetGo() {
	c.check()
	if !c.has(flagHeld) {
		return
	}
	c.flags &^= flagHeld
	c.flush()
}
