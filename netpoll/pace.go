package netpoll

import "time"

// A busy loop yields to other goroutines every yieldEvery. Go's monitor preempts a
// goroutine that has run for ten milliseconds. For a while after that, the monitor
// wakes every 20 us instead of every ten milliseconds: some 2,000 sleeps a second, 5
// % of the CPU of a server of round trips.
//
// Yielding wakes a thread, so a loop that rests does not yield: a wait of
// restsAfter counts as a yield.
const (
	yieldEvery = 5 * time.Millisecond
	restsAfter = time.Millisecond
)

// pace tells a loop when to yield. Times are since a fixed instant.
type pace struct{ yielded time.Duration }

// yields reports whether the loop has to yield now. The loop asks before each wait.
func (p *pace) yields(now time.Duration) bool {
	if now-p.yielded < yieldEvery {
		return false
	}
	p.yielded = now
	return true
}

// waited records a wait. Only a wait is rest: a turn that takes long is work.
func (p *pace) waited(from, to time.Duration) {
	if to-from >= restsAfter {
		p.yielded = to
	}
}
