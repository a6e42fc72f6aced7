//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// handshake connects, upgrades and closes. It returns the size of the answer's
// head; from a floor it expects so many bytes.
func (b *bench) handshake(t target, expect int) (size int, err error) {
	fd, err := b.sources.dial(t.port)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 4<<10)
	if t.dialect != nil {
		size, _, err = upgrade(fd, t.upgradeRequest(), buf)
		return size, err
	}
	if err := writeAll(fd, t.upgradeRequest()); err != nil {
		return 0, err
	}
	for size < expect {
		n, err := readSome(fd, buf)
		if err != nil {
			return size, err
		}
		size += n
	}
	return size, nil
}

// volley makes handshakes from one thread, some at a time: when one is answered the
// next is begun.
type volley struct {
	bench   *bench
	keep    bool // connections stay open until close; otherwise each is closed when answered
	target  target
	request []byte
	epoll   int
	begun   int
	ended   int
	total   int
	expect  int         // bytes of a whole answer
	got     map[int]int // bytes of the answer so far, by descriptor
	buf     [4 << 10]byte
}

// openVolley prepares n handshakes. The volley is to be closed.
func (b *bench) openVolley(t target, expect, n int, keep bool) (*volley, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &volley{bench: b, target: t, expect: expect, keep: keep, request: t.upgradeRequest(), epoll: epoll, total: n, got: make(map[int]int)}, nil
}

// run makes all the handshakes.
func (v *volley) run() error {
	for range min(v.bench.concurrency, v.total) {
		if err := v.begin(); err != nil {
			return err
		}
	}
	return v.await()
}

// begin connects and asks for the upgrade. On the loopback neither waits.
func (v *volley) begin() error {
	fd, err := v.bench.sources.dial(v.target.port)
	if err != nil {
		return err
	}
	v.begun++
	v.got[fd] = 0
	if err := writeAll(fd, v.request); err != nil {
		return err
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(v.epoll, unix.EPOLL_CTL_ADD, fd, &e))
}

func (v *volley) await() error {
	events := make([]unix.EpollEvent, eventsSize)
	for v.ended < v.total {
		n, err := unix.EpollWait(v.epoll, events, int(dialTimeout.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("epoll_wait", err)
		}
		if n == 0 {
			return fmt.Errorf("handshake: no answer within %v", dialTimeout)
		}
		for _, e := range events[:n] {
			if err := v.read(int(e.Fd)); err != nil {
				return err
			}
		}
	}
	return nil
}

// read ends the handshake when all of the answer is there. The first handshake
// with the server has told its size.
func (v *volley) read(fd int) error {
	n, errno := recvNow(fd, v.buf[:])
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return nil
	case errno != 0:
		return os.NewSyscallError("recv", errno)
	case n == 0:
		return errors.New("handshake: closed by the server")
	}
	if v.target.dialect != nil && v.got[fd] == 0 && !bytes.HasPrefix(v.buf[:n], []byte("HTTP/1.1 101")) {
		return fmt.Errorf("handshake: answered %q", v.buf[:min(n, 80)])
	}
	if v.got[fd] += n; v.got[fd] < v.expect {
		return nil
	}
	v.ended++
	if !v.keep {
		delete(v.got, fd)
		unix.Close(fd)
	}
	if v.begun < v.total {
		return v.begin()
	}
	return nil
}

// close ends what is still open.
func (v *volley) close() {
	unix.Close(v.epoll)
	for fd := range v.got {
		unix.Close(fd)
	}
}

// handshakes are the two ways to make one: with the close that follows, and alone.
// The end of a connection, half of the floor's cost, is no part of a handshake.
var handshakes = []struct {
	name, goal string
	keep       bool
}{
	{"connect, upgrade, close", "", false},
	{"connect and upgrade", "<= 30", true},
}

// connect measures what a handshake costs, contenders and floor in turn.
func (b *bench) connect() error {
	in, err := b.startAll()
	if err != nil {
		return err
	}
	defer in.close()
	head := in.fleet[b.tree().name].headSize
	f, err := b.startFloor(roleOptions{role: "floor-accept", out: head})
	if err != nil {
		return err
	}
	defer f.kill()
	b.progress.expect(len(handshakes) * b.rounds)
	for _, h := range handshakes {
		measured := make(table)
		for round := range b.rounds {
			b.step("%s: round %d of %d: %d handshakes, %d at a time", h.name, round+1, b.rounds, b.handshakes, b.concurrency)
			for _, c := range in.turns(round) {
				s := in.fleet[c.name]
				if err := in.judge(c.name, b.handshakePhase(s.target(), s.headSize, s.pid(), h.keep, measured.of(c.name))); err != nil {
					return err
				}
			}
			if err := b.handshakePhase(f.target(), head, f.pid(), h.keep, measured.of(floorName)); err != nil {
				return f.failure(fmt.Errorf("floor: %w", err))
			}
		}
		b.addCosts(measured, costNames{what: h.name, unit: "handshake", rate: "handshakes/s", goal: h.goal})
	}
	return nil
}

// handshakePhase warms up with a tenth, then measures.
func (b *bench) handshakePhase(t target, expect, pid int, keep bool, measured *costs) error {
	warm, err := b.openVolley(t, expect, b.handshakes/10, keep)
	if err != nil {
		return err
	}
	err = warm.run()
	warm.close()
	if err != nil {
		return err
	}
	v, err := b.openVolley(t, expect, b.handshakes, keep)
	if err != nil {
		return err
	}
	defer v.close()
	cost, err := meter{pid: pid, here: true}.measure(v.run)
	if err != nil {
		return err
	}
	measured.add(v.total, cost)
	return nil
}
