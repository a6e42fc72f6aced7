package main

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// batch is how many events one wait takes, as in 1m-go-websockets.
const batch = 100

// epoll is the one epoll instance, with the table of its connections.
type epoll struct {
	fd     int
	events [batch]unix.EpollEvent // of the loop
	ready  []*conn                // of the loop

	mu    sync.RWMutex
	conns map[int]*conn // guarded by mu
}

func openEpoll() (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &epoll{fd: fd, conns: make(map[int]*conn)}, nil
}

func (e *epoll) add(c *conn) error {
	e.mu.Lock()
	e.conns[c.fd] = c
	e.mu.Unlock()
	err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLHUP, Fd: int32(c.fd)})
	if err != nil {
		e.forget(c)
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// remove is for the loop, before it closes the connection.
func (e *epoll) remove(c *conn) {
	unix.EpollCtl(e.fd, unix.EPOLL_CTL_DEL, c.fd, nil) // close would do as much
	e.forget(c)
}

func (e *epoll) forget(c *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c.fd)
}

// run is the loop. It returns when the epoll fails.
func (e *epoll) run() error {
	for {
		if err := e.wait(); err != nil {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, c := range e.ready {
			if err := c.read(); err != nil {
				e.remove(c)
				c.close()
			}
		}
	}
}

// wait fills ready with the connections that have something to read.
func (e *epoll) wait() error {
	n, err := unix.EpollWait(e.fd, e.events[:], -1)
	if err != nil && err != unix.EINTR {
		return err
	}
	e.ready = e.ready[:0]
	e.mu.RLock()
	defer e.mu.RUnlock()
	for _, event := range e.events[:max(n, 0)] {
		if c := e.conns[int(event.Fd)]; c != nil {
			e.ready = append(e.ready, c)
		}
	}
	return nil
}
