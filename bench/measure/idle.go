//go:build linux

package main

import "fmt"

// warmUp is how many connections come and go before memory is counted: a server's
// first connections pay for what all share.
const warmUp = 100

// ignore takes the messages of crowds that expect none.
func ignore(*member, int) {}

// sharedChannel is the one channel of everybody.
const sharedChannel = "bench"

func shared(int) string { return sharedChannel }

// ownChannel names have one length, so that all requests have.
func ownChannel(i int) string { return fmt.Sprintf("c%05d", i) }

// idleMemory is what one server held at rest.
type idleMemory struct {
	fresh  memory // no connection yet
	warmed memory // warmUp connections came and went
	full   memory // all connections idle
}

// perConnection is the growth of one kind of memory, in bytes per connection.
func (b *bench) perConnection(to, from int64) float64 {
	return float64(to-from) / float64(b.connections)
}

// idle measures what an idle connection costs that joined one channel, first the
// same for all, then one of its own.
func (b *bench) idle() error {
	one, err := b.idleServer("one channel for all", shared)
	if err != nil {
		return err
	}
	b.addIdle("one channel for all", one)
	bytes := b.perConnection(one.full.RSS, one.warmed.RSS)
	b.record.add("RSS per connection, one channel for all, over warmed", "B", "<= 200", bytes)
	b.record.add("RSS per connection, one channel for all, over fresh", "B", "", b.perConnection(one.full.RSS, one.fresh.RSS))
	b.record.add("RssAnon per connection, one channel for all, over warmed", "B", "", b.perConnection(one.full.Anon, one.warmed.Anon))
	b.record.add("Pss per connection, one channel for all, over warmed", "B", "", b.perConnection(one.full.Pss, one.warmed.Pss))

	own, err := b.idleServer("own channel each", ownChannel)
	if err != nil {
		return err
	}
	b.addIdle("own channel each", own)
	ownBytes := b.perConnection(own.full.RSS, own.warmed.RSS)
	b.record.add("RSS per connection, own channel each, over warmed", "B", "", ownBytes)
	b.record.add("RSS per connection, own channel over shared", "B", "<= +350", ownBytes-bytes)
	return nil
}

func (b *bench) addIdle(kind string, m idleMemory) {
	for _, at := range []struct {
		name string
		memory
	}{{"fresh", m.fresh}, {"warmed", m.warmed}, {fmt.Sprintf("%d connections", b.connections), m.full}} {
		b.record.add(fmt.Sprintf("RSS, %s, %s", at.name, kind), "KiB", "", kib(at.RSS))
		b.record.add(fmt.Sprintf("  of it RssAnon (Pss %s)", show(kib(at.Pss))), "KiB", "", kib(at.Anon))
	}
}

func kib(bytes int64) float64 { return float64(bytes) / 1024 }

// idleServer takes one server from fresh to full.
func (b *bench) idleServer(kind string, channel func(int) string) (m idleMemory, err error) {
	s, err := b.startServer()
	if err != nil {
		return m, err
	}
	defer s.kill()
	b.step("%s: %d connections", kind, b.connections)
	if m.fresh, err = b.rest(s.pid(), false); err != nil {
		return m, s.failure(err)
	}
	if err := b.warm(s, channel); err != nil {
		return m, s.failure(err)
	}
	if m.warmed, err = b.rest(s.pid(), true); err != nil {
		return m, s.failure(err)
	}
	c, err := b.openIdle(s, channel, ignore)
	if err != nil {
		return m, s.failure(err)
	}
	defer c.close()
	m.full, err = b.rest(s.pid(), true)
	if lost := c.lost.Load(); err == nil && lost > 0 {
		err = fmt.Errorf("%d idle connections lost: %w", lost, <-c.failed)
	}
	return m, s.failure(err)
}

// openIdle opens the full number of connections, each joined to its channel.
func (b *bench) openIdle(s *server, channel func(int) string, message func(*member, int)) (*crowd, error) {
	return openCrowd(plan{size: b.connections, threads: b.threads, target: s.target(), sources: b.sources, channel: channel, message: message})
}

// warm lets a few connections come and go.
func (b *bench) warm(s *server, channel func(int) string) error {
	c, err := openCrowd(plan{size: warmUp, threads: 1, target: s.target(), sources: b.sources, channel: channel, message: ignore})
	if err != nil {
		return err
	}
	c.close()
	return nil
}

// rest waits until the memory of a process is settled; after a load not too soon,
// since servers trim their heap some seconds later.
func (b *bench) rest(pid int, loaded bool) (memory, error) {
	wait := settler{stable: b.settle, max: b.settleMax}
	if loaded {
		wait.min = b.settleMin
	}
	m, rested, err := wait.wait(pid)
	if err == nil && !rested {
		b.record.remark("memory was still moving after %v", b.settleMax)
	}
	return m, err
}
