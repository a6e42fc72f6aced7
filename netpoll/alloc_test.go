package netpoll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/invariants"
)

func TestHotPathsAllocateNothing(t *testing.T) {
	if raceEnabled || invariants.Enabled {
		t.Skip("instrumented builds allocate")
	}
	p := newProbe(t, Config{}, hooks{})
	p.g.Loop(0).handler = &hooks{data: func(*Conn, []byte) {}} // the probe's handler copies what it reads
	ours, peer := socketPair(t)
	if err := p.g.Adopt(ours, nil); err != nil {
		t.Fatal(err)
	}
	var c *Conn
	on(t, p.l, func() { p.l.Each(func(only *Conn) { c = only }) })
	b := shared("0123456789abcdef")
	defer b.Release()
	message, scratch := b.Bytes(), make([]byte, 64<<10)
	empty := func() {
		for n := 1; n > 0; {
			n, _ = unix.Read(peer, scratch)
		}
	}
	turn := func() { p.l.turn() }
	for name, run := range map[string]func(){
		"Send": func() {
			c.Send(message)
			empty()
		},
		"SendShared": func() {
			c.SendShared(b)
			empty()
		},
		"QueueShared and its flush": func() {
			for range 5 {
				c.QueueShared(b)
			}
			p.l.flushDirty()
			empty()
		},
		"a partial write and its flush": func() {
			for c.out == 0 {
				c.SendShared(b)
			}
			empty()
			c.ready(unix.EPOLLOUT)
		},
		"DropQueued": func() {
			c.QueueShared(b)
			c.DropQueued()
			p.l.flushDirty()
		},
		"Data": func() {
			_, _ = unix.Write(peer, message)
			c.ready(unix.EPOLLIN)
		},
		"SetDeadline":    func() { c.SetDeadline(time.Hour) },
		"ClearDeadline":  func() { c.SetDeadline(time.Hour); c.ClearDeadline() },
		"a tick":         func() { p.l.tickReady(0) },
		"Expired":        func() { p.l.expire(c) },
		"Pause, Resume":  func() { c.Pause(); c.Resume() },
		"Wake":           p.l.Wake,
		"a turn":         turn,
		"Post":           func() { p.l.Post(turn); p.l.runTasks() },
		"Stats":          func() { _ = p.g.Stats() },
		"Conn by its ID": func() { _ = p.l.Conn(c.ID()) },
	} {
		var allocs float64
		on(t, p.l, func() { allocs = testing.AllocsPerRun(200, run) })
		if allocs != 0 {
			t.Errorf("%s allocates %v times", name, allocs)
		}
	}
}
