package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// unixPrefix marks an address as the path of a unix socket.
const unixPrefix = "unix:"

// Listen starts accepting on addr and returns the address in use. addr is
// "host:port", ":port" (IPv4 and IPv6), "[v6]:port", "unix:/path", or "fd://N" for a
// listening socket that this process has inherited as descriptor N. Port 0 means any
// free port. A Group may listen on several addresses.
//
// Listen replaces a unix socket that an ended process left behind. One that still
// answers is an error, like a port in use. Listen may be called from any goroutine
// before Stop.
func (g *Group) Listen(addr string) (net.Addr, error) {
	n, err := openListener(addr, g.socketMode)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, rootCause(err))
	}
	if err := g.register(n); err != nil {
		g.stopListener(n)
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return n.addr, nil
}

// listener is one listening descriptor, on which every loop accepts. The kernel keeps
// one queue for it, so a peer never waits for a busy loop while another is idle.
type listener struct {
	fd        int // -1 once closed; closed when every acceptor has stopped
	addr      net.Addr
	file      *socketFile // to remove on close; nil without one
	acceptors []*acceptor // guarded by Group.mu, then by Group.closing
	broke     sync.Once   // reports its failure once
}

// errStopped is what Listen returns after Stop.
var errStopped = errors.New("stopped")

// register lets every loop accept on n. The lock makes sure that Stop sees n. After
// an error the caller has to stop n.
func (g *Group) register(n *listener) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return errStopped
	}
	g.reserve.fill()
	g.listeners = append(g.listeners, n)
	for _, l := range g.loops {
		a := &acceptor{loop: l, listener: n, accept: accept}
		if err := a.start(); err != nil {
			return err
		}
		n.acceptors = append(n.acceptors, a)
	}
	return nil
}

// OpenListener listens on an address of any form that Group.Listen takes, for servers
// that use package net and goroutines instead of the loops. mode is the file mode of
// a unix socket. Closing the listener removes a unix socket.
func OpenListener(addr string, mode os.FileMode) (net.Listener, error) {
	ln, file, err := openNetListener(addr, mode)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, rootCause(err))
	}
	if file != nil {
		return &fileListener{Listener: ln, file: file}, nil
	}
	return ln, nil
}

// openNetListener lets package net parse the address and open the socket. A unix socket
// is created with its mode, so that others cannot connect, not even for a moment. The
// caller removes its file.
func openNetListener(addr string, mode os.FileMode) (net.Listener, *socketFile, error) {
	if number, ok := strings.CutPrefix(addr, fdPrefix); ok {
		ln, err := inherit(number)
		return ln, nil, err
	}
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	path, ok := strings.CutPrefix(addr, unixPrefix)
	if !ok {
		ln, err := config.Listen(context.Background(), "tcp", addr)
		return ln, nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, nil, err
	}
	defer unix.Umask(unix.Umask(int(0o777 &^ mode)))
	ln, err := config.Listen(context.Background(), "unix", path)
	if err != nil || strings.HasPrefix(path, "@") { // an abstract name is not a file
		return ln, nil, err
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	return ln, newSocketFile(path), nil
}

// openListener takes the descriptor out of package net's listener, whose own poller
// must not watch it too.
func openListener(addr string, mode os.FileMode) (*listener, error) {
	ln, file, err := openNetListener(addr, mode)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	n := &listener{fd: -1, addr: ln.Addr(), file: file}
	return n, n.take(ln.(syscall.Conn))
}

// unsentBytes is how many unsent bytes the kernel keeps for one connection
// (TCP_NOTSENT_LOWAT). Without it, a peer that does not read takes up to 4 MB there
// (the third value of net.ipv4.tcp_wmem), which no queue of ours counts. Bytes in
// flight are not limited, so a long path is as fast. The kernel wakes the loop at half
// of it: 64 KiB last 500 us at 1 Gbit/s, more than a turn takes.
const unsentBytes = 128 << 10

// take duplicates the descriptor of ln, non-blocking and closed on exec. It turns
// Nagle's algorithm off and limits the kernel's buffer; connections accepted from it
// inherit both.
func (n *listener) take(ln syscall.Conn) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		n.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, dupErr); err != nil {
		return err
	}
	if _, ok := n.addr.(*net.TCPAddr); ok {
		_ = unix.SetsockoptInt(n.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.SetsockoptInt(n.fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	}
	return os.NewSyscallError("fcntl", unix.SetNonblock(n.fd, true))
}

// rootCause cuts "listen tcp 1.2.3.4:80: bind:" off the front of an error, so that
// the address appears once.
func rootCause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// StopListening closes every listener, and returns when no further connection can
// be accepted. It must not be called on a loop's goroutine.
func (g *Group) StopListening() {
	g.closing.Lock()
	defer g.closing.Unlock()
	g.mu.Lock()
	listeners := g.listeners
	g.listeners = nil
	g.mu.Unlock()
	for _, n := range listeners {
		n.stop()
	}
	g.reserve.close()
}

// stopListener stops only n, unless StopListening already has.
func (g *Group) stopListener(n *listener) {
	g.closing.Lock()
	defer g.closing.Unlock()
	g.mu.Lock()
	g.listeners = slices.DeleteFunc(g.listeners, func(other *listener) bool { return other == n })
	g.mu.Unlock()
	n.stop()
}

// stop ends accepting, loop by loop, then closes the descriptor. Peers in the kernel's
// queue are reset. The loops must be running, unless n is already stopped.
func (n *listener) stop() {
	for _, a := range n.acceptors {
		a.loop.do(a.stop)
	}
	n.acceptors = nil
	n.close()
}

func (n *listener) close() {
	if n.fd < 0 {
		return
	}
	n.file.remove()
	_ = unix.Close(n.fd)
	n.fd = -1
}
