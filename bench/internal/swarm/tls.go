package swarm

import (
	"crypto/tls"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// dialTLS returns one end of a socket pair. Two goroutines carry bytes between the other end and a TLS
// connection, so that the swarm's loop is the same for both; they cost memory of the client, not of the server.
func dialTLS(t *Target) (int, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socketpair", err)
	}
	_ = unix.SetNonblock(pair[0], true)
	file := os.NewFile(uintptr(pair[1]), "pair")
	inner, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		_ = unix.Close(pair[0])
		return 0, err
	}
	go func() {
		defer inner.Close()
		name, _, _ := net.SplitHostPort(t.Host)
		if name == "" {
			name = t.Host
		}
		outer, err := tls.Dial("tcp", t.Addr, &tls.Config{ServerName: name, InsecureSkipVerify: true}) // it has no secrets, and test set-ups have certificates of their own
		if err != nil {
			return
		}
		defer outer.Close()
		go func() {
			_, _ = io.Copy(outer, inner)
			_ = outer.CloseWrite()
		}()
		_, _ = io.Copy(inner, outer)
	}()
	return pair[0], nil
}
