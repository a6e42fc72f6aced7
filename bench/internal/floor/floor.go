//go:build linux

// Package floor is a yardstick: a server that does for the scenarios echo, fanout, mesh and connect what nobody
// can leave out, and nothing else. One thread waits for readable sockets, reads once, and sends once to each
// member. It checks nothing and bounds nothing.
package floor

import (
	"bytes"
	"net"
	"os"
	"runtime"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

type server struct {
	epoll    int
	channels map[string][]int // descriptors
	in       [][]byte         // by descriptor: what is incomplete
	buf      []byte
}

// Serve serves addr until the process ends.
func Serve(addr string) error {
	runtime.LockOSThread()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close() // never, but until then the collector leaves it open
	listener := int(file.Fd())
	s := &server{channels: map[string][]int{}, buf: make([]byte, 64<<10)}
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(listener, true)
	s.watch(listener)
	events := make([]unix.EpollEvent, 512)
	for {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, e := range events[:max(n, 0)] {
			if fd := int(e.Fd); fd == listener {
				s.accept(fd)
			} else {
				s.read(fd)
			}
		}
	}
}

func (s *server) watch(fd int) {
	_ = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (s *server) accept(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		for len(s.in) <= fd {
			s.in = append(s.in, nil)
		}
		s.in[fd] = nil
		s.watch(fd)
	}
}

func (s *server) read(fd int) {
	n, err := unix.Read(fd, s.buf)
	if err == unix.EAGAIN {
		return
	}
	if n <= 0 {
		_ = unix.Close(fd)
		return
	}
	p := s.buf[:n]
	if len(s.in[fd]) > 0 {
		p = append(s.in[fd], p...)
	}
	for rest, more := p, true; more; p = rest {
		if len(p) > 0 && p[0] == 'G' { // GET; no frame begins like that
			rest, more = s.upgrade(fd, p)
		} else {
			rest, more = s.frame(fd, p)
		}
	}
	s.in[fd] = append([]byte(nil), p...)
}

// switching is the answer to wsbench's upgrade, whose key is always the same.
var switching = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")

func (s *server) upgrade(fd int, p []byte) (rest []byte, more bool) {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return p, false
	}
	_, _ = unix.Write(fd, switching)
	return p[end+4:], true
}

// frame carries out one masked text frame.
func (s *server) frame(fd int, p []byte) (rest []byte, more bool) {
	in := bytes.NewReader(p)
	head, err := ws.ReadHeader(in)
	begin := len(p) - in.Len()
	end := begin + int(head.Length)
	if err != nil || len(p) < end {
		return p, false
	}
	payload := p[begin:end]
	ws.Cipher(payload, head.Mask, 0)
	_, after, _ := bytes.Cut(payload, []byte(`"channel":"`))
	channel, after, _ := bytes.Cut(after, []byte(`"`))
	if _, content, ok := bytes.Cut(after, []byte(`"content":`)); ok {
		out := ws.MustCompileFrame(ws.NewTextFrame(content[:max(len(content)-2, 0)]))
		for _, member := range s.channels[string(channel)] {
			_, _ = unix.Write(member, out)
		}
	} else if head.OpCode == ws.OpText {
		s.channels[string(channel)] = append(s.channels[string(channel)], fd)
		_, _ = unix.Write(fd, ws.MustCompileFrame(ws.NewTextFrame([]byte(`{"id":1,"ok":true}`))))
	}
	return p[end:], true
}
