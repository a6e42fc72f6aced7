package netpoll

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// nativePoller is our own poller.
//
// It keeps nothing per connection. The kernel returns the slot and generation given
// at registration, so an event for an ended connection finds another generation and
// is dropped. Each batch ends with the requested turn, so waking a busy loop takes
// no system call.
type nativePoller struct {
	loop    *Loop
	fd      int
	onError func(error)
	wake    int // the eventfd; -1 before the goroutine is started
	stopped atomic.Bool
	done    chan struct{}
	pace    pace // of the loop's goroutine
	next    int  // among connections with more to read, the one to read next

	mu     sync.Mutex             // a leaf lock
	others map[int32]func(uint32) // by descriptor: listeners, timer, eventfd; guarded by mu
}

// batchSize is how many events are taken in one system call.
const batchSize = 512

func openNative(l *Loop, onError func(error)) (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &nativePoller{loop: l, fd: fd, onError: onError, wake: -1, done: make(chan struct{}), others: make(map[int32]func(uint32))}
	return p, nil
}

// run is the loop's goroutine.
func (p *nativePoller) run() {
	defer close(p.done)
	l := p.loop
	events := make([]unix.EpollEvent, batchSize)
	for !p.stopped.Load() {
		now := l.now()
		if p.pace.yields(now) {
			runtime.Gosched()
		}
		n, at, err := p.wait(events, now)
		l.busy.Store(true)
		if err != nil && !errors.Is(err, unix.EINTR) {
			p.onError(err)
			return
		}
		l.beginBatch(at)
		more := 0
		for i := range max(n, 0) {
			if p.hasMore(&events[i]) {
				events[more] = events[i]
				more++
				continue
			}
			p.dispatch(&events[i])
			l.handled()
		}
		p.readRest(events[:more])
		if l.waking.Load() {
			l.endBatch()
		}
	}
}

// wait blocks until there are events or a turn is requested, and returns that time.
// After clearing busy and before it sleeps, it looks for a requested turn. Wake
// requests the turn first and then looks at busy, so one of them sees the other.
func (p *nativePoller) wait(events []unix.EpollEvent, now time.Duration) (n int, at time.Duration, err error) {
	p.loop.busy.Store(false)
	if p.loop.waking.Load() {
		n, err = epollNow(p.fd, events)
		return n, now, err
	}
	n, err = unix.EpollWait(p.fd, events, -1)
	at = p.loop.now()
	p.pace.waited(now, at)
	return n, at, err
}

// hasMore reports whether the event's connection had more to read than was taken.
func (p *nativePoller) hasMore(ev *unix.EpollEvent) bool {
	return ev.Pad != 0 && p.loop.conns.at(uint32(ev.Fd)).has(flagMore)
}

// readRest reads connections that had more to read than was taken, after all others of
// their batch, for at most readWithin. Epoll reports the rest again, in the same
// order, and next makes the next call continue there.
func (p *nativePoller) readRest(events []unix.EpollEvent) {
	if len(events) == 0 {
		return
	}
	l := p.loop
	l.beginRest(len(events))
	first := p.next % len(events)
	p.next = first
	for i := range events {
		ev := &events[(first+i)%len(events)]
		p.dispatch(ev)
		if p.hasMore(ev) {
			p.next++
		}
		if l.handled(); l.batch.over() {
			return
		}
	}
}

// dispatch passes one event to its connection or other descriptor.
func (p *nativePoller) dispatch(ev *unix.EpollEvent) {
	if generation := uint32(ev.Pad); generation != 0 {
		c := p.loop.conns.at(uint32(ev.Fd))
		if c.generation == generation {
			c.ready(ev.Events)
		}
		return
	}
	p.mu.Lock()
	ready := p.others[ev.Fd]
	p.mu.Unlock()
	if ready != nil {
		ready(ev.Events)
	}
}

func (p *nativePoller) add(fd int, interest uint32, ready func(events uint32)) error {
	p.mu.Lock()
	p.others[int32(fd)] = ready
	p.mu.Unlock()
	err := p.control(unix.EPOLL_CTL_ADD, fd, unix.EpollEvent{Events: interest, Fd: int32(fd)})
	if err != nil {
		p.forget(fd)
	}
	return err
}

// addWake registers fd only to end the wait; the turn follows at the end of the
// batch. It starts the goroutine, which close can end from now on.
func (p *nativePoller) addWake(fd int) error {
	if err := p.add(fd, interestRead|interestEdge, func(uint32) {}); err != nil {
		return err
	}
	p.wake = fd
	go p.run()
	return nil
}

func (p *nativePoller) remove(fd int) {
	_ = p.control(unix.EPOLL_CTL_DEL, fd, unix.EpollEvent{})
	p.forget(fd)
}

func (p *nativePoller) forget(fd int) {
	p.mu.Lock()
	delete(p.others, int32(fd))
	p.mu.Unlock()
}

func (p *nativePoller) addConn(c *Conn, interest uint32) error {
	return p.control(unix.EPOLL_CTL_ADD, int(c.fd), connEvent(c, interest))
}

func (p *nativePoller) modifyConn(c *Conn, interest uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, int(c.fd), connEvent(c, interest))
}

func (p *nativePoller) removeConn(c *Conn) {
	_ = p.control(unix.EPOLL_CTL_DEL, int(c.fd), unix.EpollEvent{})
}

// closeConn removes the registration explicitly: closing the descriptor does so
// only when no duplicate of it is open (epoll(7)).
func (p *nativePoller) closeConn(c *Conn) {
	p.removeConn(c)
	_ = unix.Close(int(c.fd))
}

// connEvent names c by slot and generation, which is never 0.
func connEvent(c *Conn, interest uint32) unix.EpollEvent {
	return unix.EpollEvent{Events: interest, Fd: int32(c.Slot()), Pad: int32(c.generation)}
}

func (p *nativePoller) control(op, fd int, ev unix.EpollEvent) error {
	if e := epollCtl(p.fd, op, fd, &ev); e != 0 {
		return os.NewSyscallError("epoll_ctl", e)
	}
	return nil
}

// close opens no descriptor, because none may be free.
func (p *nativePoller) close() error {
	p.stopped.Store(true)
	if p.wake >= 0 {
		signal(int32(p.wake))
		<-p.done
	}
	return os.NewSyscallError("close", unix.Close(p.fd))
}
