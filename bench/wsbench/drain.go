//go:build linux

package main

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// restart is the close code by which a server says that it restarts and the client
// may come back at once: 1012, "service restart" in the registry of RFC 6455,
// section 11.7.
const restart = 1012

// leavers counts how the connections of a crowd ended. Each answers the server's
// Close frame and closes, as RFC 6455, section 7.1.1 asks.
type leavers struct {
	mu    sync.Mutex
	codes map[uint16]int
	left  int
	all   chan struct{} // closed when nobody is left
}

func newLeavers(n int) *leavers {
	return &leavers{codes: make(map[uint16]int), left: n, all: make(chan struct{})}
}

// ended is called by receivers.
func (v *leavers) ended(m *member, code uint16) {
	if code != 0 {
		sendNow(m.fd, clientFrame(opClose, []byte{byte(code >> 8), byte(code)}))
	}
	unix.Close(m.fd)
	m.fd = -1
	v.mu.Lock()
	defer v.mu.Unlock()
	v.codes[code]++
	if v.left--; v.left == 0 {
		close(v.all)
	}
}

// count returns how many ended with a code, and how many are left.
func (v *leavers) count(code uint16) (n, left int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.codes[code], v.left
}

// drain measures an orderly end: SIGTERM while everybody is connected.
func (b *bench) drain() error {
	b.progress.expect(len(b.contenders))
	b.remarkSize(b.drainSize())
	in := b.lineUp()
	for i, c := range b.contenders {
		b.step("%s: %d connections, then SIGTERM", c.name, b.drainSize())
		if err := in.judge(c.name, b.drainServer(c, i == 0)); err != nil {
			return err
		}
	}
	return nil
}

// drainSize is how many are connected. All are of this process.
func (b *bench) drainSize() int { return min(b.connections, b.perProcess) }

// remarkSize says when a scenario that does without agents is smaller than it was asked
// to be.
func (b *bench) remarkSize(n int) {
	if n < b.connections {
		b.record.remark("%d connections, not %d: one process makes them", n, b.connections)
	}
}

func (b *bench) drainServer(c contender, tree bool) error {
	s, err := b.start(c)
	if err != nil {
		return err
	}
	defer s.kill()
	here := b.drainSize()
	v := newLeavers(here)
	crowd, err := openCrowd(plan{size: here, threads: b.threads, target: s.target(), sources: b.sources,
		channels: channels{Shared: true}, message: ignore, tolerant: true, ended: v.ended})
	if err != nil {
		return s.failure(err)
	}
	defer crowd.close()
	if calm, err := quiet(s.pid()); err != nil {
		return s.failure(err)
	} else if !calm {
		b.record.addNoise(s.name, "drain", 1)
	}
	before, err := readCPU(s.pid())
	if err != nil {
		return s.failure(err)
	}
	return b.drainNow(s, v, here, tree, before)
}

// drainNow ends the server and records how it went.
func (b *bench) drainNow(s *server, v *leavers, n int, tree bool, before cpuTime) error {
	start := time.Now()
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	limit := time.After(deliveryTimeout)
	select {
	case <-v.all:
	case <-limit:
		_, left := v.count(0)
		return fmt.Errorf("%d connections were still open %v after SIGTERM", left, deliveryTimeout)
	}
	closed := time.Since(start)
	select {
	case <-s.Gone():
	case <-limit:
		return fmt.Errorf("the process was still there %v after SIGTERM", deliveryTimeout)
	}
	b.addDrain(s, v, n, tree, drained{closed: closed, gone: time.Since(start), cpu: s.CPU() - before.Stat})
	return b.checkEnd(s)
}

// drained is how long an orderly end took and what it cost.
type drained struct {
	closed, gone time.Duration // until the last connection, and the process, had ended
	cpu          time.Duration
}

func (b *bench) addDrain(s *server, v *leavers, n int, tree bool, d drained) {
	goal := ""
	if tree {
		goal = fmt.Sprintf("= %d", n)
	}
	told, _ := v.count(restart)
	silent, _ := v.count(0)
	r := b.record
	r.add(s.name, "until all were closed", "s", "", d.closed.Seconds())
	r.add(s.name, "until the process ended", "s", "", d.gone.Seconds())
	r.add(s.name, "closed with 1012", "connections", goal, float64(told))
	r.add(s.name, "closed without a Close frame", "connections", "", float64(silent))
	r.add(s.name, "closed with another code", "connections", "", float64(n-told-silent))
	r.add(s.name, "CPU", "CPU us per connection", "", micro(d.cpu)/float64(n))
}

// checkEnd says how the process ended. Only the tree has to end with 0: others may
// not know SIGTERM.
func (b *bench) checkEnd(s *server) error {
	if s.Status() == nil {
		return nil
	}
	if s.name != b.tree().name {
		b.record.remark("%s ended: %v", s.name, s.Status())
		return nil
	}
	return errors.Join(errors.New("the server did not end with exit code 0"), s.Status())
}
