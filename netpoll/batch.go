package netpoll

import "time"

// A batch is what one epoll_wait(2) reports: up to 512 events of up to a read buffer
// each, which may take a third of a second. Two rules keep other work from waiting that
// long. A requested turn runs inside the batch. When many connections are readable, each
// is read in smaller pieces, and those with more to read come last.
const (
	// turnWithin is how long a requested turn waits for the events of a batch. What
	// they publish until then is joined.
	turnWithin = time.Millisecond
	// lookEvents and lookBytes are how much is handled between two looks at the clock,
	// each of which costs a tenth of a small event. lookEvents counts only when a turn
	// is requested.
	lookEvents = 16
	lookBytes  = 16 << 10
	// readWithin is how long the reads of a batch may take at full size. Each remaining
	// connection is then read for leastShare only, so that those with much input do not delay
	// those with little. Until then, many publications of one connection are joined.
	readWithin = time.Millisecond
	leastShare = 256
)

// batch is the loop's progress in the events that were reported together. The
// loop's goroutine owns it.
type batch struct {
	began  time.Duration // when it was reported, or the last turn inside it ended
	looked time.Duration // when bytes was set, plus the time of turns since then
	spent  time.Duration // time spent on reads until looked
	events int           // handled since the last look
	bytes  uint64        // Loop.bytesIn at the last look that counted reads
	share  int           // most bytes to read from one connection
}

// beginBatch starts a batch that was reported at that time.
func (l *Loop) beginBatch(at time.Duration) {
	l.batch = batch{began: at, looked: at, bytes: l.bytesIn, share: len(l.readBuf)}
}

// beginRest starts the second part of a batch: so many connections that have more to read
// than was taken before.
func (l *Loop) beginRest(conns int) {
	b := &l.batch
	b.looked, b.bytes, b.spent = l.now(), l.bytesIn, 0
	b.share = min(max(lookBytes, len(l.readBuf)/conns), len(l.readBuf))
}

// over reports whether reads have used up their time.
func (b *batch) over() bool { return b.spent >= readWithin }

// handled counts an event of the batch and the time that reads take. It runs the
// requested turn once that has waited long enough.
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
		if b.spent += now - b.looked; b.over() {
			b.share = min(leastShare, len(l.readBuf))
			l.Wake() // easygo's batch ends with a turn only
		}
		b.events, b.bytes, b.looked = 0, l.bytesIn, now
	}
	if l.waking.Load() && now-b.began >= turnWithin {
		l.turn()
		b.began = l.now()
		b.looked += b.began - now
	}
}

// endBatch runs the turn after a batch. Slots leave limbo only here, not in a turn
// inside a batch: later events of that batch may still name them (I3).
func (l *Loop) endBatch() {
	l.leaveLimbo()
	l.turn()
}
