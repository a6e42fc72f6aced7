//go:build linux

package main

import (
	"errors"
	"fmt"
	"time"
)

// headsSlack is how long, behind the handshake timeout, the last half head may take to
// be closed.
const headsSlack = 5 * time.Second

// slowloris measures the round trips of some connections alone, beside thousands that
// have sent half a request head, and beside thousands that have sent half a frame.
func (b *bench) slowloris() error {
	b.progress.expect(3 * len(b.contenders))
	in := b.lineUp()
	for _, c := range b.contenders {
		err := b.withProbes(c, func(s *server, p *exchange) error {
			b.step("%s: %d probes alone", c.name, b.probes)
			if err := b.probe(s, p, "alone", b.slowlorisTime); err != nil {
				return err
			}
			return b.besideHeads(s, p)
		})
		if err == nil {
			err = b.withProbes(c, b.besideFrames) // in a server that has no heads behind it
		}
		if err := in.judge(c.name, err); err != nil {
			return err
		}
	}
	return nil
}

// withProbes starts a server, and connections whose latency is measured.
func (b *bench) withProbes(c contender, do func(s *server, p *exchange) error) error {
	var extra []string
	if c.name == b.tree().name {
		extra = []string{"-handshake-timeout", b.headTimeout.String()}
	}
	s, err := b.start(c, extra...)
	if err != nil {
		return err
	}
	defer s.kill()
	p, err := b.openEcho(s, b.probes)
	if err != nil {
		return s.failure(fmt.Errorf("probes: %w", err))
	}
	defer p.crowd.close()
	if err := p.exchangeFor(b.slowlorisTime / 10); err != nil {
		return s.failure(err)
	}
	return s.failure(do(s, p))
}

// besideHeads probes beside half heads, then waits for what becomes of them.
func (b *bench) besideHeads(s *server, p *exchange) error {
	beside := fmt.Sprintf("beside %d half heads", b.halves)
	b.step("%s: %d probes %s", s.name, b.probes, beside)
	before, err := b.now(s)
	if err != nil {
		return err
	}
	h, err := b.openHeads(s)
	if err != nil {
		return err
	}
	defer h.crowd.close()
	since := time.Now()
	h.send()
	after, err := b.now(s)
	if err != nil {
		return err
	}
	b.record.add(s.name, "RSS per connection, half head", "B", "", float64(after.RSS-before.RSS)/float64(b.halves))
	if err := b.probe(s, p, beside, b.slowlorisTime); err != nil {
		return err
	}
	b.remarkGone(s, "heads", &h.ends)
	b.addHeads(s, h, since)
	return h.crowd.whole()
}

// addHeads tells what the server did to half heads.
func (b *bench) addHeads(s *server, h *halfHeads, since time.Time) {
	all := h.ends.await(b.halves, time.Until(since.Add(b.headTimeout+headsSlack)))
	b.record.add(s.name, "half heads: answered 408", "connections", "", float64(h.told.Load()))
	b.record.add(s.name, "half heads: closed", "connections", "", float64(h.ends.count()))
	if n := h.others.Load(); n > 0 {
		b.record.remark("%s: %d half heads were answered otherwise: %q", s.name, n, *h.other.Load())
	}
	if !all {
		b.record.remark("%s: %d of %d half heads were still open after %v", s.name, b.halves-h.ends.count(), b.halves, b.headTimeout+headsSlack)
		return
	}
	b.record.add(s.name, "half heads: until all were closed", "s", "", h.ends.last().Sub(since).Seconds())
}

// besideFrames probes beside half frames that go on byte by byte.
func (b *bench) besideFrames(s *server, p *exchange) error {
	beside := fmt.Sprintf("beside %d half frames", b.halves)
	b.step("%s: %d probes %s", s.name, b.probes, beside)
	before, err := b.now(s)
	if err != nil {
		return err
	}
	f, err := b.openHalfFrames(s)
	if err != nil {
		return err
	}
	defer f.crowd.close()
	open, err := b.now(s)
	if err != nil {
		return err
	}
	f.send()
	after, err := b.now(s)
	if err != nil {
		return err
	}
	per := func(m memory) float64 { return float64(m.RSS-before.RSS) / float64(b.halves) }
	b.record.detail(s.name, "RSS per connection, before its half frame", "B", per(open))
	b.record.add(s.name, "RSS per connection, half frame", "B", "", per(after))
	stop := f.trickle()
	err = b.probe(s, p, beside, b.slowlorisTime)
	stop()
	b.record.add(s.name, "half frames: closed", "connections", "", float64(f.ends.count()))
	b.remarkGone(s, "frames", &f.ends)
	b.record.remark("half frames announce %d bytes and have sent half of them; then a byte each %v", halfPayload, trickleEvery)
	return errors.Join(err, f.crowd.whole())
}

// remarkGone says when some halves were closed while others were probed beside them:
// the latencies are then beside fewer.
func (b *bench) remarkGone(s *server, halves string, ends *endings) {
	if n := ends.count(); n > 0 {
		b.record.remark("%s: the server closed %d of %d half %s (%s) before the probes beside them had ended", s.name, n, b.halves, halves, ends)
	}
}

// now is the memory of a server that has done all it was given. It is not at rest:
// half heads do not live long enough.
func (b *bench) now(s *server) (memory, error) {
	if calm, err := quiet(s.pid()); err != nil {
		return memory{}, err
	} else if !calm {
		b.record.remark("%s: still busy when its memory was read, %v after the load", s.name, quietMax)
	}
	return readMemory(s.pid())
}
