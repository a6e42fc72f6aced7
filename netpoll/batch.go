package netpoll

import "time"

// A batch is what one epoll_wait(2) reports: up to 512 events of up to a read buffer
// each, which may be a third of a second of work. Two things keep the others from
// waiting for all of it: a turn that has been asked for runs inside the batch, and
// many that are readable at once are read in smaller pieces, those that have more behind
// all others.
const (
	// turnWithin is how long a turn that has been asked for waits for the events of
	// a batch. Until then what they publish is joined.
	turnWithin = time.Millisecond
	// lookEvents and lookBytes are how much is handled between two looks at the clock,
	// one of which costs a tenth of a small event: the first only when a turn has been
	// asked for.
	lookEvents = 16
	lookBytes  = 16 << 10
	// readWithin is how long the reads of a batch may take until those that are left get
	// only leastShare each: a connection with little input is not held up by those with much,
	// and many publications of one connection are joined while there is time.
	readWithin = time.Millisecond
	leastShare = 256
)

// batch is how far a loop has come with the events that were reported together. It
// belongs to the loop's goroutine.
type batch struct {
	began  time.Duration // when it was reported, or the last turn inside it ended
	looked time.Duration // when bytes was taken, turns since then left out
	spent  time.Duration // until then, on what was read
	events int           // handled since the last look
	bytes  uint64        // Loop.bytesIn at the last look that counted what was read
	share  int           // bytes to be read from a connection
}

// beginBatch starts the account of events that were reported at that time.
func (l *Loop) beginBatch(at time.Duration) {
	l.batch = batch{began: at, looked: at, bytes: l.bytesIn, share: len(l.readBuf)}
}

// beginRest starts the second account of a batch: of so many connections that had more to
// read than was taken before.
func (l *Loop) beginRest(conns int) {
	b := &l.batch
	b.looked, b.bytes, b.spent = l.now(), l.bytesIn, 0
	b.share = min(max(lookBytes, len(l.readBuf)/conns), len(l.readBuf))
}

// over reports whether reads have taken all the time that they may.
func (b *batch) over() bool { return b.spent >= readWithin }

// handled notes that an event of the batch has been handled, counts the time that reads
// take, and runs the turn that has waited long enough.
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

// endBatch runs the turn behind a batch. It alone lets slots out of limbo, which a
// turn inside a batch must not: events of the same batch may still name them (I3).
func (l *Loop) endBatch() {
	l.leaveLimbo()
	l.turn()
}
