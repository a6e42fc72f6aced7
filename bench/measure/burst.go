//go:build linux

package main

import "fmt"

// burst measures what a burst of publications leaves behind in a server whose
// connections were idle: everything is published at once, and clients read on.
func (b *bench) burst() error {
	s, err := b.startServer()
	if err != nil {
		return err
	}
	defer s.kill()
	t := newTally(b.connections, b.burstSize)
	if err := b.warm(s, shared); err != nil {
		return s.failure(err)
	}
	c, err := b.openIdle(s, shared, t.message)
	if err != nil {
		return s.failure(err)
	}
	defer c.close()
	p, err := openPoster(s.port, sharedChannel, text(b.burstSize))
	if err != nil {
		return s.failure(err)
	}
	defer p.close()
	return s.failure(b.burstOn(s, &load{publisher: p, crowd: c, tally: t}))
}

func (b *bench) burstOn(s *server, l *load) error {
	b.step("%d connections, %d publications of %d bytes", b.connections, b.burstPublications, b.burstSize)
	idle, err := b.rest(s.pid(), true)
	if err != nil {
		return err
	}
	if err := resetPeak(s.pid()); err != nil {
		return err
	}
	cost, err := meter{pid: s.pid(), crowd: l.crowd}.measure(func() error { return l.all(b.burstPublications) })
	if err != nil {
		return err
	}
	after, err := b.rest(s.pid(), true)
	if err != nil {
		return err
	}
	b.addBurst(idle, after, cost)
	return nil
}

// all sends everything at once over all doors and waits until it has arrived.
func (l *load) all(n int) error {
	for door := range doors {
		share := n / doors
		if door < n%doors {
			share++
		}
		if err := l.publish(door, share); err != nil {
			return err
		}
	}
	if err := l.arrive(n); err != nil {
		return err
	}
	return l.collect()
}

func (b *bench) addBurst(idle, after memory, cost spent) {
	const mb = 1e6
	deliveries := float64(b.burstPublications) * float64(b.connections)
	r := b.record
	r.add(fmt.Sprintf("RSS, %d connections, idle", b.connections), "MB", "", float64(idle.RSS)/mb)
	r.add("RSS after the burst, over idle", "MB", "<= 24", float64(after.RSS-idle.RSS)/mb)
	r.add("RssAnon after the burst, over idle", "MB", "", float64(after.Anon-idle.Anon)/mb)
	r.add("peak RSS (VmHWM) in the burst, over idle", "MB", "", float64(after.Peak-idle.RSS)/mb)
	r.add("server", "CPU s per million", "", cost.cpu.Sched.Seconds()*1e6/deliveries)
	r.add("until all was received", "s", "", cost.wall.Seconds())
	b.addGenerator("server", []float64{cost.busiest})
}
