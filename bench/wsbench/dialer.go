//go:build linux

package main

import (
	"container/heap"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialBatch is how many connections a dialer begins before it looks for answers.
const dialBatch = 32

// dialer is one thread that makes connections of a storm, all at the same time: it
// begins them as fast as it can, or as it is told, and never waits for one.
type dialer struct {
	target  target
	sources *sources
	request []byte // the upgrade
	greet   []byte // what opens a session, nil for nothing
	join    []byte
	epoll   int
	callers []caller
	begun   int           // callers that have been begun
	every   time.Duration // between two beginnings; 0 is none
	first   int64         // when the first began
	again   retries       // who tries again, the soonest first
	joined  int
	buf     [16 << 10]byte
	events  [eventsSize]unix.EpollEvent

	tries, refused int
	resets         int        // tries that the kernel ended before the server saw them
	atOnce         int        // who joined at the first try
	lastAtOnce     int64      // when the last of them did
	joinedAfter    *latencies // from the first SYN, or when it was due, to the answer to the join
	cpu            time.Duration
}

// retries are ordered by time; container/heap keeps them so.
type retries []retry

type retry struct {
	at     int64
	caller int
}

func (r retries) Len() int           { return len(r) }
func (r retries) Less(i, j int) bool { return r[i].at < r[j].at }
func (r retries) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *retries) Push(x any)        { *r = append(*r, x.(retry)) }
func (r *retries) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

func openDialer(t target, from *sources, n int) (*dialer, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	d := &dialer{target: t, sources: from, request: t.upgradeRequest(), epoll: epoll, callers: make([]caller, n),
		join: clientFrame(opText, t.dialect.join(sharedChannel)), joinedAfter: newLatencies()}
	if t.dialect.hello != nil {
		d.greet = clientFrame(opText, t.dialect.hello)
	}
	for i := range d.callers {
		d.callers[i].fd = -1
		d.callers[i].in.keep = true
	}
	return d, nil
}

// run returns when everybody has joined, or limit is over.
func (d *dialer) run(limit time.Duration) error {
	tid := unix.Gettid()
	before, err := threadClock(tid)
	if err != nil {
		return err
	}
	d.first = now()
	for end := d.first + int64(limit); d.joined < len(d.callers); {
		if now() > end {
			return fmt.Errorf("%d of %d had joined after %v", d.joined, len(d.callers), limit)
		}
		if err := d.beginDue(); err != nil {
			return err
		}
		if err := d.takeEvents(); err != nil {
			return err
		}
	}
	after, err := threadClock(tid)
	d.cpu = after - before
	return err
}

// beginDue begins some of those whose time has come.
func (d *dialer) beginDue() error {
	for range dialBatch {
		at := now()
		switch {
		case len(d.again) > 0 && d.again[0].at <= at:
			if err := d.begin(heap.Pop(&d.again).(retry).caller); err != nil {
				return err
			}
		case d.begun < len(d.callers) && d.due() <= at:
			i := d.begun
			d.callers[i].since = at
			if d.every > 0 {
				d.callers[i].since = d.due()
			}
			d.begun++
			if err := d.begin(i); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

// due is when the next of those begins that have not tried yet.
func (d *dialer) due() int64 { return d.first + int64(d.begun)*int64(d.every) }

// await waits for an answer, at most until somebody is to begin. Its timeout is finer
// than epoll's own, so that a steady rate is kept without spinning.
func (d *dialer) await() error {
	next := now() + int64(time.Second)
	if d.begun < len(d.callers) {
		next = min(next, d.due())
	}
	if len(d.again) > 0 {
		next = min(next, d.again[0].at)
	}
	timeout := unix.NsecToTimespec(max(next-now(), 0))
	_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(d.epoll), Events: unix.POLLIN}}, &timeout, nil)
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("ppoll", err)
	}
	return nil
}

// begin sends a SYN, and the upgrade too if the kernel has its answer by then.
func (d *dialer) begin(i int) error {
	c := &d.callers[i]
	fd, err := d.sources.call(d.target.port)
	if err != nil {
		return err
	}
	d.tries++
	c.fd, c.state, c.head = fd, calling, c.head[:0]
	interest := uint32(unix.EPOLLIN)
	if d.upgrade(c) != nil {
		interest |= unix.EPOLLOUT
	}
	e := unix.EpollEvent{Events: interest, Fd: int32(i)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(d.epoll, unix.EPOLL_CTL_ADD, fd, &e))
}

// upgrade sends the request. It fits, as it is the first that is sent.
func (d *dialer) upgrade(c *caller) error {
	if n, errno := sendNow(c.fd, d.request); n != len(d.request) {
		return os.NewSyscallError("send", errno)
	}
	c.state = upgrading
	return nil
}

func (d *dialer) takeEvents() error {
	if err := d.await(); err != nil {
		return err
	}
	n, err := unix.EpollWait(d.epoll, d.events[:], 0)
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("epoll_wait", err)
	}
	for _, e := range d.events[:max(n, 0)] {
		i := int(e.Fd)
		if err := d.advance(i); err != nil {
			return fmt.Errorf("connection %d of %d: %w", i+1, len(d.callers), err)
		}
	}
	return nil
}

// retry ends this try, and makes another later.
func (d *dialer) retry(i int, after time.Duration) {
	c := &d.callers[i]
	unix.Close(c.fd) // which takes it out of the epoll
	c.fd, c.in, c.again = -1, frames{keep: true}, true
	heap.Push(&d.again, retry{now() + int64(after), i})
}

func (d *dialer) close() {
	for i := range d.callers {
		if fd := d.callers[i].fd; fd >= 0 {
			unix.Close(fd)
		}
	}
	unix.Close(d.epoll)
}
