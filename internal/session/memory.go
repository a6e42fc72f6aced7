package session

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"
)

// memoryInterval is how often the memory of the process is read, and nearInterval how often
// above nearAt percent of its limit, because it may grow by 100 MB in a second. hurryPause is
// how long the watch waits at least when the loops ask it to look at once.
const (
	memoryInterval = 200 * time.Millisecond
	nearInterval   = 20 * time.Millisecond
	hurryPause     = 2 * time.Millisecond
	nearAt         = 75
)

// Above fullAt percent of the limit, new clients are refused. Above reliefAt, the connections
// that keep the most are closed, until they kept as much as the excess over fullAt. Between
// two looks, all loops together keep new connections, input and memberships for half of what
// is left up to keepAt, or a quarter above nearAt, and nothing above keepAt.
const (
	fullAt   = 90
	reliefAt = 95
	keepAt   = 97
)

// collectPause is how long the watch waits with the next collection after one that did not
// bring the memory below fullAt. A collection of much live memory costs a core some tenths
// of a second.
const collectPause = 5 * time.Second

// memoryWatch refuses new clients and closes connections before the kernel has to kill the
// process for its memory. It runs beside the loops, because reading takes a quarter of a
// millisecond. The loops tell it what they keep, so that they keep no more between two looks
// than there is room for.
//
// Memory that Go has not collected yet is in use, so the watch collects first. What is left
// then is needed.
type memoryWatch struct {
	read    func() (used, limit int64) // bytes; a limit of 0 means that it could not be read
	collect func()                     // returns unneeded memory to the system
	// close ends the connections that keep the most, until they kept excess bytes. It does
	// not wait, and reports false if that is under way already.
	close func(excess int64) bool
	log   *slog.Logger

	full     atomic.Bool   // new clients are refused; read by the loops
	room     atomic.Int64  // bytes that the loops may still keep until the next look
	alarm    atomic.Int64  // below this room, the next look is due at once
	look     chan struct{} // asks for a look; holds one
	closing  atomic.Bool   // connections are being closed
	relieved atomic.Bool   // connections were closed since the last look, so a collection is due
	futile   time.Time     // the last collection that did not suffice; belongs to the watch's goroutine
}

// open makes the watch ready for the loops. They keep what they like until the first look.
func (w *memoryWatch) open() {
	w.room.Store(math.MaxInt64 / 2)
	w.look = make(chan struct{}, 1)
}

// spend takes n bytes from the room. It reports false if there is not as much. Loops call it
// at the same time.
func (w *memoryWatch) spend(n int) bool {
	left := w.room.Add(-int64(n))
	if left < w.alarm.Load() {
		w.hurry()
	}
	return left >= 0
}

// hurry makes the watch look at once.
func (w *memoryWatch) hurry() {
	select {
	case w.look <- struct{}{}:
	default:
	}
}

// watchMemory looks at the memory until the shutdown begins.
func (n *Node) watchMemory() {
	w := &n.watch
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.collect, w.log = giveBack, n.faults
	w.close = func(excess int64) bool { return n.relieveMemory(ctx, excess) }
	var last time.Time
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-n.stopping:
			return
		case <-w.look:
			time.Sleep(time.Until(last.Add(hurryPause)))
		case <-next.C:
		}
		last = time.Now()
		if next.Reset(memoryInterval); w.judge(last) {
			next.Reset(nearInterval)
		}
	}
}

// judge reads the memory and acts on it. It reports whether the limit is near.
func (w *memoryWatch) judge(now time.Time) (near bool) {
	if w.relieved.Swap(false) {
		w.futile = time.Time{}
	}
	used, limit := w.read()
	w.spread(used, limit)
	if above(used, limit, fullAt) && now.Sub(w.futile) >= collectPause {
		w.collect()
		if used, limit = w.read(); above(used, limit, fullAt) {
			w.futile = now
		}
		w.spread(used, limit)
	}
	if limit == 0 { // nothing is known, so nothing changes
		return false
	}
	full := above(used, limit, fullAt)
	if full {
		w.log.Warn("memory is short: new clients are refused until less than nine tenths of the limit are in use", "used", used, "limit", limit)
	}
	w.full.Store(full)
	if above(used, limit, reliefAt) {
		w.relieve(used, limit)
	}
	return above(used, limit, nearAt)
}

// spread tells the loops how much they may keep until the next look. A collection may take a
// while, so they are told before it, too.
func (w *memoryWatch) spread(used, limit int64) {
	if limit > 0 {
		room := max(limit/100*keepAt-used, 0) / 2
		if above(used, limit, nearAt) {
			room /= 2
		}
		w.alarm.Store(room / 4 * 3)
		w.room.Store(room)
	}
}

// relieve closes the connections that keep the most. What they kept is free after a
// collection, which is therefore due in the next look.
func (w *memoryWatch) relieve(used, limit int64) {
	if w.close(used - limit/100*fullAt) {
		w.log.Warn("memory is short: the connections that keep the most are closed", "used", used, "limit", limit)
	}
}

// above reports whether used is at least that many percent of limit.
func above(used, limit int64, percent int64) bool {
	return limit > 0 && used >= limit/100*percent
}
