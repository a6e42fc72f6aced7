package netpoll

import (
	"math"
	"strings"
	"testing"
	"time"
)

// expiry is one call of Handler.Expired.
type expiry struct {
	id uint64
	at time.Time
}

// newClock is a probe whose expiries are reported.
func newClock(t *testing.T, tick time.Duration) (*probe, chan expiry) {
	expired := make(chan expiry, 1<<14)
	return newProbe(t, Config{Tick: tick}, hooks{expired: func(c *Conn) {
		if c.deadline != 0 {
			t.Error("Expired was called while a deadline is set")
		}
		expired <- expiry{c.ID(), time.Now()}
	}}), expired
}

// wantExpired waits for the connections in any order, and checks that none was
// early and none is reported twice.
func wantExpired(t *testing.T, p *probe, expired chan expiry, due map[uint64]time.Time) {
	t.Helper()
	for range len(due) {
		e := await(t, expired, "Expired")
		at, ok := due[e.id]
		if !ok {
			t.Fatalf("Expired(%x) was not expected, or came twice", e.id)
		}
		if e.at.Before(at) {
			t.Errorf("Expired(%x) came %v early", e.id, at.Sub(e.at))
		}
		delete(due, e.id)
	}
	p.wantQuiet()
	if n := len(expired); n != 0 {
		t.Errorf("%d expiries too many", n)
	}
}

func TestDeadlinesFireOnceAndNotBefore(t *testing.T) {
	const tick = 4 * time.Millisecond
	p, expired := newClock(t, tick)
	due := map[uint64]time.Time{}
	for i := range 60 {
		_, id := p.adopt()
		d := time.Duration(i) * 1700 * time.Microsecond
		p.with(id, func(c *Conn) {
			now, set := p.l.wheel.clock(), time.Now()
			c.SetDeadline(d)
			due[id] = set.Add(d)
			// At most two ticks above the timeout, on the wheel's clock.
			if ticks := c.deadline - now; ticks > uint32((d+tick-1)/tick)+2 {
				t.Errorf("a timeout of %v is %d ticks of %v", d, ticks, tick)
			}
		})
	}
	wantExpired(t, p, expired, due)
}

func TestADeadlineThatWasClearedOrMovedDoesNotFire(t *testing.T) {
	p, expired := newClock(t, 2*time.Millisecond)
	_, cleared := p.adopt()
	_, moved := p.adopt()
	_, closed := p.adopt()
	_, sooner := p.adopt()
	due := map[uint64]time.Time{}
	on(t, p.l, func() {
		for _, id := range []uint64{cleared, moved, closed} { // neighbours in one bucket
			p.l.Conn(id).SetDeadline(10 * time.Millisecond)
		}
		p.l.Conn(sooner).SetDeadline(time.Hour)
		p.l.Conn(cleared).ClearDeadline()
		p.l.Conn(cleared).ClearDeadline() // the second call does nothing
		due[moved] = time.Now().Add(80 * time.Millisecond)
		p.l.Conn(moved).SetDeadline(80 * time.Millisecond)
		p.l.Conn(closed).Close(ReasonUser)
		due[sooner] = time.Now().Add(5 * time.Millisecond)
		p.l.Conn(sooner).SetDeadline(5 * time.Millisecond)
	})
	p.wantClosed(closed, ReasonUser)
	wantExpired(t, p, expired, due)
}

func TestADeadlineSetInExpiredFiresAgain(t *testing.T) {
	left := 5
	done := make(chan time.Time)
	p := newProbe(t, Config{Tick: time.Millisecond}, hooks{expired: func(c *Conn) {
		if left--; left == 0 {
			close(done)
			return
		}
		c.SetDeadline(time.Millisecond)
	}})
	_, id := p.adopt()
	p.with(id, func(c *Conn) { c.SetDeadline(0) })
	await(t, done, "five deadlines")
}

func TestADeadlineMovedWhileItIsDueDoesNotFire(t *testing.T) {
	p, expired := newClock(t, time.Millisecond)
	_, first := p.adopt()
	_, second := p.adopt()
	due := map[uint64]time.Time{}
	on(t, p.l, func() {
		w := &p.l.wheel
		p.l.Conn(first).SetDeadline(0)
		p.l.Conn(second).SetDeadline(0)
		for now := w.clock(); w.clock() < now+3; { // both are due now
		}
		p.l.tickReady(0)
		if len(w.due) != 2 {
			t.Errorf("%d are due, want 2", len(w.due))
		}
		due[first] = time.Now()
		due[second] = time.Now().Add(30 * time.Millisecond)
		p.l.Conn(second).SetDeadline(30 * time.Millisecond)
	})
	wantExpired(t, p, expired, due)
}

func TestThousandsDueInOneTickAreHandledInSlices(t *testing.T) {
	const conns = 2000
	var inTurn, most, total int
	finished := make(chan struct{})
	p := newProbe(t, Config{Tick: 2 * time.Millisecond}, hooks{
		expired: func(*Conn) {
			inTurn++
			if total++; total == conns {
				close(finished)
			}
		},
		turn: func() bool {
			most, inTurn = max(most, inTurn), 0
			return false
		},
	})
	for range conns {
		p.adopt()
	}
	on(t, p.l, func() { p.l.Each(func(c *Conn) { c.SetDeadline(10 * time.Millisecond) }) })
	await(t, finished, "all deadlines")
	p.rounds(1)
	on(t, p.l, func() {
		if total != conns || most > dueBudget {
			t.Errorf("%d expired, %d in one turn: want %d, and %d at most", total, most, conns, dueBudget)
		}
		if cap(p.l.wheel.due) > 4*dueBudget {
			t.Errorf("the list of due deadlines keeps %d places", cap(p.l.wheel.due))
		}
	})
}

func TestADeadlineBeyondOneRoundOfTheWheelWaitsForItsRound(t *testing.T) {
	const tick, far = time.Millisecond, (wheelBuckets + 40) * time.Millisecond
	p, expired := newClock(t, tick)
	due := map[uint64]time.Time{}
	for _, d := range []time.Duration{40 * tick, far} { // about the same bucket
		_, id := p.adopt()
		p.with(id, func(c *Conn) {
			due[id] = time.Now().Add(d)
			c.SetDeadline(d)
		})
	}
	wantExpired(t, p, expired, due)
}

func TestALoopThatWasBusyForARoundCatchesUp(t *testing.T) {
	p, expired := newClock(t, 100*time.Microsecond)
	due := map[uint64]time.Time{}
	for _, ticks := range []int{5, 300, wheelBuckets + 5, 2*wheelBuckets + 5} {
		_, id := p.adopt()
		p.with(id, func(c *Conn) {
			d := time.Duration(ticks) * 100 * time.Microsecond
			due[id] = time.Now().Add(d)
			c.SetDeadline(d)
		})
	}
	on(t, p.l, func() {
		for began := p.l.wheel.clock(); p.l.wheel.clock()-began < 3*wheelBuckets; { // a long turn
		}
	})
	wantExpired(t, p, expired, due)
}

func TestTheLongestTimeoutDoesNotFireEarly(t *testing.T) {
	p, expired := newClock(t, time.Millisecond)
	_, id := p.adopt()
	_, soon := p.adopt()
	due := map[uint64]time.Time{}
	p.with(id, func(c *Conn) {
		c.SetDeadline(math.MaxInt64)
		if ticks := c.deadline - p.l.wheel.now; ticks < maxTicks || ticks > maxTicks+3 {
			t.Errorf("the longest timeout is %d ticks, want %d", ticks, maxTicks)
		}
	})
	p.with(soon, func(c *Conn) {
		d := (wheelBuckets + 5) * time.Millisecond // more than a round, so its bucket is visited twice
		due[soon] = time.Now().Add(d)
		c.SetDeadline(d)
	})
	wantExpired(t, p, expired, due)
}

func TestTheClockMayWrap(t *testing.T) {
	const tick = 2 * time.Millisecond
	p, expired := newClock(t, tick)
	due := map[uint64]time.Time{}
	on(t, p.l, func() { // ten ticks before the tick counter wraps
		p.l.wheel.start = time.Now().Add(-(1<<32 - 10) * tick)
		if now := p.l.Tick(); now < math.MaxUint32-20 {
			t.Errorf("Tick() = %d", now)
		}
	})
	for i := range 20 {
		_, id := p.adopt()
		p.with(id, func(c *Conn) {
			d := time.Duration(i) * 3 * time.Millisecond
			due[id] = time.Now().Add(d)
			c.SetDeadline(d)
			if c.deadline == 0 {
				t.Error("a deadline was given the value that means none")
			}
		})
	}
	wantExpired(t, p, expired, due)
}

func TestALoopWithoutDeadlinesSleeps(t *testing.T) {
	p, expired := newClock(t, time.Millisecond)
	timer := func() (line string) {
		fd := 0
		on(t, p.l, func() { fd = p.l.wheel.timerfd })
		for _, s := range fdinfo(t, fd) {
			if strings.HasPrefix(s, "it_interval:") {
				return s
			}
		}
		t.Fatal("the kernel says nothing about the timer")
		return ""
	}
	const off = "it_interval: (0, 0)"
	if got := timer(); got != off {
		t.Errorf("before the first deadline: %s", got)
	}
	_, id := p.adopt()
	p.with(id, func(c *Conn) { c.SetDeadline(time.Hour) })
	if got := timer(); got == off {
		t.Error("the timer is off while a deadline is set")
	}
	p.with(id, (*Conn).ClearDeadline)
	until(t, "the timer to go off after ClearDeadline", func() bool { return timer() == off })
	p.with(id, func(c *Conn) { c.SetDeadline(0) })
	await(t, expired, "Expired")
	until(t, "the timer to go off after Expired", func() bool { return timer() == off })
	p.with(id, func(c *Conn) {
		c.SetDeadline(time.Hour)
		c.Close(ReasonUser)
	})
	until(t, "the timer to go off after Close", func() bool { return timer() == off })
}

func TestAfterRunsOnceAndNotBefore(t *testing.T) {
	p := newProbe(t, Config{Tick: 2 * time.Millisecond}, hooks{})
	type run struct{ want, at time.Time }
	runs := make(chan run, 10)
	on(t, p.l, func() {
		for _, d := range []time.Duration{20 * time.Millisecond, 0, 7 * time.Millisecond} {
			want := time.Now().Add(d)
			p.l.After(d, func() {
				runs <- run{want, time.Now()}
				if d == 0 {
					next := time.Now().Add(3 * time.Millisecond)
					p.l.After(3*time.Millisecond, func() { runs <- run{next, time.Now()} })
				}
			})
		}
	})
	for range 4 {
		if r := await(t, runs, "After"); r.at.Before(r.want) {
			t.Errorf("After ran %v early", r.want.Sub(r.at))
		}
	}
	until(t, "the wheel to stop", func() (off bool) {
		on(t, p.l, func() { off = !p.l.wheel.armed && p.l.wheel.count == 0 })
		return off
	})
	if len(runs) != 0 {
		t.Error("a timer ran twice")
	}
}

func TestTickFollowsTheClockWhetherTheTimerRunsOrNot(t *testing.T) {
	p, expired := newClock(t, time.Millisecond)
	_, id := p.adopt()
	last := uint32(0)
	for range 3 {
		p.with(id, func(c *Conn) { c.SetDeadline(5 * time.Millisecond) })
		await(t, expired, "Expired")
		on(t, p.l, func() {
			if now := p.l.Tick(); now < last+5 {
				t.Errorf("Tick() = %d, 5 ticks and more after %d", now, last)
			} else {
				last = now
			}
		})
	}
}
