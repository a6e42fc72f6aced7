package netpoll

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// acceptBudget is how many connections are accepted in one event. Epoll reports
// the listener again while more are waiting, behind what else is ready.
const acceptBudget = 128

// acceptPause is how long a listener rests when there is no descriptor to accept
// with, not even the reserve. The queue of the kernel holds the peers meanwhile.
const acceptPause = 250 * time.Millisecond

// listener is one listening descriptor. It belongs to one loop, which accepts for
// all of them.
type listener struct {
	loop    *Loop
	fd      int // -1 once closed
	addr    net.Addr
	unlink  string // path of a unix socket to remove on close
	reserve int    // descriptor given up to refuse a peer when there is no other
	paused  bool
	tries   int64                          // calls of accept
	accept  func(fd int) (int, unix.Errno) // accept(2), but in tests
}

// ready accepts what waits, under the budget.
func (n *listener) ready(uint32) {
	n.loop.enter()
	for range acceptBudget {
		if n.fd < 0 || n.paused {
			return
		}
		n.tries++
		fd, e := n.accept(n.fd)
		switch e {
		case 0:
			n.admit(fd)
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			if !n.refuse(e) {
				return
			}
		case unix.EINVAL, unix.EBADF, unix.ENOTSOCK:
			n.broken(e)
		case unix.ECONNABORTED, unix.ENETDOWN, unix.EPROTO, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.ENONET,
			unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH, unix.ETIMEDOUT, unix.ECONNRESET:
			// Of a peer that has gone, says accept(2); the next one is not to blame.
		default:
			// A security module or seccomp, say: the peer stays in the queue, and would be
			// reported without end.
			n.loop.log.Warn("connections cannot be accepted", "addr", n.addr.String(), "err", e)
			n.pause()
		}
	}
}

// admit gives a new descriptor to a loop, unless it is one of those that are kept.
func (n *listener) admit(fd int) {
	g := n.loop.group
	if g.maxFD > 0 && fd >= g.maxFD {
		_ = unix.Close(fd)
		n.countRefused(unix.EMFILE)
		return
	}
	g.assign(n.loop, fd)
}

// refuse handles accept without a free descriptor (or memory): the reserve is
// given up to take one peer off the queue and close it, so that it learns at once
// and epoll does not report it without end. Existing connections are not touched.
//
// It reports whether a peer was refused, and another may wait. The kernel looks
// for a descriptor before it looks at the queue, so EMFILE alone does not say that
// anyone is there.
func (n *listener) refuse(e unix.Errno) bool {
	again := unix.Errno(unix.EMFILE)
	if n.reserve >= 0 {
		_ = unix.Close(n.reserve)
		var fd int
		n.tries++
		if fd, again = n.accept(n.fd); again == 0 {
			_ = unix.Close(fd)
			n.countRefused(e)
		}
	}
	n.reserve = openReserve()
	if n.reserve < 0 || again != 0 && again != unix.EAGAIN {
		n.pause()
	}
	return again == 0
}

func (n *listener) countRefused(e unix.Errno) {
	n.loop.group.refused.Add(1)
	n.loop.log.Warn("no descriptor for a new connection: refused; raise the file limit or add nodes", "err", e,
		"connections", n.loop.group.Connections(), "refused_total", n.loop.group.refused.Load())
}

// broken closes a listener that will never accept again (it was shut down from
// outside, as "ss -K" does): its events cannot be switched off.
func (n *listener) broken(e unix.Errno) {
	n.loop.log.Error("a listener broke", "addr", n.addr.String(), "err", e)
	n.loop.group.fail(fmt.Errorf("accept on %s: %w", n.addr, e))
	n.close()
}

// pause takes the listener out of the poller's interest for a moment.
func (n *listener) pause() {
	n.paused = true
	_ = n.loop.poller.modify(n.fd, 0)
	n.loop.After(acceptPause, func() {
		if n.fd < 0 {
			return
		}
		n.paused = false
		_ = n.loop.poller.modify(n.fd, interestRead)
	})
}

func openReserve() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// assign gives a new descriptor to the loop with the fewest connections; from is
// the loop whose goroutine calls, and wins ties, as it needs no hand-over.
func (g *Group) assign(from *Loop, fd int) {
	best := from
	for _, l := range g.loops {
		if l.load() < best.load() {
			best = l
		}
	}
	if best == from {
		from.openConn(fd, nil)
		return
	}
	best.give(incoming{fd: fd})
}

// load is the number of connections a loop has or is about to have.
func (l *Loop) load() int64 { return l.open.Load() + l.coming.Load() }

// give queues a descriptor for the loop. It is bounded by the descriptor limit.
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

// openConn makes fd a connection of this loop. head, when there is any, is
// handled as if it had just been read.
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

// newConn registers fd. It returns nil when that fails, which is logged.
func (l *Loop) newConn(fd int) *Conn {
	slot := l.slots.Take()
	if slot >= maxSlots {
		l.slots.Give(slot)
		l.log.Error("an event loop is full", "loop", l.index, "connections", l.open.Load())
		return nil
	}
	l.conns.grow(l, slot)
	c := l.conns.at(slot)
	*c = Conn{place: c.place, generation: c.generation + 1, fd: int32(fd), flags: flagOpen}
	if err := l.poller.addConn(c, interestRead); err != nil {
		c.flags, c.fd = 0, -1
		c.generation-- // nobody has seen it
		l.slots.Give(slot)
		l.log.Error("a connection could not be registered", "loop", l.index, "err", err)
		return nil
	}
	l.open.Add(1)
	return c
}
