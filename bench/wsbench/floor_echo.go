//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxDescriptors is above every descriptor number of an echo floor.
const maxDescriptors = 1 << 20

// waiter is an epoll instance with the buffers of one thread of a floor.
type waiter struct {
	epoll    int
	listener int
	events   [128]unix.EpollEvent
	buf      [64 << 10]byte
	answer   []byte
	team     []*waiter // one for each thread; new connections go round
	accepted int
}

// newWaiter watches the listener, which becomes non-blocking.
func newWaiter(listener, answer int) (*waiter, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(listener, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &waiter{epoll: epoll, listener: listener, answer: floorFrame(answer)}
	return w, w.watch(listener)
}

func (w *waiter) watch(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(w.epoll), unix.EPOLL_CTL_ADD, uintptr(fd),
		uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// wait blocks in the system call without telling the scheduler: the process has
// nothing else to do, and what the scheduler does about it is no part of the floor.
func (w *waiter) wait() ([]unix.EpollEvent, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(w.epoll), uintptr(unsafe.Pointer(&w.events[0])),
		uintptr(len(w.events)), ^uintptr(0), 0, 0)
	if errno == unix.EINTR {
		return nil, nil
	}
	if errno != 0 {
		return nil, os.NewSyscallError("epoll_pwait", errno)
	}
	return w.events[:n], nil
}

// accept takes every connection that waits and watches it.
func (w *waiter) accept() error {
	for {
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(w.listener), 0, 0,
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return nil
		case unix.ECONNABORTED, unix.EINTR:
			continue
		default:
			return os.NewSyscallError("accept4", errno)
		}
		to := w
		if len(w.team) > 0 {
			to = w.team[w.accepted%len(w.team)]
		}
		w.accepted++
		if err := to.watch(int(fd)); err != nil {
			return err
		}
	}
}

// serve calls readable for each connection that can be read, until a failure.
func (w *waiter) serve(readable func(fd int) error) error {
	go endWithInput()
	for {
		events, err := w.wait()
		if err != nil {
			return err
		}
		for i := range events {
			fd := int(events[i].Fd)
			if fd == w.listener {
				err = w.accept()
			} else {
				err = readable(fd)
			}
			if err != nil {
				return err
			}
		}
	}
}

// send answers. Answers are small and clients read them, so they fit.
func (w *waiter) send(fd int) error {
	n, errno := sendNow(fd, w.answer)
	if errno == unix.EPIPE || errno == unix.ECONNRESET {
		return nil // the next read tells
	}
	if errno != 0 || n != len(w.answer) {
		return fmt.Errorf("send took %d of %d bytes: %w", n, len(w.answer), errno)
	}
	return nil
}

func closeNow(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// echoFloor is the least a round trip can cost: epoll_wait, one read, one send,
// level-triggered, on as many threads as asked for.
func echoFloor(listener int, o roleOptions) error {
	if o.in == 0 {
		return fmt.Errorf("-floor-in is 0")
	}
	w, err := newWaiter(listener, o.out)
	if err != nil {
		return err
	}
	have := make([]int, maxDescriptors) // bytes of an incomplete request, by descriptor
	w.team = append(w.team, w)
	runtime.GOMAXPROCS(o.threads + 1) // each keeps a processor for itself, even while it waits
	for range o.threads - 1 {
		if err := w.addThread(have, o.in); err != nil {
			return err
		}
	}
	return w.serve(func(fd int) error {
		return w.echo(fd, &have[fd], o.in)
	})
}

// addThread starts a thread with an epoll instance of its own. Its failure ends the
// process.
func (w *waiter) addThread(have []int, size int) error {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	other := &waiter{epoll: epoll, listener: -1, answer: w.answer}
	w.team = append(w.team, other)
	go func() {
		err := other.serve(func(fd int) error { return other.echo(fd, &have[fd], size) })
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}()
	return nil
}

func (w *waiter) echo(fd int, have *int, size int) error {
	n, errno := recvNow(fd, w.buf[:])
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return nil
	}
	if errno != 0 || n == 0 {
		*have = 0
		closeNow(fd)
		return nil
	}
	for *have += n; *have >= size; *have -= size {
		if err := w.send(fd); err != nil {
			return err
		}
	}
	return nil
}

// acceptFloor is the least a handshake can cost: accept4, epoll_ctl, read, send,
// and close when the client has closed.
func acceptFloor(listener int, o roleOptions) error {
	w, err := newWaiter(listener, o.out)
	if err != nil {
		return err
	}
	return w.serve(func(fd int) error {
		n, errno := recvNow(fd, w.buf[:])
		switch {
		case errno == unix.EAGAIN || errno == unix.EINTR:
			return nil
		case errno != 0 || n == 0:
			closeNow(fd)
			return nil
		}
		return w.send(fd)
	})
}
