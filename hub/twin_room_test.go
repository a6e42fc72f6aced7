package hub

import (
	"fmt"
	"slices"
	"strings"
)

// twinCrowd is the queue for room in a channel, in the simplest form.
type twinCrowd struct {
	ch    *channel // of the hub: a channel created again is another
	queue []*Waiter
	told  []*Waiter
}

// kept returns how many bytes are kept for waiters that were told.
func (q *twinCrowd) kept() (n int) {
	for _, w := range q.told {
		n += w.size
	}
	return n
}

// crowd returns the waiters for room in a channel of the hub.
func (w *twin) crowd(ch *channel) *twinCrowd {
	for _, q := range w.crowds {
		if q.ch == ch {
			return q
		}
	}
	q := &twinCrowd{ch: ch}
	w.crowds = append(w.crowds, q)
	return q
}

// full reports whether size bytes more would pass the limit, with what the hub
// holds for a loop, checked by checkSweep, and what is kept.
func (w *twin) full(ch *channel, kept, size int) bool {
	if kept > 0 && kept+size > twinLimit {
		return true
	}
	for p := range ch.parts() {
		bytes := 0
		if p.pending != nil {
			bytes += p.pending.Size()
		}
		if p.sweep != nil {
			bytes += p.sweep.bytes
		}
		if bytes > 0 && bytes+kept+size > twinLimit {
			return true
		}
	}
	return false
}

// busy reports whether a publication has to wait, and compares the hub's answer.
func (w *twin) busy(name string, size int, first bool) (busy bool) {
	w.t.Helper()
	if ch := w.h.shardOf([]byte(name)).channels[name]; ch != nil {
		q := w.crowd(ch)
		busy = !first && (len(q.queue) > 0 || len(q.told) > 0 || w.full(ch, q.kept(), size)) || first && w.full(ch, 0, size)
	}
	got := w.h.Busy([]byte(name), size)
	if first {
		got = w.h.Full([]byte(name), size)
	}
	if got != busy {
		w.t.Fatalf("busy(%q, %d, first %t) = %t, want %t", name, size, first, got, busy)
	}
	return busy
}

// awaitRoom waits for room if there is none.
func (w *twin) awaitRoom(name string, size int, first bool) {
	w.t.Helper()
	busy := w.busy(name, size, first)
	one := &Waiter{First: first}
	if busy { // it may be told before AwaitRoom returns
		q := w.crowd(w.h.shardOf([]byte(name)).channels[name])
		if first {
			q.queue = slices.Insert(q.queue, 0, one)
		} else {
			q.queue = append(q.queue, one)
		}
	}
	if waits := w.h.AwaitRoom([]byte(name), size, one); waits != busy {
		w.t.Fatalf("AwaitRoom(%q, %d) = %t, busy is %t", name, size, waits, busy)
	}
}

// Room checks that only the longest waiter is told of room, and only if there is room.
func (w *twin) Room(one *Waiter) {
	q := w.crowd(one.channel)
	if len(q.queue) == 0 || q.queue[0] != one {
		w.t.Fatalf("%q: a waiter of %d bytes was told ahead of others", one.channel.name, one.size)
	}
	kept := q.kept()
	if one.First {
		kept = 0
	}
	if w.full(one.channel, kept, one.size) {
		w.t.Fatalf("%q: a waiter was told of room for %d bytes, which there is not", one.channel.name, one.size)
	}
	q.queue = q.queue[1:]
	q.told = append(q.told, one)
}

// goOn lets one waiter of some channel publish, if it was told, or give up.
func (w *twin) goOn(name string, which int, publishes bool) {
	w.t.Helper()
	for _, q := range w.crowds {
		all := slices.Concat(q.told, q.queue)
		if q.ch.name != name || len(all) == 0 {
			continue
		}
		one := all[which%len(all)]
		now := w.channels[name]
		if text := fmt.Sprintf("%s %d 0 ", name, len(now.sizes)); publishes && one.told && len(text) < one.size {
			w.send(now, name, text+strings.Repeat("x", one.size-1-len(text))+";")
		}
		w.forgo(q, one)
		return
	}
}

// forgo ends a wait.
func (w *twin) forgo(q *twinCrowd, one *Waiter) {
	gone := func(other *Waiter) bool { return other == one }
	q.told = slices.DeleteFunc(q.told, gone)
	q.queue = slices.DeleteFunc(q.queue, gone)
	w.h.Forgo(one)
}

// endWaits delivers, and lets waiters continue that are told of room, until none is left.
func (w *twin) endWaits() {
	w.t.Helper()
	for again := true; again; {
		again = false
		for loop := range twinLoops {
			w.take(loop)
			for w.next(loop, 2) {
			}
		}
		for _, q := range w.crowds {
			for len(q.told) > 0 {
				again = true
				w.forgo(q, q.told[0])
			}
		}
	}
	for _, q := range w.crowds {
		if len(q.queue) > 0 || q.ch.crowd != nil {
			w.t.Fatalf("%q: %d waiters were never told", q.ch.name, len(q.queue))
		}
	}
}
