//go:build linux

package main

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	talkerBurst = 64 << 10               // bytes that a talker sends at once: what a server may read at once
	talkEvery   = 500 * time.Millisecond // between two bursts of one talker
)

// talkers are open connections that broadcast to a channel without members, in bursts
// of small messages, all in the same moment.
type talkers struct {
	crowd *crowd
	burst []byte
	sent  []int // bytes of the burst under way, by talker
	whole atomic.Int64
}

// talking measures the round trips of some connections alone, and beside talkers.
func (b *bench) talking() error {
	b.progress.expect(2 * len(b.contenders))
	in := b.lineUp()
	for _, c := range b.contenders {
		err := b.withProbes(c, func(s *server, p *exchange) error {
			b.step("%s: %d probes alone", c.name, b.probes)
			if err := b.probe(s, p, "alone", b.talkTime); err != nil {
				return err
			}
			return b.besideTalkers(s, p)
		})
		if err := in.judge(c.name, err); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) besideTalkers(s *server, p *exchange) error {
	beside := fmt.Sprintf("beside %d talkers", b.talkers)
	b.step("%s: %d probes %s", s.name, b.probes, beside)
	t, err := b.openTalkers(s)
	if err != nil {
		return err
	}
	defer t.crowd.close()
	stop := t.talk()
	err = b.probe(s, p, beside, b.talkTime)
	stop()
	if err != nil {
		return err
	}
	b.record.detail(s.name, "talkers: bursts sent whole", "", float64(t.whole.Load()))
	b.record.remark("each talker sends %d broadcasts to a channel without members every %v, all at once", t.messages(), talkEvery)
	return t.crowd.whole()
}

func (b *bench) openTalkers(s *server) (*talkers, error) {
	frame := clientFrame(opText, s.dialect.broadcast("empty", []byte("1")))
	t := &talkers{burst: bytes.Repeat(frame, talkerBurst/len(frame)), sent: make([]int, b.talkers)}
	c, err := openCrowd(plan{size: b.talkers, threads: 1, target: s.target(), sources: b.sources,
		message: func(m *member, e event) {
			m.at.crowd.fail(fmt.Errorf("a talker was answered with %d bytes", e.size))
		}})
	if err != nil {
		return nil, err
	}
	t.crowd = c
	return t, nil
}

// messages is how many a burst has.
func (t *talkers) messages() int {
	frame := int(t.burst[1]&0x7f) + 6 // a short frame: header, mask, payload; RFC 6455, section 5.2
	return len(t.burst) / frame
}

// talk lets all talkers send until it is stopped.
func (t *talkers) talk() (stop func()) {
	quit := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		ticks := time.NewTicker(talkEvery)
		defer ticks.Stop()
		for {
			for i := range t.sent {
				t.send(i)
			}
			select {
			case <-quit:
				return
			case <-ticks.C:
			}
		}
	})
	return func() {
		close(quit)
		work.Wait()
	}
}

// send sends a burst, or what the kernel did not take of the last one.
func (t *talkers) send(i int) {
	took, _ := sendNow(t.crowd.members[i].fd, t.burst[t.sent[i]:])
	t.sent[i] += max(took, 0) // the receiver notes a lost connection
	if t.sent[i] == len(t.burst) {
		t.sent[i] = 0
		t.whole.Add(1)
	}
}
