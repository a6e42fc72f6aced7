//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout bounds each read and write while a connection is being opened.
const dialTimeout = 20 * time.Second

// connectionsPerSource is how many connections leave from one source address, far
// below the 28,000 ephemeral ports, so that a port is free at the first try.
const connectionsPerSource = 8000

// handshakeKey and handshakeAccept are the example of RFC 6455, section 1.3.
const (
	handshakeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	handshakeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// target is where connections are made to: a server, or a floor, which has no
// dialect and is never asked to upgrade.
type target struct {
	port    int
	dialect *dialect
}

// upgradeRequest is the head of a handshake; RFC 6455, section 4.1.
func (t target) upgradeRequest() []byte {
	path := wsifyDialect.path
	if t.dialect != nil {
		path = t.dialect.path
	}
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", path, t.port, handshakeKey)
}

// sources hands out addresses of 127.0.0.0/8 to connect from.
type sources struct{ given atomic.Uint32 }

// newSources starts at a block of addresses that depends on the process, so that
// ports which an earlier run left in TIME_WAIT are not met again.
func newSources() *sources {
	s := new(sources)
	s.given.Store(uint32(os.Getpid()%1000) * 16 * connectionsPerSource)
	return s
}

func (s *sources) next() [4]byte {
	block := s.given.Add(1) / connectionsPerSource
	return [4]byte{127, byte(1 + block>>16%200), byte(block >> 8), byte(block)}
}

// dial opens a blocking connection from the next source address. The descriptor
// is owned by the caller.
func (s *sources) dial(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := s.connect(fd, port); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// call begins a connection from the next source address, on a descriptor that never
// blocks and is owned by the caller.
func (s *sources) call(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := s.bindAndConnect(fd, port); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (s *sources) bindAndConnect(fd, port int) error {
	// The port is chosen by connect, among those free towards this server only.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return os.NewSyscallError("setsockopt IP_BIND_ADDRESS_NO_PORT", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: s.next()}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
		return os.NewSyscallError("connect", err)
	}
	return nil
}

func (s *sources) connect(fd, port int) error {
	if err := s.bindAndConnect(fd, port); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt TCP_NODELAY", err)
	}
	timeout := unix.NsecToTimeval(dialTimeout.Nanoseconds())
	return errors.Join(
		os.NewSyscallError("setsockopt SO_RCVTIMEO", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)),
		os.NewSyscallError("setsockopt SO_SNDTIMEO", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout)))
}

// writeAll writes p to a blocking descriptor.
func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.SendmsgN(fd, p, nil, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("send", err)
		}
		p = p[n:]
	}
	return nil
}

// readSome reads from a blocking descriptor. The end of the stream is an error.
func readSome(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, fmt.Errorf("no answer within %v", dialTimeout)
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, errors.New("closed by the server")
		}
		return n, nil
	}
}

// upgrade makes the handshake on a blocking descriptor. It returns the size of the
// answer's head and the bytes that came behind it, a part of buf.
func upgrade(fd int, request, buf []byte) (head int, rest []byte, err error) {
	if err := writeAll(fd, request); err != nil {
		return 0, nil, err
	}
	for have := 0; have < len(buf); {
		n, err := readSome(fd, buf[have:])
		if err != nil {
			return 0, nil, fmt.Errorf("handshake: %w", err)
		}
		have += n
		if end := bytes.Index(buf[:have], []byte("\r\n\r\n")); end >= 0 {
			head = end + 4
			return head, buf[head:have], checkUpgrade(buf[:head])
		}
	}
	return 0, nil, fmt.Errorf("handshake: the answer's head is above %d bytes", len(buf))
}

func checkUpgrade(head []byte) error {
	status, _, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 101")) {
		return fmt.Errorf("handshake: answered %q", status)
	}
	if !bytes.Contains(head, []byte(handshakeAccept)) {
		return errors.New("handshake: no Sec-WebSocket-Accept for the key")
	}
	return nil
}
