package netpoll

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/invariants"
)

func TestATurnIsFollowedByAnotherAfterAPanic(t *testing.T) {
	if invariants.Enabled {
		t.Skip("builds with assertions let a panic end the process")
	}
	turns, again := 0, make(chan struct{})
	p := newProbe(t, Config{}, hooks{turn: func() bool {
		if turns++; turns == 1 {
			panic("boom")
		}
		if turns == 2 {
			close(again)
		}
		return false
	}})
	p.l.Wake()
	await(t, again, "the next turn")
}

// A panic of the handler ends only the connection it happened on.
func TestAPanicEndsOneConnection(t *testing.T) {
	if invariants.Enabled {
		t.Skip("builds with assertions let a panic end the process")
	}
	boom := func(in bool) {
		if in {
			panic("boom")
		}
	}
	for _, tc := range []struct {
		where  string
		panics func(h *hooks, in *atomic.Bool)
		make   func(p *probe, c *Conn)
		stays  bool // the panic belongs to no connection
	}{
		{"Data", func(h *hooks, in *atomic.Bool) {
			h.data = func(c *Conn, b []byte) { boom(in.Load()); c.Send(b) }
		}, func(_ *probe, c *Conn) { c.ready(unix.EPOLLIN) }, false},
		{"Expired", func(h *hooks, in *atomic.Bool) {
			h.expired = func(*Conn) { boom(in.Load()) }
		}, func(_ *probe, c *Conn) { c.SetDeadline(0) }, false},
		{"Closed", func(h *hooks, in *atomic.Bool) {
			h.closed = func(*Conn, Reason) { boom(in.Load()) }
		}, func(_ *probe, c *Conn) { c.Close(ReasonInternal) }, false},
		{"Turn", func(h *hooks, in *atomic.Bool) {
			h.turn = func() bool { boom(in.CompareAndSwap(true, false)); return false }
		}, func(p *probe, _ *Conn) { p.l.Wake() }, true},
		{"Post", nil, func(p *probe, _ *Conn) { p.l.Post(func() { boom(true) }) }, true},
		{"PostTo", nil, func(p *probe, c *Conn) { p.l.PostTo(c.ID(), func(*Conn) { boom(true) }) }, false},
		{"After", nil, func(p *probe, _ *Conn) { p.l.After(0, func() { boom(true) }) }, true},
	} {
		t.Run("in "+tc.where, func(t *testing.T) {
			var in atomic.Bool
			h := hooks{data: func(c *Conn, b []byte) { c.Send(b) }}
			if tc.panics != nil {
				tc.panics(&h, &in)
			}
			var log syncBuffer
			p := newProbe(t, Config{Tick: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}, h)
			other, _ := p.connect()
			client, id := p.connect()
			if tc.where == "Data" {
				write(t, client, "x")
				wantRead(t, client, "x")
				<-p.data
				in.Store(true)
				write(t, client, "x")
			} else {
				in.Store(true)
				p.with(id, func(c *Conn) { tc.make(p, c) })
			}
			until(t, "the panic", func() bool { return p.g.Stats().Panics == 1 })
			in.Store(false)
			if !tc.stays {
				p.wantClosed(id, ReasonInternal)
				wantEnd(t, client) // the descriptor is closed too
			}
			write(t, other, "alive")
			wantRead(t, other, "alive")
			if tc.stays {
				write(t, client, "alive")
				wantRead(t, client, "alive")
			}
			if s := log.String(); !strings.Contains(s, "boom") || !strings.Contains(s, "panic_test.go") {
				t.Errorf("the log says neither what nor where: %s", s)
			}
		})
	}
}

func TestAPanicInOpenedEndsThatConnection(t *testing.T) {
	if invariants.Enabled {
		t.Skip("builds with assertions let a panic end the process")
	}
	first := true
	p := newProbe(t, Config{}, hooks{opened: func(*Conn) {
		if first {
			first = false
			panic("boom")
		}
	}, data: func(c *Conn, b []byte) { c.Send(b) }})
	client, id := p.connect()
	p.wantClosed(id, ReasonInternal)
	wantEnd(t, client)
	next, _ := p.connect()
	write(t, next, "alive")
	wantRead(t, next, "alive")
}

// syncBuffer is a log that two goroutines may use.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
