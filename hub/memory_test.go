package hub

import (
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"unsafe"
	"wsify/internal/testtool"
)

// churn makes n channels with one member each, from connections with perConn
// channels each, publishes to all of them, delivers, and ends everything.
func churn(t testing.TB, h *Hub, n, perConn int) {
	t.Helper()
	l := h.Local(0)
	conns := make([]testConn, n/perConn)
	for i := range conns {
		conns[i] = testConn{local: l, id: uint32(i)}
		for j := range perConn {
			conns[i].join(fmt.Sprintf("user:%d:%d", i, j))
		}
	}
	b := frameOf("hello")
	for i := range conns {
		for j := range perConn {
			if got := h.publishRaw(fmt.Appendf(nil, "user:%d:%d", i, j), b); got != 1 {
				t.Fatalf("Publish = %d", got)
			}
		}
	}
	deliverAll(l, 256)
	if !b.Sole() {
		t.Fatal("the publication is still referenced")
	}
	b.Release()
	for i := range conns {
		conns[i].leaveAll()
	}
}

// deliverAll takes and delivers everything a loop has, and returns the number of
// members that got something.
func deliverAll(l *Local, limit int) (n int) {
	l.Take()
	for {
		s, ok := l.Next(limit)
		if !ok {
			return n
		}
		n += len(s.Members)
	}
}

// After churn of 100,000 channels the hub holds nothing, and its memory is back at
// the baseline (I13).
func TestChurnComesBackToTheBaseline(t *testing.T) {
	const n, slack = 100_000, 256 << 10
	h := newHub(1)
	keep := testConn{local: h.Local(0), id: 1 << 30}
	churn(t, h, 1000, 1)
	before := testtool.Heap()
	for _, perConn := range []int{1, 100} {
		churn(t, h, n, perConn)
		if st := h.Stats(); st != (Stats{}) {
			t.Fatalf("after the churn: %+v", st)
		}
		checkHub(t, h)
		h.Local(0).Trim()
		if grown := testtool.Heap() - before; grown > slack {
			t.Fatalf("after the churn of %d channels, %d for each connection, %d bytes are kept", n, perConn, grown)
		}
	}
	keep.join("stays")
	churn(t, h, n, 1)
	h.Local(0).Trim()
	if grown := testtool.Heap() - before; grown > slack {
		t.Fatalf("with one member left %d bytes are kept", grown)
	}
	runtime.KeepAlive(h)
}

// The garbage collector must not read a million memberships one by one.
func TestAMembershipIsSmallAndHasNoPointer(t *testing.T) {
	if n := unsafe.Sizeof(membership{}); n != 16 {
		t.Errorf("a membership has %d bytes, want 16", n)
	}
	for f := range reflect.TypeFor[membership]().Fields() {
		if f.Type.Kind() != reflect.Uint32 {
			t.Errorf("membership.%s is a %s", f.Name, f.Type)
		}
	}
}

// A channel that was large frees the memory of its members.
func TestLargeChannelShrinks(t *testing.T) {
	h := newHub(1)
	conns := joinAll(h.Local(0), 10_000, "news")
	for i, c := range conns[:len(conns)-3] {
		c.leave("news")
		if i%1000 == 0 {
			checkHub(t, h)
		}
	}
	p := &h.shardOf([]byte("news")).channels["news"].first
	if n := cap(p.members); n > 64 {
		t.Fatalf("room for %d members is kept by 3", n)
	}
	publish(t, h, "news", "hi")
	if n := deliverAll(h.Local(0), 2); n != 3 {
		t.Fatalf("%d deliveries, want 3", n)
	}
}

// bytesPerMembership returns the memory of each of n memberships of one channel.
func bytesPerMembership(n int) float64 {
	h := newHub(1)
	sets := make([]Memberships, n) // a part of the session, not of the hub
	before := testtool.Heap()
	for i := range sets {
		h.Local(0).Join(uint32(i), &sets[i], []byte("news"))
	}
	grown := testtool.Heap() - before
	runtime.KeepAlive(h)
	runtime.KeepAlive(sets)
	return float64(grown) / float64(n)
}

// bytesPerChannel returns the memory of each of n channels with one member,
// including its name of 16 bytes and its membership.
func bytesPerChannel(n int) float64 {
	h := newHub(1)
	sets := make([]Memberships, n)
	var name []byte
	before := testtool.Heap()
	for i := range sets {
		name = fmt.Appendf(name[:0], "user:%011d", i)
		h.Local(0).Join(uint32(i), &sets[i], name)
	}
	grown := testtool.Heap() - before
	runtime.KeepAlive(h)
	runtime.KeepAlive(sets)
	return float64(grown) / float64(n)
}

func TestMemoryGoals(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector changes what memory costs")
	}
	if b := bytesPerMembership(100_000); b > 64 {
		t.Errorf("a membership of a large channel costs %.0f bytes, want at most 64", b)
	}
	if b := bytesPerChannel(100_000); b > 350 {
		t.Errorf("a channel with a single member costs %.0f bytes, want at most 350", b)
	}
}

func TestShardsShareNoCacheLine(t *testing.T) {
	if n := unsafe.Sizeof(shard{}); n%64 != 0 {
		t.Fatalf("a shard has %d bytes", n)
	}
}
