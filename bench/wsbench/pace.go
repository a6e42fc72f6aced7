//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// sleepUntil blocks the thread until an instant of now. It keeps its pace by the
// system's own timers: those of the runtime are too coarse once the process is idle.
func sleepUntil(instant int64) {
	if left := instant - now(); left > 0 {
		pause := unix.NsecToTimespec(left)
		unix.Nanosleep(&pause, nil) // cut short by a signal it is early, which does no harm
	}
}

// wakeInTime keeps the kernel from putting this thread's timers off: by default it
// may wake it up to 50 us late, which would be in every latency; prctl(2),
// PR_SET_TIMERSLACK. Calling what it returns restores that.
func wakeInTime() (restore func()) {
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return func() {}
	}
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) }
}

// pace calls do for every instant of a schedule, at or after it. A late call is not
// left out and does not move the others: latencies are counted from the instants of
// the schedule, so that a server which stalls is charged for what should have been
// asked meanwhile (coordinated omission).
func pace(every, length time.Duration, do func(i int, instant int64) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer wakeInTime()()
	start := now()
	for i := 0; int64(i)*int64(every) < int64(length); i++ {
		instant := start + int64(i)*int64(every)
		sleepUntil(instant)
		if err := do(i, instant); err != nil {
			return err
		}
	}
	return nil
}

// flight is what a load has sent and has not seen arrive while it paces: never more
// than can be told apart, or than the load may have on its way.
type flight struct {
	load  *load
	onWay int
}

// add counts one more, and waits before it for as long as too many are on their way.
func (f *flight) add() error {
	for f.onWay >= cmp.Or(f.load.atMost, tallySize/2) {
		if err := f.load.arrive(1); err != nil {
			return err
		}
		f.onWay--
	}
	f.onWay++
	return nil
}

// land waits for the last.
func (f *flight) land() error { return f.load.arrive(f.onWay) }

// paced publishes at a steady rate and waits for the last. The latency of each
// delivery is counted from when its publication should have left.
func (l *load) paced(p *poster, rate float64, length time.Duration) (*latencies, error) {
	return strained(func() (*latencies, error) { return l.pacedDeliveries(p, rate, length) }, l.crowd)
}

func (l *load) pacedDeliveries(p *poster, rate float64, length time.Duration) (*latencies, error) {
	l.crowd.takeLatencies() // of what came before
	l.tally.timed.Store(true)
	defer l.tally.timed.Store(false)
	sent := flight{load: l}
	err := pace(time.Duration(float64(time.Second)/rate), length, func(i int, instant int64) error {
		if err := sent.add(); err != nil {
			return err
		}
		return p.publishAt(i%doors, instant)
	})
	if err != nil {
		return nil, err
	}
	if err := sent.land(); err != nil {
		return nil, err
	}
	return l.crowd.takeLatencies(), l.collect()
}

// pacedTrips lets every member make round trips at a steady rate, all together so
// many a second, for a time. A member that is still waiting makes the trip that is
// due as soon as it can, and its latency counts from when it was due.
func (x *exchange) pacedTrips(rate float64, length time.Duration) (*latencies, error) {
	return strained(func() (*latencies, error) { return x.paced(rate, length) }, x.crowd, x.beside)
}

func (x *exchange) paced(rate float64, length time.Duration) (*latencies, error) {
	members := x.crowd.members
	every := time.Duration(float64(time.Second) / rate)
	x.period = int64(every) * int64(len(members))
	x.crowd.takeLatencies()
	x.pacing.Store(true)
	defer x.pacing.Store(false)
	err := pace(every, length, func(i int, instant int64) error {
		m := &members[i%len(members)]
		if i < len(members) {
			m.due = instant // nothing is on its way to this member: its receiver does not look
		}
		if m.owed.Add(1) == 1 {
			x.send(m)
		}
		select {
		case err := <-x.crowd.failed:
			return err
		default:
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	if err := x.settle(); err != nil {
		return nil, err
	}
	return x.crowd.takeLatencies(), nil
}

// answered ends a paced round trip and begins the next if it is due already.
func (x *exchange) answered(m *member) {
	if m.owed.Load() == 0 {
		x.crowd.fail(errors.New("an answer came that nothing had asked for"))
		return
	}
	m.at.took.record(now() - m.due)
	m.due += x.period
	if m.owed.Add(-1) > 0 {
		x.send(m)
	}
}

// settle waits until nothing is on its way.
func (x *exchange) settle() error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(deliveryTimeout)
	for i := 0; i < len(x.crowd.members); {
		if x.crowd.members[i].owed.Load() == 0 {
			i++
			continue
		}
		select {
		case <-tick.C:
		case err := <-x.crowd.failed:
			return err
		case <-limit:
			return fmt.Errorf("a round trip had no answer within %v", deliveryTimeout)
		}
	}
	return nil
}
