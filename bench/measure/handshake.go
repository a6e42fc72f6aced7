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
// head; from a floor it expects as many bytes as the server's head has.
func (b *bench) handshake(t target) (size int, err error) {
	fd, err := b.sources.dial(t.port)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	buf := make([]byte, 4<<10)
	if t.upgrade {
		size, _, err = upgrade(fd, t.upgradeRequest(), buf)
		return size, err
	}
	if err := writeAll(fd, t.upgradeRequest()); err != nil {
		return 0, err
	}
	for size < b.headSize {
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
	got     map[int]int // bytes of the answer so far, by descriptor
	buf     [4 << 10]byte
}

// openVolley prepares n handshakes. The volley is to be closed.
func (b *bench) openVolley(t target, n int, keep bool) (*volley, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &volley{bench: b, target: t, keep: keep, request: t.upgradeRequest(), epoll: epoll, total: n, got: make(map[int]int)}, nil
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
	if v.target.upgrade && v.got[fd] == 0 && !bytes.HasPrefix(v.buf[:n], []byte("HTTP/1.1 101")) {
		return fmt.Errorf("handshake: answered %q", v.buf[:min(n, 80)])
	}
	if v.got[fd] += n; v.got[fd] < v.bench.headSize {
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

// handshakeSeries collects the samples of one side and one way.
type handshakeSeries struct{ cpu, stat, rate []float64 }

// upgrades measures what a handshake costs, server and floor in turn: with the
// close that follows, and alone.
func (b *bench) upgrades() error {
	for _, keep := range []bool{false, true} {
		if err := b.upgradesOf(keep); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) upgradesOf(keep bool) error {
	name := "connect, upgrade, close"
	if keep {
		name = "connect, upgrade"
	}
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer s.kill()
	f, err := b.startFloor(roleOptions{role: "floor-accept", out: b.headSize})
	if err != nil {
		return err
	}
	defer f.kill()
	var measured, floor handshakeSeries
	for round := range b.rounds {
		b.step("%s: round %d of %d: %d handshakes, %d at a time", name, round+1, b.rounds, b.handshakes, b.concurrency)
		if err := b.handshakePhase(s.target(), s.pid(), keep, &measured); err != nil {
			return s.failure(err)
		}
		if err := b.handshakePhase(f.target(), f.pid(), keep, &floor); err != nil {
			return f.failure(fmt.Errorf("floor: %w", err))
		}
	}
	b.addHandshakes(name, keep, measured, floor)
	return nil
}

// handshakePhase warms up with a tenth, then measures.
func (b *bench) handshakePhase(t target, pid int, keep bool, measured *handshakeSeries) error {
	warm, err := b.openVolley(t, b.handshakes/10, keep)
	if err != nil {
		return err
	}
	err = warm.run()
	warm.close()
	if err != nil {
		return err
	}
	v, err := b.openVolley(t, b.handshakes, keep)
	if err != nil {
		return err
	}
	defer v.close()
	cost, err := meter{pid: pid}.measure(v.run)
	if err != nil {
		return err
	}
	measured.cpu = append(measured.cpu, micro(cost.cpu.Sched)/float64(v.total))
	measured.stat = append(measured.stat, micro(cost.cpu.Stat)/float64(v.total))
	measured.rate = append(measured.rate, float64(v.total)/cost.wall.Seconds())
	return nil
}

func (b *bench) addHandshakes(name string, keep bool, measured, floor handshakeSeries) {
	const unit = "CPU us per handshake"
	goal := ""
	if keep { // the end of a connection, half of the floor's cost, is no part of a handshake
		goal = "<= 30"
	}
	r := b.record
	r.add("floor, "+name, unit, "", floor.cpu...)
	r.add("server, "+name, unit, goal, measured.cpu...)
	r.add("server over floor, "+name, "ratio", "", ratios(measured.cpu, floor.cpu)...)
	r.add("floor, "+name+", by utime+stime", unit, "", floor.stat...)
	r.add("server, "+name+", by utime+stime", unit, "", measured.stat...)
	r.add("floor, "+name+", rate", "handshakes/s", "", floor.rate...)
	r.add("server, "+name+", rate", "handshakes/s", "", measured.rate...)
}
