package session

import (
	"runtime"
	"strings"
	"testing"
	"wsify/internal/testtool"
)

// heapInUse returns the bytes of allocated heap objects.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// becomeQuiet does what the trimmer does when a server becomes idle.
func becomeQuiet(t *testing.T, srv *Server) {
	t.Helper()
	srv.tidy()
	for _, l := range srv.loops {
		onLoop(t, l, func() {})
	}
	giveBack()
}

// Incomplete messages fill the pools of the readers, and many sessions fill the tables.
func TestMemoryComesBackAfterABurst(t *testing.T) {
	const size = 60 << 10
	conns := 600
	if raceEnabled {
		conns = 300
	}
	srv := start(t, Config{Loops: 2})
	stays := connect(t, srv, "/ws")
	stays.join("c")
	burst := func(n int) {
		half := masked(0x81, strings.Repeat("x", size+100))[:size]
		peers := connectMany(t, srv, n)
		for _, p := range peers {
			p.write(message(`{"command":"join","args":{"channel":"c"}}`) + half)
		}
		testtool.Until(t, "the halves are kept", func() bool {
			kept := 0
			for _, l := range srv.loops {
				onLoop(t, l, func() { kept += l.extras.Len() })
			}
			return kept == n
		})
		for _, p := range peers {
			p.reset()
		}
		testtool.Until(t, "the burst is over, and its slots are free", func() bool {
			slots := uint32(0)
			for _, l := range srv.loops {
				onLoop(t, l, func() { slots = max(slots, l.net.Slots()) })
			}
			return srv.group.Connections() == 1 && slots <= 64
		})
	}
	burst(10)
	becomeQuiet(t, srv)
	before := heapInUse()
	burst(conns)
	becomeQuiet(t, srv)
	if kept := heapInUse() - before; kept > int64(conns)*size/50 {
		t.Errorf("%d bytes remain after a burst of %d", kept, conns*size)
	}
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			if l.sessions.Has(256) || l.extras.Len() != 0 {
				t.Errorf("with one connection left, a loop has %d extras, and sessions from 256 on: %t", l.extras.Len(), l.sessions.Has(256))
			}
		})
	}
	runtime.KeepAlive(stays)
}

func TestClosesAreWork(t *testing.T) {
	srv := start(t, Config{Loops: 1})
	p := connect(t, srv, "/ws")
	before := srv.work()
	p.reset()
	testtool.Until(t, "the close counts", func() bool { return srv.work() == before+1 })
}

func TestTheTrimmerTidiesWhileThereIsWorkAndCollectsOnceItIsQuiet(t *testing.T) {
	var tr trimmer
	for i, step := range []struct {
		work          uint64
		tidy, collect bool
	}{
		{0, false, false},
		{trimWorth - 1, false, false}, // not worth it
		{trimWorth - 1, false, false},
		{1000, true, false}, // busy
		{2000, true, false},
		{2000, true, false}, // idle, but the last work has not been tidied up
		{2000, false, true},
		{2000, false, false}, // once per burst
		{2000 + trimWorth, true, false},
		{2000 + trimWorth, true, false},
		{2000 + trimWorth, false, true},
	} {
		if tidy, collect := tr.look(step.work); tidy != step.tidy || collect != step.collect {
			t.Errorf("look %d, work %d: tidy %t, collect %t, want %t, %t", i, step.work, tidy, collect, step.tidy, step.collect)
		}
	}
}
