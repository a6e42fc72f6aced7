//go:build linux

// Command gobwas serves wsify's protocol with github.com/gobwas/ws and an epoll of its own, in the shape of
// eranyanay's 1m-go-websockets: the upgrade by net/http, one epoll for all, a table from descriptor to
// connection, and one goroutine that reads from each readable connection with a blocking read. So it has what
// that shape costs: a client that sends half a frame stops the loop until the other half comes. A client that
// takes nothing delays the others for a second, and is closed then.
package main

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/sys/unix"

	"wsify/bench/peers/internal/peer"
)

type conn struct {
	*net.TCPConn
	session *peer.Session[*conn]
}

type loop struct {
	epoll  int
	server *peer.Server[*conn]
	mu     sync.RWMutex
	conns  map[int]*conn // by descriptor
}

func main() {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		panic(err)
	}
	l := &loop{epoll: epoll, conns: map[int]*conn{}, server: peer.NewServer(deliver)}
	go l.run()
	peer.Main(peer.HTTP("/ws", http.HandlerFunc(l.upgrade), l.server))
}

func deliver(members []*conn, content []byte) {
	frame := ws.MustCompileFrame(ws.NewTextFrame(content))
	for _, c := range members {
		c.send(frame)
	}
}

func (c *conn) send(frame []byte) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := c.Write(frame); err != nil {
		_, _ = c.CloseRead(), c.CloseWrite() // the loop reads its end and cleans up
	}
}

func (l *loop) upgrade(w http.ResponseWriter, r *http.Request) {
	nc, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return // it has answered
	}
	c := &conn{TCPConn: nc.(*net.TCPConn)}
	c.session = l.server.Open(c)
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		l.mu.Lock()
		l.conns[int(fd)] = c
		l.mu.Unlock()
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLHUP, Fd: int32(fd)})
	})
}

func (l *loop) run() {
	events := make([]unix.EpollEvent, 100) // as in the original
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			panic(err)
		}
		for _, e := range events[:max(n, 0)] {
			fd := int(e.Fd)
			l.mu.RLock()
			c := l.conns[fd]
			l.mu.RUnlock()
			if c == nil || c.read() == nil {
				continue
			}
			_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil)
			l.mu.Lock()
			delete(l.conns, fd)
			l.mu.Unlock()
			c.session.Close()
			_ = c.Close()
		}
	}
}

// read takes one message, or one control frame, and carries it out.
func (c *conn) read() error {
	control := wsutil.ControlFrameHandler(c.TCPConn, ws.StateServerSide)
	r := wsutil.Reader{Source: c.TCPConn, State: ws.StateServerSide, MaxFrameSize: peer.MaxMessageSize, OnIntermediate: control}
	head, err := r.NextFrame()
	if err != nil {
		return err
	}
	if head.OpCode.IsControl() {
		return control(head, &r)
	}
	message, err := io.ReadAll(&r)
	if err == nil {
		if answer := c.session.Handle(message); answer != nil {
			c.send(ws.MustCompileFrame(ws.NewTextFrame(answer)))
		}
	}
	return err
}
