package testtool

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// GoSilent makes the kernel drop what arrives for a TCP connection, before TCP sees it. To
// the other end, the machine is gone. A filter of the socket that takes nothing does that.
func GoSilent(t testing.TB, c net.Conn) {
	t.Helper()
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err2 := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	}); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
}
