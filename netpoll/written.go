package netpoll

// WhenWritten calls fn once, in a later turn, when nothing of c is queued any more. It is not
// called if c ends before. A second call replaces fn.
func (c *Conn) WhenWritten(fn func(*Conn)) {
	c.check()
	l := c.Loop()
	if c.out == 0 {
		l.PostTo(c.ID(), fn)
		return
	}
	if l.whenWritten == nil {
		l.whenWritten = make(map[uint64]func(*Conn))
	}
	l.whenWritten[c.ID()] = fn
	c.flags |= flagTell
}

// allWritten does what waits for an empty queue.
func (c *Conn) allWritten() {
	if c.has(flagTell) {
		l := c.Loop()
		l.PostTo(c.ID(), l.whenWritten[c.ID()])
		c.forgetWritten()
	}
	if c.has(flagLingering) {
		c.shutWhenWritten()
	}
}

// forgetWritten forgets the function of WhenWritten.
func (c *Conn) forgetWritten() {
	if c.has(flagTell) {
		c.flags &^= flagTell
		delete(c.Loop().whenWritten, c.ID())
	}
}
