package netpoll

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below use non-blocking descriptors, so they return at once and need not
// tell the scheduler (RawSyscall); that is worth 5 to 10 % of an event. Each
// repeats on EINTR and returns the errno, 0 when there is none.

// recv reads into p. It returns 0, 0 at end of stream. On a socket, recvfrom(2) is
// some 25 ns faster than read(2), which passes the kernel's file layer.
func recv(fd int32, p []byte) (int, unix.Errno) {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_DONTWAIT, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// atEnd reports whether the peer has ended its stream and no byte before the end is
// unread; recv(2), MSG_PEEK.
func atEnd(fd int32) bool {
	var p [1]byte
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return e == 0 && n == 0
}

// send writes p, which must not be empty, as far as the kernel takes it.
func send(fd int32, p []byte) (int, unix.Errno) {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// sendv is send for several pieces in one system call, sendmsg(2), because writev(2)
// has no MSG_NOSIGNAL. For one piece, send is some 65 ns faster.
func sendv(fd int32, iov []unix.Iovec) (int, unix.Errno) {
	msg := unix.Msghdr{Iov: unsafe.SliceData(iov)}
	msg.SetIovlen(len(iov))
	for {
		n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// accept takes one connection off a listener's queue, non-blocking and closed on
// exec. It does not ask for the peer's address; Conn.RemoteAddr does when needed.
func accept(fd int) (int, unix.Errno) {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// eventfdOne is the 64-bit number 1 in the order of the machine (little-endian on
// every platform we build for; any non-zero number would do).
var eventfdOne = [8]byte{1}

// signal wakes the loop that waits on the eventfd. The counter cannot overflow before
// 2^64 signals, so the write cannot block (eventfd(2)).
func signal(fd int32) {
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&eventfdOne[0])), 8)
}

// wouldBlock reports whether a write failed only for now: the socket's buffer is
// full, or the kernel is short of memory. EPOLLOUT says when to try again.
func wouldBlock(e unix.Errno) bool {
	return e == unix.EAGAIN || e == unix.ENOBUFS || e == unix.ENOMEM
}

// epollNow returns the events that are ready, without waiting.
func epollNow(epfd int, events []unix.EpollEvent) (int, error) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), 0, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// epollCtl is epoll_ctl(2).
func epollCtl(epfd, op, fd int, ev *unix.EpollEvent) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return e
}
