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

// nativePoller is an epoll instance of our own.
//
// It keeps nothing per connection: the kernel hands back the slot and generation
// it was given at registration, so an event for a connection that has ended finds
// another generation and is dropped. And it ends each batch with the turn that was
// asked for, so a busy loop is woken without a system call.
type nativePoller struct {
	loop    *Loop
	fd      int
	onError func(error)
	wake    int // the eventfd; -1 before the goroutine is started
	stopped atomic.Bool
	done    chan struct{}
	pace    pace // of the loop's goroutine
	next    int  // of those that have more to read, the one that is read next

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

// wait blocks from now on until there are events, or a turn is asked for, and tells
// when that was. Between clearing busy and sleeping it looks whether a turn was asked
// for, and the asking goroutine looks at busy afterwards: one of them sees the other.
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

// hasMore reports whether an event is of a connection that had more than was read.
func (p *nativePoller) hasMore(ev *unix.EpollEvent) bool {
	return ev.Pad != 0 && p.loop.conns.at(uint32(ev.Fd)).has(flagMore)
}

// readRest handles connections that had more to read than was taken, behind all others
// of their batch, for as long as a batch may take. Epoll reports those that are left
// again, in the same order, and next goes on where it stopped.
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

// dispatch hands one event to its connection.
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

// addWake registers fd only to end the wait: the turn follows at the batch's end. The
// goroutine starts here, when there is something to end it with.
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

// closeConn ends the registration itself: closing the descriptor does so only when
// no duplicate of it is open (epoll(7)).
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

// close needs no descriptor: there may be none left.
func (p *nativePoller) close() error {
	p.stopped.Store(true)
	if p.wake >= 0 {
		signal(int32(p.wake))
		<-p.done
	}
	return os.NewSyscallError("close", unix.Close(p.fd))
}
