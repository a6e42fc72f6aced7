//go:build linux

package main

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// restart is the close code by which a server says that it restarts and the client
// may come back at once: 1012, "service restart" in the registry of RFC 6455,
// section 11.7.
const restart = 1012

// answerEnd answers the server's Close frame and closes, as RFC 6455, section 7.1.1 asks.
// It is called by receivers.
func answerEnd(m *member, code uint16) {
	if code != 0 {
		sendNow(m.fd, clientFrame(opClose, []byte{byte(code >> 8), byte(code)}))
	}
	unix.Close(m.fd)
	m.fd = -1
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
	v := new(endings)
	crowd, err := openCrowd(plan{size: here, threads: b.threads, target: s.target(), sources: b.sources,
		channels: channels{Shared: true}, message: ignore, tolerant: true, ended: func(m *member, code uint16) {
			answerEnd(m, code)
			v.note(m, code)
		}})
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
func (b *bench) drainNow(s *server, v *endings, n int, tree bool, before cpuTime) error {
	start := time.Now()
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.Gone():
	case <-time.After(deliveryTimeout):
		return fmt.Errorf("the process was still there %v after SIGTERM, and %d connections open", deliveryTimeout, n-v.count())
	}
	gone := time.Since(start)
	if !v.await(n, deliveryTimeout) { // the kernel has ended them; the receivers hear of it
		return fmt.Errorf("%d connections were still open when the process had ended", n-v.count())
	}
	b.addDrain(s, v, n, tree, drained{closed: v.last().Sub(start), gone: gone, cpu: s.CPU() - before.Stat})
	return b.checkEnd(s)
}

// drained is how long an orderly end took and what it cost.
type drained struct {
	closed, gone time.Duration // until the last connection, and the process, had ended
	cpu          time.Duration
}

func (b *bench) addDrain(s *server, v *endings, n int, tree bool, d drained) {
	goal := ""
	if tree {
		goal = fmt.Sprintf("= %d", n)
	}
	told, silent := v.of(restart), v.of(0)
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
