package session

import (
	"runtime"
	"runtime/debug"
	"time"

	"wsify/internal/command"
)

// trimInterval is how often the trimmer checks for work. A server without work for two
// intervals is idle, and its memory is collected.
const trimInterval = 2 * time.Second

// trimWorth is how much work makes a trim worth its cost, in the units of Node.work.
const trimWorth = 64

// trimmer gives memory back after a burst. Go's own pace leaves the heap of an idle
// server at up to twice its use for minutes. While there is work, the loops give unused
// memory back to Go, which costs them some microseconds an interval. When the server is
// idle, memory goes back to the system. This costs two collections after a burst, and
// nothing for a server that stays idle.
type trimmer struct {
	last      uint64 // work at the last check
	collected uint64 // work at the last collection
	quiet     int    // checks since there was work
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
		if tidy || collect {
			n.publications.tidy(&n.now().publications)
			n.answers.Tidy(n.clock())
		}
		if collect {
			giveBack()
		}
	}
}

// look decides what to do. work is the current value of Node.work.
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

// work grows by one with each new connection, each that ends, each HTTP publication,
// and each 64 KiB received or sent.
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

// tidy makes every loop free unused memory.
func (n *Node) tidy() {
	for _, l := range n.loops {
		l.net.Post(l.tidy)
	}
}

// tidy frees the slots behind the last connection, and buffers that are made again
// when needed.
func (l *loop) tidy() {
	l.net.Trim()
	l.hub.Trim()
	l.extras.Trim()
	l.sessions.Cut(l.net.Slots())
	l.places.Cut(l.net.Slots())
	l.buckets.Cut(l.net.Slots())
	l.expiries.Cut(l.net.Slots())
	l.access.cut(l.net.Slots())
	l.told.Cut(l.net.Slots())
	l.cork, l.reply, l.frame, l.small, l.headed, l.question = nil, nil, nil, nil, nil, nil
	l.parser = command.Parser{}
}

// giveBack collects twice, because a sync.Pool keeps its items for one more collection.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}
