package netpoll

import "golang.org/x/sys/unix"

// assign gives a new descriptor to the loop with the fewest connections. from, the
// loop that accepted it, keeps it while it has at most a 32nd more. This saves the
// hand-over, and loops do not depend on each other during a connection storm.
func (g *Group) assign(from *Loop, fd int) {
	best := from
	for _, l := range g.loops {
		if l.load() < best.load() {
			best = l
		}
	}
	if least := best.load(); from.load() <= least+least/32 {
		from.openConn(fd, nil)
		return
	}
	best.give(incoming{fd: fd})
}

// load is the number of connections a loop has or is about to have.
func (l *Loop) load() int64 { return l.open.Load() + l.coming.Load() }

// give queues a descriptor for the loop. The descriptor limit bounds the queue.
func (l *Loop) give(in incoming) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		_ = unix.Close(in.fd)
		return
	}
	l.coming.Add(1)
	l.incoming = append(l.incoming, in)
	l.mu.Unlock()
	l.Wake()
}

func (l *Loop) takeIncoming() {
	if l.coming.Load() == 0 {
		return
	}
	l.mu.Lock()
	list := l.incoming
	l.incoming = l.incomingSpare[:0]
	l.mu.Unlock()
	for i, in := range list {
		l.coming.Add(-1)
		l.openConn(in.fd, in.head)
		list[i] = incoming{}
	}
	l.incomingSpare = list
	if cap(list) > 1024 {
		l.incomingSpare = nil
	}
}

// openConn makes fd a connection of this loop. A head that is not empty is handled
// as if it had just been read.
func (l *Loop) openConn(fd int, head []byte) {
	if l.stopping {
		_ = unix.Close(fd)
		return
	}
	c := l.newConn(fd)
	if c == nil {
		l.group.refused.Add(1)
		_ = unix.Close(fd)
		return
	}
	defer c.contain()
	l.handler.Opened(c)
	if len(head) > 0 && c.Open() {
		l.handler.Data(c, head)
	}
	l.publishTotals()
}

// newConn registers fd. If that fails, it logs the error and returns nil.
func (l *Loop) newConn(fd int) *Conn {
	slot := l.slots.Take()
	if slot >= maxSlots {
		l.slots.Give(slot)
		l.log.Error("an event loop is full", "loop", l.index, "connections", l.open.Load())
		return nil
	}
	l.conns.grow(l, slot)
	c := l.conns.at(slot)
	*c = Conn{place: c.place, generation: c.generation + 1, fd: int32(fd), flags: flagOpen, born: secondOf(l.now())}
	if err := l.poller.addConn(c, interestRead); err != nil {
		c.flags, c.fd = 0, -1
		c.generation-- // this ID was never given out
		l.slots.Give(slot)
		l.log.Error("a connection could not be registered", "loop", l.index, "err", err)
		return nil
	}
	l.open.Add(1)
	return c
}
