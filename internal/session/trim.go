package session

import (
	"runtime"
	"runtime/debug"
	"time"

	"wsify/internal/command"
)

// trimInterval is how often the trimmer looks, and half of how long a server has to be
// quiet before its memory is collected.
const trimInterval = 2 * time.Second

// trimWorth is how much has to have happened for a trim to be worth it, in the units
// of work.
const trimWorth = 64

// trimmer gives memory back when a burst is over: Go's own pace leaves the heap of a
// quiet server at up to twice its use for minutes. While there is work, what the loops
// no longer need goes back to Go; it costs them some microseconds an interval. Once it
// is quiet, it goes back to the system, which costs a burst two collections and an idle
// server nothing.
type trimmer struct {
	last      uint64 // work at the last look
	collected uint64 // work at the last collection
	quiet     int    // looks since there was work
}

func (n *Node) trim() {
	tick := time.NewTicker(trimInterval)
	defer tick.Stop()
	var t trimmer
	for {
		select {
		case <-n.stopping:
			return
		case <-tick.C:
		}
		tidy, collect := t.look(n.work())
		if tidy {
			n.tidy()
		}
		if collect {
			giveBack()
		}
	}
}

// look says what is to be done when so much work has been.
func (t *trimmer) look(work uint64) (tidy, collect bool) {
	if t.quiet++; work != t.last {
		t.last, t.quiet = work, 0
	}
	if work-t.collected < trimWorth {
		return false, false
	}
	if t.quiet < 2 {
		return true, false
	}
	t.collected = work
	return false, true
}

// work grows by one with each connection that comes, each that ends, each HTTP
// publication, and 64 KiB moved.
func (n *Node) work() uint64 {
	st := n.group.Stats()
	sum := (st.BytesReceived + st.BytesSent) >> 16
	for _, l := range n.loops {
		sum += l.counts.accepted.Load() + l.counts.publishedHTTP.Load()
		for reason := range l.counts.closed {
			sum += l.counts.closed[reason].Load()
		}
	}
	return sum
}

// tidy has every loop let go of what it no longer needs.
func (n *Node) tidy() {
	for _, l := range n.loops {
		l.net.Post(l.tidy)
	}
}

// tidy lets go of what lies behind the last connection, and of memory that is made
// again when it is needed.
func (l *loop) tidy() {
	l.net.Trim()
	l.hub.Trim()
	l.extras.Trim()
	l.sessions.Cut(l.net.Slots())
	l.cork, l.reply, l.frame, l.small = nil, nil, nil, nil
	l.parser = command.Parser{}
}

// giveBack collects twice, as a sync.Pool holds what it had for one collection more.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}
