package swarm

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialTLS returns one end of a socket pair. Two goroutines carry bytes between the other end and a TLS connection, so that
// the swarm's loop is the same for both; they cost memory of the client, not of the server.
func (s *Swarm) dialTLS(c *conn, to *net.TCPAddr) (int, error) {
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
	go s.carry(c, to, pair[0], inner)
	return pair[0], nil
}

// carry connects and carries bytes. The plan of a group does not change.
func (s *Swarm) carry(c *conn, to *net.TCPAddr, fd int, inner net.Conn) {
	name, _, err := net.SplitHostPort(c.group.plan.Target.Host)
	if err != nil {
		name = c.group.plan.Target.Host
	}
	config := &tls.Config{ServerName: name, InsecureSkipVerify: true} // it has no secrets, and test set-ups have certificates of their own
	outer, err := tls.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}, "tcp", to.String(), config)
	if err != nil {
		s.post(func() { // before the loop reads the end of inner, which says less
			if s.conns[fd] == c && c.state < open {
				s.fail(c, "TLS: "+err.Error())
			}
			_ = inner.Close()
		})
		return
	}
	defer inner.Close()
	defer outer.Close()
	go func() {
		_, _ = io.Copy(outer, inner)
		_ = outer.CloseWrite()
	}()
	_, _ = io.Copy(inner, outer)
}
