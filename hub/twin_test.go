package hub

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// twinLoops, twinConns and twinLimit shape the hub of a model test: few and small,
// so that random operations meet.
const (
	twinLoops = 3
	twinConns = 6 // connections on each loop
	twinLimit = 40
)

// twinClass is the class of a connection: three of them share one, so that there are
// crowds as well as channels of several classes.
func twinClass(conn uint32) Class {
	if conn < twinConns/2 {
		return Raw
	}
	return Class(conn) % NumClasses
}

// twinChannels are enough for a connection to have an index.
var twinChannels = func() (names []string) {
	for i := range 2 * indexFrom {
		names = append(names, fmt.Sprintf("c%d", i))
	}
	names[1] += strings.Repeat("-longer-than-a-small-string", 3)
	return names
}()

// stay is one membership, from Join to Leave. It gets each publication from next
// on, in order, until it ends.
type stay struct{ next int }

// twinPart is what the twin knows of one channel on one loop.
type twinPart struct {
	stays map[uint32]*stay // by connection
}

// twinChannel is a channel in the simplest form. The number of a publication is its
// index in sizes.
type twinChannel struct {
	sizes  []int
	except [][]uint64 // the connections that do not get a publication, as twinID names them
	parts  [twinLoops]twinPart
}

// twinID is the id of a connection in the holes of buffers.
func twinID(loop int, conn uint32) uint64 { return uint64(loop)*twinConns + uint64(conn) }

// twin runs a Hub and a naive model of it side by side.
type twin struct {
	t        *testing.T
	h        *Hub
	conns    [twinLoops][twinConns]*testConn
	channels map[string]*twinChannel
	woken    [twinLoops]bool // since the last Take
	watch    watchLog
	crowds   []*twinCrowd
	refs     references
	except   []uint64 // of the next publication
}

func (w *twin) Wake(loop int) { w.woken[loop] = true }

func newTwin(t *testing.T) *twin {
	w := &twin{t: t, channels: make(map[string]*twinChannel)}
	w.h = New(Config{Loops: twinLoops, Shards: 4, MaxPendingBytes: twinLimit, Sink: w, Watcher: &w.watch})
	for loop := range w.conns {
		for i := range w.conns[loop] {
			w.conns[loop][i] = &testConn{local: w.h.Local(loop), id: uint32(i), set: Memberships{Class: twinClass(uint32(i))}}
		}
	}
	for _, name := range twinChannels {
		ch := &twinChannel{}
		for loop := range ch.parts {
			ch.parts[loop].stays = make(map[uint32]*stay)
		}
		w.channels[name] = ch
	}
	return w
}

// join joins and compares. A new member gets what is published from then on.
func (w *twin) join(loop int, conn uint32, name string) {
	w.t.Helper()
	p := &w.channels[name].parts[loop]
	was := p.stays[conn] != nil
	if joined := w.conns[loop][conn].join(name); joined == was {
		w.t.Fatalf("Join(%d, %q) on loop %d = %t, was a member: %t", conn, name, loop, joined, was)
	}
	if was {
		return
	}
	p.stays[conn] = &stay{next: len(w.channels[name].sizes)}
}

func (w *twin) leave(loop int, conn uint32, name string) {
	w.t.Helper()
	stays := w.channels[name].parts[loop].stays
	was := stays[conn] != nil
	if was {
		w.owed(loop, conn, name, stays[conn])
	}
	if left := w.conns[loop][conn].leave(name); left != was {
		w.t.Fatalf("Leave(%d, %q) on loop %d = %t, was a member: %t", conn, name, loop, left, was)
	}
	delete(stays, conn)
}

// owed compares what a member is owed with all that it has not got.
func (w *twin) owed(loop int, conn uint32, name string, st *stay) {
	w.t.Helper()
	b := w.conns[loop][conn].owed(name)
	published := len(w.channels[name].sizes)
	if b == nil {
		if st.next != published {
			w.t.Fatalf("%q on loop %d: %d is owed nothing, expects %+v of %d", name, loop, conn, *st, published)
		}
		return
	}
	defer b.Release()
	if _, run := w.parse(b, twinClass(conn)); run != [2]int{st.next, published} {
		w.t.Fatalf("%q on loop %d: %d is owed %v, expects %+v of %d", name, loop, conn, run, *st, published)
	}
	w.without(b, loop, conn, st.next)
}

func (w *twin) leaveAll(loop int, conn uint32) {
	w.conns[loop][conn].leaveAll()
	for _, ch := range w.channels {
		delete(ch.parts[loop].stays, conn)
	}
}

// part returns what the hub has of a channel on a loop for a class, or nil.
func (w *twin) part(loop int, class Class, name string) *Part {
	if ch := w.h.shardOf([]byte(name)).channels[name]; ch != nil {
		for p := range ch.parts() {
			if p.key == keyOf(loop, class) {
				return p
			}
		}
	}
	return nil
}

func (ch *twinChannel) members() (n int) {
	for i := range ch.parts {
		n += len(ch.parts[i].stays)
	}
	return n
}

// classes returns the classes of the members.
func (ch *twinChannel) classes() (s Classes) {
	for i := range ch.parts {
		for conn := range ch.parts[i].stays {
			s.Add(twinClass(conn))
		}
	}
	return s
}

// publish publishes "name number class padding;" and compares the result of Publish.
func (w *twin) publish(name string, padding int) {
	w.t.Helper()
	ch := w.channels[name]
	text := fmt.Sprintf("%s %d 0 %s;", name, len(ch.sizes), strings.Repeat("x", padding))
	if !w.busy(name, len(text), false) {
		w.send(ch, name, text)
	}
}

// send publishes text. It encodes one class first, as a session does, and compares what
// is missing, and the number of members. The frame of each class names it.
func (w *twin) send(ch *twinChannel, name, text string) {
	w.t.Helper()
	first := Class(len(ch.sizes)) % NumClasses
	want := ch.classes() &^ (1 << first)
	var f Frames
	encode := func(c Class) {
		fields := strings.SplitN(text, " ", 4)
		fields[2] = strconv.Itoa(int(c))
		f[c] = frameOf(strings.Join(fields, " "))
		f[c].Except(w.except)
		w.refs.hold(f[c])
	}
	encode(first)
	n, missing := w.h.Publish([]byte(name), &f)
	if missing != want {
		w.t.Fatalf("Publish(%q) without frames for %b lacks %b", text, want, missing)
	}
	if missing != 0 {
		w.check() // nothing has happened
		for c := range missing.Each() {
			encode(c)
		}
		n, missing = w.h.Publish([]byte(name), &f)
	}
	f.Release()
	if n != ch.members() || missing != 0 {
		w.t.Fatalf("Publish(%q) = %d, %b, want %d and nothing missing", text, n, missing, ch.members())
	}
	if n > 0 {
		ch.sizes = append(ch.sizes, len(text))
		ch.except = append(ch.except, w.except)
	}
}

func (w *twin) take(loop int) {
	w.h.Local(loop).Take()
	w.woken[loop] = false
}

// check compares everything that can be compared at any time.
func (w *twin) check() {
	w.t.Helper()
	checkHub(w.t, w.h)
	var want Stats
	for name, ch := range w.channels {
		n := ch.members()
		if got := w.h.Members([]byte(name)); got != n {
			w.t.Fatalf("Members(%q) = %d, want %d", name, got, n)
		}
		if w.watch.active[name] != (n > 0) {
			w.t.Fatalf("%q has %d members, its subscription is %t", name, n, w.watch.active[name])
		}
		want.Subscriptions += int64(n)
		want.Channels += int64(min(n, 1))
		for loop := range ch.parts {
			w.checkWoken(loop, name, ch)
		}
	}
	if got := w.h.Stats(); got != want || len(w.watch.wrong) > 0 {
		w.t.Fatalf("Stats() = %+v, want %+v; watcher: %q", got, want, w.watch.wrong)
	}
}

// checkWoken fails when a loop with something to deliver was not woken.
func (w *twin) checkWoken(loop int, name string, ch *twinChannel) {
	w.t.Helper()
	p := &ch.parts[loop]
	for class := range Class(NumClasses) {
		if part := w.part(loop, class, name); part != nil && part.pending != nil && !w.woken[loop] && !w.h.Local(loop).Pending() {
			w.t.Fatalf("loop %d has publications of %q for class %d and was not woken", loop, name, class)
		}
	}
	for i, c := range w.conns[loop] {
		if c.in(name) != (p.stays[uint32(i)] != nil) {
			w.t.Fatalf("Member(%d, %q) on loop %d = %t", i, name, loop, c.in(name))
		}
	}
}

// finish delivers everything, ends every membership and checks that nothing is left.
func (w *twin) finish() {
	w.t.Helper()
	w.endWaits()
	for name, ch := range w.channels {
		for loop := range ch.parts {
			for conn, st := range ch.parts[loop].stays {
				if st.next != len(ch.sizes) {
					w.t.Fatalf("%q on loop %d: %d has got what is before %d, %d are published", name, loop, conn, st.next, len(ch.sizes))
				}
			}
		}
	}
	for loop := range w.conns {
		for i := range w.conns[loop] {
			w.leaveAll(loop, uint32(i))
		}
	}
	w.check()
	w.refs.expectSole(w.t)
}
