package netpoll

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stall advances the wheel's clock by d and makes the tick the loop's next event, as
// in a process that was stopped. It is called on the loop.
func (p *probe) stall(d time.Duration) {
	w := &p.l.wheel
	w.start = w.start.Add(-d)
	p.l.tickReady(0)
}

func TestADeadlineFoundLateIsJudgedByWhatCameInTime(t *testing.T) {
	p, expired := newClock(t, 10*time.Millisecond)
	heard := make(chan struct{}, 1)
	p.g.Loop(0).handler.(*hooks).data = func(c *Conn, _ []byte) {
		c.ClearDeadline()
		heard <- struct{}{}
	}
	peer, id := p.adopt()
	_, silent := p.adopt()
	var set time.Time
	on(t, p.l, func() {
		set = time.Now()
		p.l.Conn(id).SetDeadline(time.Second)
		p.l.Conn(silent).SetDeadline(time.Second)
		if _, err := unix.Write(peer, []byte("in time")); err != nil {
			t.Error(err)
		}
		p.stall(2 * time.Second)
	})
	await(t, heard, "Data")
	wantExpired(t, p, expired, map[uint64]time.Time{silent: set})
}

func TestWhatIsOnItsWayToAPausedConnectionComesBeforeALateDeadline(t *testing.T) {
	p, expired := newClock(t, 10*time.Millisecond)
	_, id := p.adopt()
	p.with(id, func(c *Conn) {
		c.Pause()
		c.SetDeadline(time.Second)
		p.stall(2 * time.Second)
	})
	p.rounds(2)
	p.with(id, func(c *Conn) { c.ClearDeadline() }) // the answer
	wantExpired(t, p, expired, nil)
}

func TestADeadlineIsExtendedOnce(t *testing.T) {
	p, expired := newClock(t, 10*time.Millisecond)
	_, id := p.adopt()
	set := time.Now()
	p.with(id, func(c *Conn) {
		c.SetDeadline(time.Second)
		p.stall(2 * time.Second)
	})
	p.with(id, func(c *Conn) {
		if !c.has(flagExtended) {
			t.Error("a late deadline was not extended")
		}
		p.stall(2 * time.Second)
	})
	wantExpired(t, p, expired, map[uint64]time.Time{id: set})
	p.with(id, func(c *Conn) {
		c.SetDeadline(time.Second)
		if c.has(flagExtended) {
			t.Error("the next deadline counts as extended")
		}
	})
}

func TestALingeringConnectionFoundLateIsReadToItsEnd(t *testing.T) {
	p, _ := newClock(t, 10*time.Millisecond)
	_, id := p.adopt()
	p.with(id, func(c *Conn) {
		c.Linger(ReasonUser, time.Second)
		p.stall(2 * time.Second)
	})
	p.with(id, func(c *Conn) {
		if c.has(flagClosing) {
			t.Error("the connection was closed")
		}
	})
	p.wantClosed(id, ReasonUser)
}
