package netpoll

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The coarse timing wheel has one bucket per tick: a list of connections linked
// through their own fields. Setting and clearing a deadline are a few stores; a
// tick costs what is due. A deadline further away than the wheel's size stays in
// its bucket for another round.
const (
	defaultTick  = 250 * time.Millisecond
	wheelBuckets = 512
	wheelMask    = wheelBuckets - 1
)

// dueBudget is how many deadlines are handled in one turn. The rest wait for the
// next turn, behind events reported until then.
const dueBudget = 256

// wheel is the deadlines of one loop.
type wheel struct {
	buckets [wheelBuckets]uint32 // first connection, as slot+1; 0 = none
	tick    time.Duration
	now     uint32 // ticks since start; it wraps, so ticks are compared by passed
	start   time.Time
	timerfd int
	armed   bool
	count   int // connections with a deadline, and timers

	due    []dueConn // deadlines that have passed, oldest first
	dueAt  int
	timers []timer
}

type dueConn struct {
	id       uint64
	deadline uint32
}

type timer struct {
	deadline uint32
	run      func()
}

// SetDeadline makes the loop call Handler.Expired after d, rounded up to its tick,
// unless the deadline is set again or cleared first. More than 2^30 ticks (8 years
// of the default) count as 2^30. A loop that finds the deadline late first reads
// what has arrived.
//
// A connection that lingers keeps the deadline that Linger gave it.
func (c *Conn) SetDeadline(d time.Duration) {
	c.check()
	if !c.has(flagLingering) {
		c.setDeadline(d)
	}
}

func (c *Conn) setDeadline(d time.Duration) {
	c.clearDeadline()
	c.flags &^= flagExtended
	l := c.Loop()
	w := &l.wheel
	c.deadline = w.after(d)
	c.prev = 0
	head := &w.buckets[c.deadline&wheelMask]
	c.next = *head
	if c.next != 0 {
		l.conns.at(c.next - 1).prev = c.Slot() + 1
	}
	*head = c.Slot() + 1
	w.count++
	l.armWheel()
}

// ClearDeadline clears the deadline, except that of Linger.
func (c *Conn) ClearDeadline() {
	c.check()
	if !c.has(flagLingering) {
		c.clearDeadline()
	}
}

func (c *Conn) clearDeadline() {
	if c.deadline == 0 {
		return
	}
	l := c.Loop()
	if c.prev != 0 {
		l.conns.at(c.prev - 1).next = c.next
	} else if head := &l.wheel.buckets[c.deadline&wheelMask]; *head == c.Slot()+1 {
		*head = c.next
	}
	if c.next != 0 {
		l.conns.at(c.next - 1).prev = c.prev
	}
	c.next, c.prev, c.deadline = 0, 0, 0
	l.wheel.count--
}

// HasDeadline reports whether SetDeadline or Linger has set a deadline.
func (c *Conn) HasDeadline() bool { return c.deadline != 0 }

// After runs fn on the loop when d has passed, rounded up to the loop's tick. Only
// the loop's goroutine may call it. It is meant for a few timers per loop.
func (l *Loop) After(d time.Duration, fn func()) {
	l.checkOwner()
	l.wheel.timers = append(l.wheel.timers, timer{l.wheel.after(d), fn})
	l.wheel.count++
	l.armWheel()
}

// Tick returns the loop's coarse clock: ticks of Config.Tick since the group was
// opened.
func (l *Loop) Tick() uint32 {
	if !l.wheel.armed {
		l.wheel.now = l.wheel.clock()
	}
	return l.wheel.now
}

// after returns the first tick that is not earlier than d from now.
func (w *wheel) after(d time.Duration) uint32 {
	now := w.clock()
	if !w.armed {
		w.now = now
	}
	ticks := uint32(1) // the current tick is partly over
	if d > 0 {
		ticks += 1 + uint32(min((d-1)/w.tick, maxTicks))
	}
	return max(now+ticks, 1) // 0 means none
}

// maxTicks is the furthest deadline. It is well below half the range of a tick, so
// that passed can tell before from after.
const maxTicks = 1 << 30

// passed reports whether the deadline is now or in the past.
func (w *wheel) passed(deadline uint32) bool { return int32(w.now-deadline) >= 0 }

func (w *wheel) clock() uint32 { return uint32(time.Since(w.start) / w.tick) }

// openWheel creates the timerfd that drives the wheel. It is armed only while a
// deadline is set, so that a loop without connections sleeps.
func (l *Loop) openWheel(tick time.Duration) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	l.wheel.timerfd, l.wheel.tick, l.wheel.start = fd, tick, time.Now()
	return l.poller.add(fd, interestRead, l.tickReady)
}

func (l *Loop) armWheel() {
	if l.wheel.armed {
		return
	}
	l.wheel.armed = true
	every := unix.NsecToTimespec(int64(l.wheel.tick))
	l.setTimer(unix.ItimerSpec{Interval: every, Value: every})
}

func (l *Loop) disarmWheel() {
	l.wheel.armed = false
	l.setTimer(unix.ItimerSpec{})
}

func (l *Loop) setTimer(spec unix.ItimerSpec) {
	if err := unix.TimerfdSettime(l.wheel.timerfd, 0, &spec, nil); err != nil {
		l.log.Error("timer of an event loop could not be set", "loop", l.index, "err", err)
	}
}

// tickReady advances the wheel. It takes the time from the clock, so that a loop
// that was busy catches up.
func (l *Loop) tickReady(uint32) {
	l.enter()
	var expirations [8]byte // not needed: the clock is right even after a long turn
	_, _ = unix.Read(l.wheel.timerfd, expirations[:])
	if now := l.wheel.clock(); now != l.wheel.now {
		l.advance(now)
	}
	if l.wheel.count == 0 && l.wheel.armed {
		l.disarmWheel()
	}
}

// advance collects what is due up to now and asks for a turn to handle it.
func (l *Loop) advance(now uint32) {
	w := &l.wheel
	steps := min(now-w.now, wheelBuckets)
	w.now = now
	for i := steps; i > 0; i-- {
		l.collect(w.buckets[(now-i+1)&wheelMask])
	}
	l.runTimers()
	if len(w.due) > 0 {
		l.Wake()
	}
}

func (l *Loop) collect(slot uint32) {
	for slot != 0 {
		c := l.conns.at(slot - 1)
		if l.wheel.passed(c.deadline) {
			l.wheel.due = append(l.wheel.due, dueConn{c.ID(), c.deadline})
		}
		slot = c.next
	}
}

func (l *Loop) runTimers() {
	w := &l.wheel
	kept := w.timers[:0]
	var due []timer
	for _, t := range w.timers {
		if w.passed(t.deadline) {
			due = append(due, t)
		} else {
			kept = append(kept, t)
		}
	}
	clear(w.timers[len(kept):])
	w.timers = kept
	w.count -= len(due)
	for _, t := range due {
		l.runTask(t.run)
	}
}

// A deadline found this late, after its tick, was delayed by us: the loop stalled or
// the process was stopped. Input that came in time may be unread, so the deadline is
// extended once, by lateGrace. By the next tick that input is read, as epoll reports
// first what became ready first. The rest is for answers on their way to a paused
// connection, whose own deadlines are then extended by 250 ms (internal/lastread).
const (
	lateness  = 100 * time.Millisecond
	lateGrace = 500 * time.Millisecond
)

// fireDue calls Handler.Expired for deadlines that have passed and were not set
// again since. It reports whether some are left for the next turn.
func (l *Loop) fireDue() (more bool) {
	w := &l.wheel
	if len(w.due) == 0 {
		return false
	}
	onTime := w.clock() - 1 - uint32(lateness/w.tick)
	for n := 0; w.dueAt < len(w.due); n++ {
		if n == dueBudget {
			return true
		}
		d := w.due[w.dueAt]
		w.dueAt++
		c := l.conn(d.id)
		if c == nil || c.deadline != d.deadline {
			continue
		}
		if int32(onTime-d.deadline) >= 0 && !c.has(flagExtended) {
			c.setDeadline(lateGrace)
			c.flags |= flagExtended
			continue
		}
		l.expire(c)
	}
	w.due, w.dueAt = w.due[:0], 0
	if cap(w.due) > 4*dueBudget {
		w.due = nil
	}
	return false
}

func (l *Loop) expire(c *Conn) {
	defer c.contain()
	c.clearDeadline()
	if c.has(flagLingering) {
		c.lingerOver()
	} else {
		l.handler.Expired(c)
	}
}
