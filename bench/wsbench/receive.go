//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	receiveSize = 64 << 10 // of the buffer one read goes to
	eventsSize  = 256      // events taken by one epoll_wait
	stopIndex   = -1       // the event that ends a receiver
)

// epoch and origin are one instant, on the clock of package time and on that of the
// system.
var epoch, origin = oneInstant(monotonic)

// clockTries is how often the clocks are compared at most, and clockClose a difference
// that is good enough.
const (
	clockTries = 10
	clockClose = 500 * time.Nanosecond
)

// oneInstant reads both clocks between two looks at one of them, and keeps the reading
// that took least: a thread that was put aside between them would be wrong by that for
// the life of its process, and so would latencies between processes.
func oneInstant(system func() int64) (epoch time.Time, origin int64) {
	tightest := time.Duration(-1)
	for range clockTries {
		before := time.Now()
		instant := system()
		took := time.Since(before)
		if tightest < 0 || took < tightest {
			tightest, epoch, origin = took, before.Add(took/2), instant
		}
		if tightest <= clockClose {
			break
		}
	}
	return epoch, origin
}

// now is an instant of CLOCK_MONOTONIC in nanoseconds, the same in all processes.
// The clock of package time is read much faster.
func now() int64 { return origin + int64(time.Since(epoch)) }

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // which every kernel has
	return ts.Nano()
}

// receiver is one thread that reads for some members of a crowd: one epoll, one
// buffer, one read per event, and no memory of what it read.
type receiver struct {
	crowd   *crowd
	epoll   int
	wake    int // eventfd
	tid     int // of its thread; set once started is closed
	started chan struct{}
	buf     []byte
	took    *latencies   // of what its members waited for
	given   atomic.Int64 // members handed over while it runs
	pongs   atomic.Int64 // pings answered
}

func openReceiver(c *crowd) (*receiver, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	r := &receiver{crowd: c, epoll: epoll, wake: wake, started: make(chan struct{}), buf: make([]byte, receiveSize), took: newLatencies()}
	if err := r.register(wake, stopIndex); err != nil {
		r.release()
		return nil, err
	}
	return r, nil
}

func (r *receiver) register(fd, index int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(index)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &e))
}

// add hands a member over to the receiver.
func (r *receiver) add(m *member, index int) error { return r.register(m.fd, index) }

// take hands a member over to a receiver that runs.
func (r *receiver) take(m *member, index int) error {
	r.given.Add(1)
	return r.add(m, index)
}

// run receives until stop. It keeps its thread, so that the thread's CPU clock is
// that of the receiver.
func (r *receiver) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.tid = unix.Gettid()
	close(r.started)
	events := make([]unix.EpollEvent, eventsSize)
	for {
		n, err := unix.EpollWait(r.epoll, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			r.crowd.fail(os.NewSyscallError("epoll_wait", err))
			return
		}
		r.given.Load() // what was done to a member before take is visible from here on
		for _, e := range events[:n] {
			if e.Fd == stopIndex {
				return
			}
			r.read(&r.crowd.members[e.Fd])
		}
	}
}

// read makes one read: interest is level-triggered, what is left comes again.
func (r *receiver) read(m *member) {
	n, errno := recvNow(m.fd, r.buf)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return
	case errno != 0:
		r.lose(m, 0, fmt.Sprintf("read: %v", errno))
		return
	case n == 0:
		r.lose(m, 0, "no Close frame")
		return
	}
	if r.crowd.raw != nil {
		r.crowd.raw(m, r.buf[:n])
		return
	}
	for p := r.buf[:n]; len(p) > 0; {
		rest, e, ok := m.in.next(p)
		if !ok {
			return
		}
		p = rest
		if e.opcode == opText {
			r.data(m, e)
			continue
		}
		if !r.control(m, e) {
			return
		}
	}
}

// data hands a message over.
func (r *receiver) data(m *member, e event) {
	if d := r.crowd.dialect; d != nil && d.lines {
		r.lines(d, m, e.payload)
		return
	}
	r.crowd.message(m, e)
}

// lines takes a message apart that holds several. The member's frames keep payloads.
func (r *receiver) lines(d *dialect, m *member, payload []byte) {
	for line := range bytes.SplitSeq(payload, []byte{'\n'}) {
		switch {
		case bytes.HasPrefix(line, d.push) && len(line) >= m.in.skip+stampSize:
			r.crowd.message(m, event{opcode: opText, size: len(line), stamp: line[m.in.skip:]})
		case bytes.HasPrefix(line, d.push):
			r.crowd.message(m, event{opcode: opText, size: len(line), stamp: make([]byte, stampSize)})
		case bytes.Equal(line, d.beat):
			sendNow(m.fd, clientFrame(opText, d.beat))
		}
	}
}

// control answers a ping and reports false when the server closes the connection.
func (r *receiver) control(m *member, e event) bool {
	switch e.opcode {
	case opPing:
		r.pongs.Add(1)
		sendNow(m.fd, clientFrame(opPong, e.payload))
	case opClose:
		why, code := "Close frame without a code", closeCode(e)
		if len(e.payload) >= 2 {
			why = fmt.Sprintf("Close frame %d %s", code, e.payload[2:])
		}
		r.lose(m, code, why)
		return false
	}
	return true
}

// closeCode is the code of a Close frame, 0 without one; RFC 6455, section 5.5.1.
func closeCode(e event) uint16 {
	if len(e.payload) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(e.payload)
}

// lose takes a connection that the server ended out of the epoll. The descriptor
// is closed with the crowd.
func (r *receiver) lose(m *member, code uint16, why string) {
	unix.EpollCtl(r.epoll, unix.EPOLL_CTL_DEL, m.fd, nil)
	r.crowd.lost.Add(1)
	if r.crowd.ended != nil {
		r.crowd.ended(m, code)
	}
	if !r.crowd.tolerant {
		r.crowd.fail(fmt.Errorf("the server closed a connection: %s", why))
	}
}

func (r *receiver) stop() {
	one := [8]byte{7: 1}
	unix.Write(r.wake, one[:])
}

func (r *receiver) release() {
	unix.Close(r.epoll)
	unix.Close(r.wake)
}

// recvNow and sendNow never wait, so the scheduler need not hear of them.
func recvNow(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func sendNow(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}
