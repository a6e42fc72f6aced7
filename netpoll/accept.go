package netpoll

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// acceptBudget is how many connections are accepted in one event. Epoll reports
// the listener again while more are waiting, behind what else is ready.
const acceptBudget = 128

// acceptPause is how long an acceptor rests when there is no descriptor to accept
// with, not even the reserve. The queue of the kernel holds the peers meanwhile.
const acceptPause = 250 * time.Millisecond

// interestAccept wakes one of the loops that sleep for a new peer, not all
// (epoll_ctl(2)).
const interestAccept = interestRead | unix.EPOLLEXCLUSIVE

// acceptor is a loop's part in a listener: every loop accepts. It belongs to the loop.
type acceptor struct {
	loop     *Loop
	listener *listener
	on       bool                           // registered with the loop's poller
	ended    bool                           // it never accepts again
	accept   func(fd int) (int, unix.Errno) // accept(2), but in tests
}

// start registers the acceptor. It may be called elsewhere before anything else is.
func (a *acceptor) start() error {
	a.on = true
	return a.loop.poller.add(a.listener.fd, interestAccept, a.ready)
}

// ready accepts what waits, under the budget.
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
			// Of a peer that has gone, says accept(2); the next one is not to blame.
		default:
			// A security module or seccomp, say: the peer stays in the queue, and would be
			// reported without end.
			a.loop.log.Warn("connections cannot be accepted", "addr", a.listener.addr.String(), "err", e)
			a.pause()
		}
	}
}

// next takes a peer off the queue, but not with the reserve that another loop has
// given up for one that it refuses.
func (a *acceptor) next() (int, unix.Errno) {
	r := &a.loop.group.reserve
	r.mu.RLock()
	defer r.mu.RUnlock()
	return a.accept(a.listener.fd)
}

// admit gives a new descriptor to a loop, unless it is one of those that are kept.
func (a *acceptor) admit(fd int) {
	g := a.loop.group
	if g.maxFD > 0 && fd >= g.maxFD {
		_ = unix.Close(fd)
		a.countRefused(unix.EMFILE)
		return
	}
	g.assign(a.loop, fd)
}

// refuse handles accept without a free descriptor (or memory): the reserve is
// given up to take one peer off the queue and close it, so that it learns at once
// and epoll does not report it without end. Existing connections are not touched.
//
// It reports whether a peer was refused, and another may wait. The kernel looks
// for a descriptor before it looks at the queue, so EMFILE alone does not say that
// anyone is there.
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

// broken ends an acceptor whose listener will never accept again (it was shut down
// from outside, as "ss -K" does): its events cannot be switched off.
func (a *acceptor) broken(e unix.Errno) {
	a.stop()
	a.listener.broke.Do(func() {
		a.loop.log.Error("a listener broke", "addr", a.listener.addr.String(), "err", e)
		a.loop.group.fail(fmt.Errorf("accept on %s: %w", a.listener.addr, e))
	})
}

// pause takes the listener out of the poller for a moment: what is registered with
// EPOLLEXCLUSIVE cannot be modified. The other loops go on, and rest when they find
// the same.
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

// reserve is a descriptor of the group's that is given up to refuse a peer when
// there is no other.
type reserve struct {
	mu sync.RWMutex // a leaf lock; held for reading over accept(2), as nobody else may take what is given up
	fd int          // -1 while there is none; guarded by mu
}

// refuse gives the reserve up, takes a peer with it, and closes that. It returns what
// accept answered, and whether the reserve could not be had back.
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
