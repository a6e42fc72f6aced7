//go:build linux

package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// leak is what a server holds beside memory.
type leak struct{ descriptors, threads int }

func readLeak(pid int) (l leak, err error) {
	for _, of := range []struct {
		dir string
		n   *int
	}{{"fd", &l.descriptors}, {"task", &l.threads}} {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, of.dir))
		if err != nil {
			return l, err
		}
		*of.n = len(entries)
	}
	return l, nil
}

// churn measures coming and going: waves of connections join a shared channel and
// one of their own, leave one of them and are reset, while the shared channel is
// published to. Afterwards the server should hold what it held before.
func (b *bench) churn() error {
	b.progress.expect(len(b.contenders) * b.churnWaves)
	in := b.lineUp()
	for i, c := range b.contenders {
		if err := in.judge(c.name, b.churnServer(c, i == 0)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) churnServer(c contender, tree bool) error {
	s, err := b.start(c)
	if err != nil {
		return err
	}
	defer s.kill()
	if err := b.wave(s, min(b.connections, 10*warmUp)); err != nil {
		return s.failure(err)
	}
	warmed, err := b.rest(s.pid(), true)
	if err != nil {
		return s.failure(err)
	}
	held, err := readLeak(s.pid())
	if err != nil {
		return err
	}
	own, err := processClock(os.Getpid())
	if err != nil {
		return err
	}
	cost, err := meter{pid: s.pid()}.measure(func() error {
		for i := range b.churnWaves {
			b.step("%s: wave %d of %d, %d connections", s.name, i+1, b.churnWaves, b.connections)
			if err := b.wave(s, b.connections); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.failure(err)
	}
	spent, err := processClock(os.Getpid())
	if err != nil {
		return err
	}
	b.record.detail("", "CPU of the generator: "+s.name, "cores", float64(spent-own)/float64(cost.wall))
	after, err := b.rest(s.pid(), true)
	if err != nil {
		return s.failure(err)
	}
	kept, err := b.awaitDescriptors(s.pid(), held.descriptors)
	if err != nil {
		return s.failure(err)
	}
	b.addChurn(s.name, tree, cost, leak{kept.descriptors - held.descriptors, kept.threads - held.threads}, after.RSS-warmed.RSS)
	return nil
}

// awaitDescriptors waits until no more descriptors are open than there were.
func (b *bench) awaitDescriptors(pid, held int) (leak, error) {
	for end := time.Now().Add(b.settleMax); ; time.Sleep(settlePoll) {
		l, err := readLeak(pid)
		if err != nil || l.descriptors <= held || time.Now().After(end) {
			return l, err
		}
	}
}

// wave lets connections come, join, leave a channel and go by a reset, and publishes
// to them meanwhile.
func (b *bench) wave(s *server, n int) error {
	c, err := openCrowd(plan{size: n, threads: b.threads, target: s.target(), sources: b.sources, tolerant: true,
		channels: channels{Shared: true, Own: 1}, message: ignore})
	if err != nil {
		return err
	}
	defer c.close()
	p, err := openPoster(s.port, sharedChannel, text(b.contentSize))
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.publish(0, batchSize); err != nil {
		return err
	}
	c.leaveAndReset()
	if err := p.collect(); err != nil {
		return err
	}
	if lost := c.lost.Load(); lost > 0 {
		return fmt.Errorf("the server closed %d connections of the wave", lost)
	}
	return nil
}

// leaveAndReset stops the receivers, then lets every member send that it leaves its
// own channel, and resets it with whatever is unread.
func (c *crowd) leaveAndReset() {
	for _, r := range c.receivers {
		r.stop()
	}
	c.running.Wait()
	for i := range c.members {
		m := &c.members[i]
		if m.fd < 0 {
			continue
		}
		if c.dialect != nil {
			sendNow(m.fd, clientFrame(opText, c.dialect.leave(ownChannel(i))))
		}
		// Closing is then a reset: socket(7), SO_LINGER.
		_ = unix.SetsockoptLinger(m.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(m.fd)
		m.fd = -1
	}
}

func (b *bench) addChurn(name string, tree bool, cost spent, left leak, rss int64) {
	n := float64(b.churnWaves * b.connections)
	goal := ""
	if tree {
		goal = "<= 0"
	}
	r := b.record
	r.add(name, "CPU", "CPU us per connection", "", micro(cost.cpu.Sched)/n)
	r.add(name, "rate", "connections/s", "", n/cost.wall.Seconds())
	r.add(name, "descriptors left", "", goal, float64(left.descriptors))
	r.add(name, "threads more", "", "", float64(left.threads))
	r.addNoise(name, "waves", cost.noise)
	r.add(name, "RSS after it, over before", "MB", "", float64(rss)/1e6)
}
