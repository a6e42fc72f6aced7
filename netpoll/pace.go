package netpoll

import "time"

// A busy loop gives way to other goroutines by itself every yieldEvery. One that has
// not for ten milliseconds is preempted by Go's monitor, which then looks around
// every 20 us for a while, instead of every ten milliseconds: some 2,000 sleeps a
// second, 5 % of the CPU of a server of round trips.
//
// Giving way wakes a thread, so a loop that rests does not: after it has waited for
// restsAfter it counts as fresh.
const (
	yieldEvery = 5 * time.Millisecond
	restsAfter = time.Millisecond
)

// pace tells a loop when to give way. Times are since any one instant.
type pace struct{ yielded time.Duration }

// yields reports whether the loop has to give way now. It is asked before each wait.
func (p *pace) yields(now time.Duration) bool {
	if now-p.yielded < yieldEvery {
		return false
	}
	p.yielded = now
	return true
}

// waited notes a wait. Only a wait is rest: a turn that takes long is work.
func (p *pace) waited(from, to time.Duration) {
	if to-from >= restsAfter {
		p.yielded = to
	}
}
