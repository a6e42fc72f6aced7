package netpoll

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// acceptBudget is how many connections are accepted in one event. While more peers
// wait, epoll reports the listener again, behind other ready descriptors.
const acceptBudget = 128

// acceptPause is how long an acceptor rests when neither a free descriptor nor the
// reserve is left. Until then, peers wait in the kernel's queue.
const acceptPause = 250 * time.Millisecond

// interestAccept makes a new peer wake one sleeping loop, not all of them
// (epoll_ctl(2)).
const interestAccept = interestRead | unix.EPOLLEXCLUSIVE

// acceptor accepts connections of one listener on one loop. Its loop owns it.
type acceptor struct {
	loop     *Loop
	listener *listener
	on       bool                           // registered with the loop's poller
	ended    bool                           // it never accepts again
	accept   func(fd int) (int, unix.Errno) // accept(2); tests replace it
}

// start registers the acceptor. Only the first call may come from another goroutine.
func (a *acceptor) start() error {
	a.on = true
	return a.loop.poller.add(a.listener.fd, interestAccept, a.ready)
}

// ready accepts waiting peers, at most acceptBudget of them.
func (a *acceptor) ready(uint32) {
	a.loop.enter()
	for range acceptBudget {
		if !a.on {
			return
		}
		fd, e := a.next()
		switch e {
		case 0:
			a.admit(fd)
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			if !a.refuse(e) {
				return
			}
		case unix.EINVAL, unix.EBADF, unix.ENOTSOCK:
			a.broken(e)
		case unix.ECONNABORTED, unix.ENETDOWN, unix.EPROTO, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.ENONET,
			unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH, unix.ETIMEDOUT, unix.ECONNRESET:
			// The error belongs to this peer or its network (accept(2)); the next may be fine.
		default:
			// For example from a security module or seccomp. The peer stays in the queue,
			// so epoll would report it without end.
			a.loop.log.Warn("connections cannot be accepted", "addr", a.listener.addr.String(), "err", e)
			a.pause()
		}
	}
}

// next takes a peer off the queue. The lock keeps it from taking the descriptor of
// the reserve, which another loop may have given up to refuse a peer.
func (a *acceptor) next() (int, unix.Errno) {
	r := &a.loop.group.reserve
	r.mu.RLock()
	defer r.mu.RUnlock()
	return a.accept(a.listener.fd)
}

// admit gives a new descriptor to a loop, unless Config.MaxDescriptor keeps its number.
func (a *acceptor) admit(fd int) {
	g := a.loop.group
	if g.maxFD > 0 && fd >= g.maxFD {
		_ = unix.Close(fd)
		a.countRefused(unix.EMFILE)
		return
	}
	g.assign(a.loop, fd)
}

// refuse handles an accept that found no free descriptor (or memory). It gives up
// the reserve to accept one peer and close it. Thus the peer learns at once, and
// epoll does not report it without end. Open connections are not touched.
//
// It reports whether it refused a peer; then more may wait. The kernel looks for a
// descriptor before it looks at the queue, so EMFILE alone does not mean that a
// peer waits.
func (a *acceptor) refuse(e unix.Errno) bool {
	again, lost := a.loop.group.reserve.refuse(func() (int, unix.Errno) { return a.accept(a.listener.fd) })
	if again == 0 {
		a.countRefused(e)
	}
	if lost || again != 0 && again != unix.EAGAIN {
		a.pause()
	}
	return again == 0
}

func (a *acceptor) countRefused(e unix.Errno) {
	g := a.loop.group
	g.refused.Add(1)
	a.loop.log.Warn("no descriptor for a new connection: refused; raise the file limit or add nodes", "err", e,
		"connections", g.Connections(), "refused_total", g.refused.Load())
}

// broken ends an acceptor whose listener will never accept again, for example after
// "ss -K" has shut it down: the events of such a listener cannot be switched off.
func (a *acceptor) broken(e unix.Errno) {
	a.stop()
	a.listener.broke.Do(func() {
		a.loop.log.Error("a listener broke", "addr", a.listener.addr.String(), "err", e)
		a.loop.group.fail(fmt.Errorf("accept on %s: %w", a.listener.addr, e))
	})
}

// pause takes the listener out of the loop's poller for acceptPause, because a
// registration with EPOLLEXCLUSIVE cannot be modified. The other loops continue,
// and pause when they meet the same error.
func (a *acceptor) pause() {
	a.leave()
	a.loop.After(acceptPause, func() {
		if !a.ended && a.start() != nil {
			a.pause()
		}
	})
}

// stop ends the acceptor. The listener's descriptor stays open.
func (a *acceptor) stop() {
	a.ended = true
	a.leave()
}

func (a *acceptor) leave() {
	if a.on {
		a.on = false
		a.loop.poller.remove(a.listener.fd)
	}
}

// reserve is a descriptor of the group. It is closed to refuse a peer when no other
// descriptor is free.
type reserve struct {
	mu sync.RWMutex // a leaf lock; accept(2) runs under its read lock, so that no loop takes the number given up
	fd int          // -1 while there is none; guarded by mu
}

// refuse closes the reserve, accepts a peer with its number, and closes the peer. It
// returns the error of accept, and whether the reserve could not be opened again.
func (r *reserve) refuse(accept func() (int, unix.Errno)) (e unix.Errno, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e = unix.EMFILE
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
		var fd int
		if fd, e = accept(); e == 0 {
			_ = unix.Close(fd)
		}
	}
	r.fd = openReserve()
	return e, r.fd < 0
}

// fill opens the reserve if there is none.
func (r *reserve) fill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		r.fd = openReserve()
	}
}

func (r *reserve) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}

func openReserve() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}
