package hub

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"wsify/internal/buffer"
)

// quiet is a Sink and a Watcher that do nothing.
type quiet struct{}

func (quiet) Wake(int)           {}
func (quiet) Room(*Waiter)       {}
func (quiet) Subscribe(string)   {}
func (quiet) Unsubscribe(string) {}

// wakeLog is a Sink that counts wakes.
type wakeLog struct {
	quiet
	wakes []int // by loop
}

func (w *wakeLog) Wake(loop int) { w.wakes[loop]++ }

// watchLog is a Watcher that checks the order of its calls (I12): a channel is
// subscribed and unsubscribed in turn.
type watchLog struct {
	mu     sync.Mutex
	active map[string]bool
	events atomic.Int64
	wrong  []string
}

func (w *watchLog) Subscribe(name string)   { w.note(name, true) }
func (w *watchLog) Unsubscribe(name string) { w.note(name, false) }

func (w *watchLog) note(name string, active bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active[name] == active {
		w.wrong = append(w.wrong, fmt.Sprintf("%s: told %t twice", name, active))
	}
	if w.active == nil {
		w.active = make(map[string]bool)
	}
	w.active[name] = active
	if !active {
		delete(w.active, name)
	}
	w.events.Add(1)
}

// newHub returns a hub of so many loops, with a quiet Sink and Watcher.
func newHub(loops int) *Hub {
	return New(Config{Loops: loops, Sink: quiet{}, Watcher: quiet{}})
}

// frameOf returns a buffer with one message. The caller owns the reference.
func frameOf(text string) *buffer.Buffer {
	b := buffer.New(len(text))
	b.Append([]byte(text), 1)
	return b
}

// publish publishes text to the channel and fails t when there is no room.
func publish(t testing.TB, h *Hub, channel, text string) (members int) {
	t.Helper()
	b := frameOf(text)
	defer b.Release()
	if h.Busy([]byte(channel), len(text)) {
		t.Fatalf("no room in %q for %q", channel, text)
	}
	return h.publishRaw([]byte(channel), b)
}

// publishRaw publishes b for members of the class Raw, and panics if there are others.
func (h *Hub) publishRaw(channel []byte, b *buffer.Buffer) (members int) {
	members, missing := h.Publish(channel, &Frames{Raw: b})
	if missing != 0 {
		panic("the channel has members that are not Raw")
	}
	return members
}

// delivery is a Slice as text: the members and what they get.
func delivery(s Slice) string {
	var conns []string
	for _, m := range s.Members {
		conns = append(conns, fmt.Sprint(m.Conn))
	}
	return strings.Join(conns, ",") + "<-" + string(s.Buffer.Bytes())
}

// drain takes and delivers everything a loop has, and returns it as text.
func drain(l *Local, limit int) (got []string) {
	l.Take()
	for {
		s, ok := l.Next(limit)
		if !ok {
			return got
		}
		got = append(got, delivery(s))
	}
}

// expect fails t unless got is want, line by line.
func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

// testConn is a connection that a test joins and leaves with.
type testConn struct {
	local *Local
	id    uint32
	set   Memberships
}

func (c *testConn) join(name string) bool  { return c.local.Join(c.id, &c.set, []byte(name)) }
func (c *testConn) leave(name string) bool { return c.local.Leave(c.id, &c.set, []byte(name)) }
func (c *testConn) leaveAll()              { c.local.LeaveAll(c.id, &c.set) }
func (c *testConn) owed(name string) *buffer.Buffer {
	return c.local.Owed(c.id, &c.set, []byte(name))
}
func (c *testConn) in(name string) bool { return c.local.Member(c.id, &c.set, []byte(name)) }

// joinAll makes n connections of the loop members of the channel.
func joinAll(l *Local, n int, name string) []*testConn {
	conns := make([]*testConn, n)
	for i := range conns {
		conns[i] = &testConn{local: l, id: uint32(i)}
		conns[i].join(name)
	}
	return conns
}

// checkHub fails t unless the tables of a hub agree: positions of members, counts,
// regions, scheduled parts. No loop may be at work.
func checkHub(t *testing.T, h *Hub) {
	t.Helper()
	listed := listedParts(t, h)
	for i := range h.shards {
		s := &h.shards[i]
		inShard := 0
		for name, ch := range s.channels {
			if ch.name != name || ch.members == 0 || h.shardOf([]byte(name)) != s || &h.shards[ch.shard] != s {
				t.Fatalf("channel %q with %d members is under %q in shard %d", ch.name, ch.members, name, i)
			}
			inChannel, classes := 0, Classes(0)
			for p := range ch.parts() {
				checkPart(t, h, p)
				if p.channel != ch || p.scheduled != (listed[p] == 1) {
					t.Fatalf("part of %q on loop %d: scheduled is %t, on %d lists", name, p.key.loop(), p.scheduled, listed[p])
				}
				inChannel += len(p.members)
				if len(p.members) > 0 {
					classes.Add(p.key.class())
				}
			}
			checkCrowd(t, h, ch, listed)
			if inChannel != int(ch.members) || classes != ch.classes {
				t.Fatalf("channel %q counts %d members of classes %b, has %d of %b", name, ch.members, ch.classes, inChannel, classes)
			}
			if ch.counted() > 0 {
				inShard += inChannel
			}
		}
		if int(s.members) != inShard {
			t.Fatalf("shard %d counts %d members, has %d", i, s.members, inShard)
		}
	}
}

// listedParts counts the lists of its loop that each part is on.
func listedParts(t *testing.T, h *Hub) map[*Part]int {
	t.Helper()
	listed := make(map[*Part]int)
	for i, l := range h.locals {
		for _, p := range l.due {
			listed[p]++
		}
		for j := range l.active.Len() {
			listed[*l.active.At(j)]++
		}
		for p, n := range listed {
			if n != 1 || !p.scheduled {
				t.Fatalf("loop %d: a part of %q is on %d lists, scheduled is %t", i, p.channel.name, n, p.scheduled)
			}
		}
	}
	return listed
}

// checkCrowd fails t when there is room for a waiter, or when no event to come will
// tell a waiter of room.
func checkCrowd(t *testing.T, h *Hub, ch *channel, listed map[*Part]int) {
	t.Helper()
	q := ch.crowd
	if q == nil || q.first == nil {
		return
	}
	for p := range listed {
		if p.channel == ch { // its loop will check, even without members
			return
		}
	}
	if q.told == 0 || ch.hasRoom(q.first.size, h.maxPending, q.first.First) {
		t.Fatalf("channel %q has waiters that nothing will tell", ch.name)
	}
}

func checkPart(t *testing.T, h *Hub, p *Part) {
	t.Helper()
	if w := p.sweep; w != nil {
		checkSweep(t, p, w)
	}
	if p.pending != nil && len(p.members) == 0 {
		t.Fatalf("part of %q has something to deliver and no members", p.channel.name)
	}
	if (p.pending != nil || p.sweep != nil) && !p.scheduled {
		t.Fatalf("part of %q has something to deliver and is not scheduled", p.channel.name)
	}
	for pos, m := range p.members {
		ms := h.locals[p.key.loop()].memberships.At(m.ref)
		if h.locals[p.key.loop()].part(ms) != p || int(ms.pos) != pos {
			t.Fatalf("part of %q: member %d is at %d, its membership says %+v", p.channel.name, m.Conn, pos, *ms)
		}
	}
}

func checkSweep(t *testing.T, p *Part, w *sweep) {
	t.Helper()
	bytes := 0
	for _, l := range w.live {
		bytes += l.b.Size()
		if n := uint32(len(p.members)); w.cursor > n || !l.wrapped && l.start > w.cursor || l.wrapped && l.start > n {
			t.Fatalf("part of %q: start %d, wrapped %t, cursor %d of %d", p.channel.name, l.start, l.wrapped, w.cursor, n)
		}
	}
	if bytes != w.bytes || len(w.live) == 0 || len(w.live) > maxSealed+1 {
		t.Fatalf("part of %q: %d live of %d bytes, %d are accounted", p.channel.name, len(w.live), bytes, w.bytes)
	}
}

// references holds buffers, to check that nothing else does in the end.
type references struct {
	held map[*buffer.Buffer]bool
}

// hold retains b, but only on the first call for a buffer.
func (r *references) hold(b *buffer.Buffer) {
	if b == nil || r.held[b] {
		return
	}
	if r.held == nil {
		r.held = make(map[*buffer.Buffer]bool)
	}
	r.held[b] = true
	b.Retain()
}

// expectSole fails t when a buffer has another reference than the one held here,
// and releases all.
func (r *references) expectSole(t *testing.T) {
	t.Helper()
	for b := range r.held {
		if !b.Sole() {
			t.Errorf("buffer %q is still referenced", b.Bytes())
		}
		b.Release()
	}
	clear(r.held)
}

// Members returns how many members the channel has on this node.
func (h *Hub) Members(channel []byte) int {
	return h.Count(string(channel))
}
