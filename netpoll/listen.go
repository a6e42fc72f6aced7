package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// unixPrefix marks an address as the path of a unix socket.
const unixPrefix = "unix:"

// Listen starts accepting on addr and returns the address in use. addr is
// "host:port", ":port" (IPv4 and IPv6), "[v6]:port" or "unix:/path". Port 0 takes
// a free one.
//
// A unix socket left behind by a process that is gone is replaced; one that
// answers is an error, like a port in use. Listen may be called from any
// goroutine before Stop.
func (g *Group) Listen(addr string) (net.Addr, error) {
	n, err := openListener(addr, g.socketMode)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, rootCause(err))
	}
	n.reserve = openReserve()
	if err := g.register(n); err != nil {
		n.close()
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return n.addr, nil
}

// errStopped is Listen's answer once Stop was called.
var errStopped = errors.New("stopped")

// register gives n to a loop. The lock keeps Stop from missing it.
func (g *Group) register(n *listener) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	n.loop = g.loops[len(g.listeners)%len(g.loops)]
	if g.stopped {
		return errStopped
	}
	if err := n.loop.poller.add(n.fd, interestRead, n.ready); err != nil {
		return err
	}
	g.listeners = append(g.listeners, n)
	return nil
}

// OpenListener listens on an address of any form that Group.Listen takes, for what
// is served by package net on goroutines and not by the loops. mode is that of a unix
// socket. Closing it removes a
// unix socket.
func OpenListener(addr string, mode os.FileMode) (net.Listener, error) {
	ln, err := openNetListener(addr, mode)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, rootCause(err))
	}
	return ln, nil
}

// openNetListener lets package net do the parsing and the socket. A unix socket is
// made with its mode, so that there is no moment in which others may connect.
func openNetListener(addr string, mode os.FileMode) (net.Listener, error) {
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, unixPrefix); ok {
		network, address = "unix", path
		if err := removeStale(path); err != nil {
			return nil, err
		}
		defer unix.Umask(unix.Umask(int(0o777 &^ mode)))
	}
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	return config.Listen(context.Background(), network, address)
}

// openListener takes the descriptor out of package net's listener, whose own poller
// must not watch it too.
func openListener(addr string, mode os.FileMode) (*listener, error) {
	ln, err := openNetListener(addr, mode)
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	n := &listener{fd: -1, addr: ln.Addr(), reserve: -1, accept: accept}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
		if path := strings.TrimPrefix(addr, unixPrefix); !strings.HasPrefix(path, "@") { // an abstract name is no file
			n.unlink = path
		}
	}
	return n, n.take(ln.(syscall.Conn))
}

// unsentBytes is how many bytes that it has not sent yet the kernel keeps for one
// connection (TCP_NOTSENT_LOWAT). Without it a peer that does not read has up to 4 MB
// there (the third value of net.ipv4.tcp_wmem), which no queue of ours counts. What is
// on its way is not limited, so a long line is as fast; the loop is woken at half of
// it, and 64 KiB last 500 us at 1 Gbit/s, more than a turn takes.
const unsentBytes = 128 << 10

// take duplicates the descriptor of ln, non-blocking and closed on exec. Nagle's
// algorithm is off, and the kernel's buffer limited, for the connections accepted from
// it too: they inherit both.
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

// removeStale removes a unix socket nobody listens on. A refusal alone tells that:
// a server with a full queue, say, answers EAGAIN.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		_ = c.Close()
		return unix.EADDRINUSE
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EPROTOTYPE):
		return unix.EADDRINUSE
	default:
		return err
	}
}

// rootCause cuts "listen tcp 1.2.3.4:80: bind:" off the front of an error, so
// that the address is said once.
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

// close stops accepting. Peers in the kernel's queue are reset. It must run on
// the loop's goroutine, or when the loop has ended.
func (n *listener) close() {
	if n.fd < 0 {
		return
	}
	if n.unlink != "" { // before the descriptor: nobody may have taken the path yet
		_ = os.Remove(n.unlink)
	}
	n.loop.poller.remove(n.fd)
	_ = unix.Close(n.fd)
	n.fd = -1
	if n.reserve >= 0 {
		_ = unix.Close(n.reserve)
		n.reserve = -1
	}
}
