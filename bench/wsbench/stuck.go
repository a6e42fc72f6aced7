//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stuckBuffer  = 4 << 10 // SO_RCVBUF
	stuckSegment = 1448    // bytes, as over Ethernet: on the loopback, segments of 64 KiB let the server's kernel take megabytes
	stuckSilence = 2 * time.Second
	drainLimit   = 20 * time.Second
	slowConsumer = 4001 // close code: the client reads too slowly
)

// stuck is a member that joins and never reads, until it is drained.
type stuck struct {
	m member
}

// openStuck joins the shared channel.
func (b *bench) openStuck(s *server) (*stuck, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	k := &stuck{m: member{fd: fd}}
	if err := k.join(b, s); err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

func (k *stuck) join(b *bench, s *server) error {
	// Both are part of the SYN, so they are set before it.
	if err := unix.SetsockoptInt(k.m.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, stuckBuffer); err != nil {
		return os.NewSyscallError("setsockopt SO_RCVBUF", err)
	}
	if err := unix.SetsockoptInt(k.m.fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, stuckSegment); err != nil {
		return os.NewSyscallError("setsockopt TCP_MAXSEG", err)
	}
	if err := b.sources.connect(k.m.fd, s.port); err != nil {
		return err
	}
	buf := make([]byte, 16<<10)
	_, rest, err := upgrade(k.m.fd, s.target().upgradeRequest(), buf)
	if err != nil {
		return err
	}
	return k.m.enter(s.dialect, []string{sharedChannel}, rest, buf)
}

// fate is what a stuck reader finds when it reads at last.
type fate struct {
	bytes       int
	messages    int
	first, last int64  // the instants that the messages carry
	code        uint16 // of a Close frame; 0 for none
	how         string // it ended
}

// drain reads to the end, or until nothing comes any more.
func (k *stuck) drain() fate {
	var f fate
	silence := unix.NsecToTimeval(stuckSilence.Nanoseconds())
	if err := unix.SetsockoptTimeval(k.m.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &silence); err != nil {
		f.how = fmt.Sprintf("nothing could be read: %v", err)
		return f
	}
	buf := make([]byte, receiveSize)
	for end := time.Now().Add(drainLimit); time.Now().Before(end); {
		n, err := unix.Read(k.m.fd, buf)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			f.how = "the connection still open"
		case errors.Is(err, unix.ECONNRESET):
			f.how = "a reset"
		case err != nil:
			f.how = err.Error()
		case n == 0:
			f.how = "the end of the stream without a Close frame"
		}
		if n > 0 {
			f.bytes += n
			f.take(&k.m.in, buf[:n])
		}
		if f.how != "" {
			return f
		}
	}
	f.how = fmt.Sprintf("no end within %v", drainLimit)
	return f
}

// take counts what a read brought, up to a Close frame.
func (f *fate) take(in *frames, p []byte) {
	for len(p) > 0 {
		rest, e, ok := in.next(p)
		if !ok {
			return
		}
		p = rest
		switch e.opcode {
		case opText:
			f.last = readStamp(e.stamp)
			if f.messages == 0 {
				f.first = f.last
			}
			f.messages++
		case opClose:
			f.code = closeCode(e)
			f.how = fmt.Sprintf("a Close frame %d", f.code)
			return
		}
	}
}

func (k *stuck) close() { unix.Close(k.m.fd) }
