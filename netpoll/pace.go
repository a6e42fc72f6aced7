package netpoll

import "time"

// A busy loop gives way to other goroutines by itself every yieldEvery. One that has
// not for ten milliseconds is preempted by Go's monitor, which then looks around
// every 20 us for a while, instead of every ten milliseconds: some 2,000 sleeps a
// second, 5 % of the CPU of a server of round trips.
//
// Giving way wakes a thread, so a loop that rests does not: after a wait of
// restsAfter it counts as fresh.
const (
	yieldEvery = 5 * time.Millisecond
	restsAfter = time.Millisecond
)

// pace tells a loop when to give way. Times are since any one instant.
type pace struct {
	looked, yielded time.Duration
}

// yields reports whether the loop has to give way now. It is asked before each wait.
func (p *pace) yields(now time.Duration) bool {
	rested := now-p.looked >= restsAfter
	p.looked = now
	if rested {
		p.yielded = now
		return false
	}
	if now-p.yielded < yieldEvery {
		return false
	}
	p.yielded = now
	return true
}
