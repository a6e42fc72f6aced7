package session

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// memoryInterval is how often the memory of the process is read, and nearInterval how often
// above nearAt percent of its limit, because queues may grow by 100 MB in a second.
const (
	memoryInterval = 200 * time.Millisecond
	nearInterval   = 20 * time.Millisecond
	nearAt         = 75
)

// Above fullAt percent of the limit, upgrades are refused. Above reliefAt, the slowest
// connections are closed, until what their queues kept is as much as the excess over fullAt.
const (
	fullAt   = 90
	reliefAt = 95
)

// collectPause is how long the watch waits with the next collection after one that did not
// bring the memory below fullAt. A collection of much live memory costs a core some tenths
// of a second.
const collectPause = 5 * time.Second

// memoryWatch refuses upgrades and closes connections before the kernel has to kill the
// process for its memory. It runs beside the loops, because reading takes a quarter of a millisecond, and
// it knows nothing of what the memory is used for but the outbound queues.
//
// Memory that Go has not collected yet is in use, so the watch collects first. What is left
// then is needed.
type memoryWatch struct {
	read    func() (used, limit int64) // bytes; a limit of 0 means that it could not be read
	collect func()                     // returns unneeded memory to the system
	queued  func() int64               // bytes that the outbound queues keep
	// close ends the slowest connections until the queues keep at most goal bytes. It does
	// not wait, and reports false if that is under way already.
	close func(goal int64) bool
	log   *slog.Logger

	full   atomic.Bool // upgrades are refused; read by the loops
	futile time.Time   // the last collection that did not suffice; belongs to the watch's goroutine
}

// watchMemory looks at the memory until the shutdown begins.
func (n *Node) watchMemory() {
	w := &n.watch
	w.collect, w.queued, w.log = debug.FreeOSMemory, n.group.Queued, n.faults
	w.close = func(goal int64) bool { return n.endSlowest(goal, reasonMemory) }
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-n.stopping:
			return
		case now := <-next.C:
			if next.Reset(memoryInterval); w.look(now) {
				next.Reset(nearInterval)
			}
		}
	}
}

// look reads the memory and acts on it. It reports whether the limit is near.
func (w *memoryWatch) look(now time.Time) (near bool) {
	used, limit := w.read()
	if above(used, limit, fullAt) && now.Sub(w.futile) >= collectPause {
		w.collect()
		if used, limit = w.read(); above(used, limit, fullAt) {
			w.futile = now
		}
	}
	if limit == 0 { // nothing is known, so nothing changes
		return false
	}
	full := above(used, limit, fullAt)
	if full {
		w.log.Warn("memory is short: upgrades are refused until less than nine tenths of the limit are in use", "used", used, "limit", limit)
	}
	w.full.Store(full)
	if above(used, limit, reliefAt) {
		w.relieve(used, limit)
	}
	return above(used, limit, nearAt)
}

// relieve closes the slowest connections. What they kept is free after a collection, which
// is therefore due in the next look.
func (w *memoryWatch) relieve(used, limit int64) {
	queued := w.queued()
	if queued == 0 {
		w.log.Error("memory is short, and no connection has a queue that could be dropped: give this process more memory, or fewer connections",
			"used", used, "limit", limit)
		return
	}
	if excess := used - limit/100*fullAt; w.close(max(queued-excess, 0)) {
		w.log.Warn("memory is short: the slowest connections are closed", "used", used, "limit", limit, "queued", queued)
		w.futile = time.Time{}
	}
}

// above reports whether used is at least that many percent of limit.
func above(used, limit int64, percent int64) bool {
	return limit > 0 && used >= limit/100*percent
}
