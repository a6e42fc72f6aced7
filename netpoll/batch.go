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
	// lookEvents and lookBytes are how much is handled between two looks at whether
	// a turn has been asked for: a look at the clock costs a tenth of a small event.
	lookEvents = 16
	lookBytes  = 16 << 10
	// batchBytes is how much is read in a batch, in equal shares: some 4 ms of the
	// smallest commands. A share is 4 KiB at least, with 512 events; smaller ones would
	// cut ordinary messages, which are then assembled.
	batchBytes = 2 << 20
)

// batch is how far a loop has come with the events that were reported together. It
// belongs to the loop's goroutine.
type batch struct {
	began  time.Duration // when it was reported, or the last turn inside it ended
	events int           // handled since the last look
	bytes  uint64        // Loop.bytesIn at the last look
	share  int           // bytes to be read from each connection
}

// beginBatch starts the account of n events that were reported at that time.
func (l *Loop) beginBatch(n int, at time.Duration) {
	l.batch = batch{began: at, bytes: l.bytesIn, share: min(len(l.readBuf), batchBytes/max(n, 1))}
}

// handled notes that an event of the batch has been handled, and runs the turn that
// has waited long enough.
func (l *Loop) handled() {
	b := &l.batch
	b.events++
	if b.events < lookEvents && l.bytesIn-b.bytes < lookBytes {
		return
	}
	b.events, b.bytes = 0, l.bytesIn
	if l.waking.Load() && l.now()-b.began >= turnWithin {
		l.turn()
		b.began = l.now()
	}
}

// endBatch runs the turn behind a batch. It alone lets slots out of limbo, which a
// turn inside a batch must not: events of the same batch may still name them (I3).
func (l *Loop) endBatch() {
	l.leaveLimbo()
	l.turn()
}
