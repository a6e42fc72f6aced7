//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendFloor is the least a fan-out can cost: one send for each connection, in
// turn, whenever a byte comes in on the standard input. It has no epoll.
func sendFloor(listener int, o roleOptions) error {
	fds := make([]int32, 0, o.n)
	for len(fds) < o.n {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("accept4", err)
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return os.NewSyscallError("setsockopt TCP_NODELAY", err)
		}
		fds = append(fds, int32(fd))
	}
	fmt.Println("ready")
	return sendOnDemand(fds, floorFrame(o.out))
}

// floorFrame is size bytes, at least 2, that a client takes for one unmasked text
// frame; RFC 6455, section 5.2.
func floorFrame(size int) []byte {
	frame := make([]byte, 0, size)
	switch {
	case size-2 < 126:
		frame = append(frame, 0x80|opText, byte(size-2))
	case size-4 <= 0xffff:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|opText, 126), uint16(size-4))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|opText, 127), uint64(size-10))
	}
	return append(frame, bytes.Repeat([]byte{'x'}, size-len(frame))...)
}

func sendOnDemand(fds []int32, frame []byte) error {
	var asked [tallySize]byte
	for {
		n, err := unix.Read(0, asked[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("read", err)
		}
		if n == 0 {
			return nil
		}
		for range n {
			if err := sendToAll(fds, frame); err != nil {
				return err
			}
		}
	}
}

func sendToAll(fds []int32, frame []byte) error {
	for _, fd := range fds {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&frame[0])), uintptr(len(frame)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != 0 {
			return os.NewSyscallError("send", errno)
		}
		if int(n) != len(frame) {
			return fmt.Errorf("send took %d of %d bytes: the generator does not keep up", n, len(frame))
		}
	}
	return nil
}

// awaitReady waits until a floor has accepted all its connections.
func (f *floor) awaitReady() error {
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := f.line()
		answers <- answer{line, err}
	}()
	select {
	case a := <-answers:
		if a.err == nil && a.line != "ready" {
			a.err = fmt.Errorf("said %q", a.line)
		}
		return a.err
	case <-time.After(startTimeout):
		return fmt.Errorf("not ready within %v", startTimeout)
	}
}
