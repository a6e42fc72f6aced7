package netpoll

import "time"

// A batch is what one epoll_wait(2) reports: up to 512 events of up to a read buffer
// each, which may be a third of a second of work. Two things keep the others from
// waiting for all of it: a turn that has been asked for runs inside the batch, and
// many that are readable at once are read in smaller pieces.
const (
	// turnWithin is how long a turn that has been asked for waits for the events of
	// a batch. Until then what they publish is joined.
	turnWithin = 2 * time.Millisecond
	// lookEvents and lookBytes are how much is handled between two looks at the clock,
	// one of which costs a tenth of a small event: the first only when a turn has been
	// asked for.
	lookEvents = 16
	lookBytes  = 16 << 10
	// readWithin is how long the events of a batch may take that read, all together:
	// each connection's share is what the loop lately handled in that time, divided by
	// their number. A share of less than leastShare would cut many messages, which are
	// then assembled; a batch of more than 2 MiB joins nothing that a smaller does not.
	readWithin = 2 * time.Millisecond
	leastShare = 256
	mostRead   = 2 << 20
)

// batch is how far a loop has come with the events that were reported together. It
// belongs to the loop's goroutine.
type batch struct {
	began  time.Duration // when it was reported, or the last turn inside it ended
	looked time.Duration // when bytes was taken, turns since then left out
	n      int           // events reported
	events int           // handled since the last look
	bytes  uint64        // Loop.bytesIn when the budget was last set
	budget int           // bytes to be read within readWithin; outlives the batch
	share  int           // of it, for each connection
}

// beginBatch starts the account of n events that were reported at that time.
func (l *Loop) beginBatch(n int, at time.Duration) {
	b := &l.batch
	*b = batch{began: at, looked: at, n: max(n, 1), bytes: l.bytesIn, budget: b.budget}
	if b.budget == 0 {
		b.budget = mostRead
	}
	b.divide(len(l.readBuf))
}

// divide gives each connection its share of the budget.
func (b *batch) divide(most int) { b.share = min(most, max(b.budget/b.n, leastShare)) }

// handled notes that an event of the batch has been handled, learns how fast it goes,
// and runs the turn that has waited long enough.
func (l *Loop) handled() {
	b := &l.batch
	b.events++
	read := l.bytesIn - b.bytes
	if read < lookBytes {
		if b.events < lookEvents {
			return
		}
		b.events = 0
		if !l.waking.Load() {
			return
		}
	}
	now := l.now()
	if read >= lookBytes {
		b.budget = int(min(read*uint64(readWithin)/uint64(max(now-b.looked, 1)), mostRead))
		b.divide(len(l.readBuf))
		b.events, b.bytes, b.looked = 0, l.bytesIn, now
	}
	if l.waking.Load() && now-b.began >= turnWithin {
		l.turn()
		b.began = l.now()
		b.looked += b.began - now
	}
}

// endBatch runs the turn behind a batch. It alone lets slots out of limbo, which a
// turn inside a batch must not: events of the same batch may still name them (I3).
func (l *Loop) endBatch() {
	l.leaveLimbo()
	l.turn()
}
