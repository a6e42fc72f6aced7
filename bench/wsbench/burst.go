//go:build linux

package main

// burstBound is how many bytes of publications wsify lets wait for delivery.
const burstBound = 256 << 10

// burst measures what a burst of publications leaves behind in a server whose
// connections were idle: everything is published at once, and clients read on.
func (b *bench) burst() error {
	b.progress.expect(len(b.contenders))
	if n := b.burstPublications * b.burstSize; n > burstBound {
		b.record.remark("%d bytes are published at once: wsify answers 503 beyond %d that wait for delivery", n, burstBound)
	}
	in := b.lineUp()
	for _, c := range b.contenders {
		if err := in.judge(c.name, b.burstServer(c)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) burstServer(c contender) error {
	s, err := b.start(c)
	if err != nil {
		return err
	}
	defer s.kill()
	if err := b.warm(s, channels{Shared: true}); err != nil {
		return s.failure(err)
	}
	l, p, err := b.openAudience(s, channels{Shared: true}, b.burstSize)
	if err != nil {
		return s.failure(err)
	}
	defer l.crowd.close()
	defer p.close()
	return s.failure(b.burstOn(s, l))
}

func (b *bench) burstOn(s *server, l *load) error {
	b.step("%s: %d connections, %d publications of %d bytes", s.name, b.connections, b.burstPublications, b.burstSize)
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
	b.addBurst(s.name, idle, after, cost)
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

func (b *bench) addBurst(name string, idle, after memory, cost spent) {
	const mb = 1e6
	deliveries := float64(b.burstPublications) * float64(b.connections)
	goal := ""
	if name == b.tree().name {
		goal = "<= 24"
	}
	r := b.record
	r.detail(name, "RSS, idle", "MB", float64(idle.RSS)/mb)
	r.add(name, "RSS after the burst, over idle", "MB", goal, float64(after.RSS-idle.RSS)/mb)
	r.detail(name, "RssAnon after the burst, over idle", "MB", float64(after.Anon-idle.Anon)/mb)
	r.add(name, "peak RSS in the burst, over idle", "MB", "", float64(after.Peak-idle.RSS)/mb)
	r.add(name, "CPU", "CPU us per delivery", "", micro(cost.cpu.Sched)/deliveries)
	r.add(name, "until all was received", "s", "", cost.wall.Seconds())
	b.record.addGenerator(name, "burst", []float64{cost.busiest})
	b.record.addNoise(name, "burst", cost.noise)
}
