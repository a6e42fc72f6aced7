package netpoll

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// The readiness kinds a descriptor may be registered for. EPOLLERR and EPOLLHUP
// are always reported (epoll_ctl(2)). EPOLLRDHUP is never asked for: end of
// stream is readable, and a paused connection must not wake its loop.
const (
	interestRead  = unix.EPOLLIN
	interestWrite = unix.EPOLLOUT
	interestEdge  = unix.EPOLLET
)

// Poller names an implementation of the epoll instance behind each loop.
type Poller string

const (
	// PollerNative keeps nothing per connection and wakes a busy loop without a
	// system call. It is the default.
	PollerNative Poller = "native"
	// PollerEasygo is mailru/easygo's Epoll on raw descriptors. It costs a map
	// entry and a closure for each connection, and an eventfd write for each turn.
	PollerEasygo Poller = "easygo"
)

// poller is one epoll instance. Its goroutine is the loop's, and makes every
// callback. Other goroutines may call only close, and add and remove, which are for
// descriptors that are not connections.
type poller interface {
	// add registers a descriptor that is not a connection.
	add(fd int, interest uint32, ready func(events uint32)) error
	// remove must be called before fd is closed.
	remove(fd int)

	// addConn registers a connection; its events call c.ready.
	addConn(c *Conn, interest uint32) error
	modifyConn(c *Conn, interest uint32) error
	// removeConn leaves the descriptor open, closeConn does not.
	removeConn(c *Conn)
	closeConn(c *Conn)

	// addWake registers the eventfd that is written when a turn is requested. It is
	// the last step before the loop starts. It is edge-triggered: each signal is
	// reported once, and the counter need never be read (epoll(7)).
	addWake(fd int) error

	// close ends the goroutine and returns when it has ended.
	close() error
}

// openPoller starts an epoll instance for l. onError is called on its goroutine
// when epoll_wait(2) fails for good; nothing is called after it.
func openPoller(kind Poller, l *Loop, onError func(error)) (poller, error) {
	switch kind {
	case PollerNative, "":
		return openNative(l, onError)
	case PollerEasygo:
		return openEasygo(l, onError)
	}
	return nil, fmt.Errorf("no such poller: %q", kind)
}
