package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// roomHub returns a hub of so many loops, each with a member of "news" and a bound of
// 10 bytes, and the log of waiters that are told of room.
func roomHub(loops int) (*Hub, *roomLog) {
	log := &roomLog{}
	h := New(Config{Loops: loops, MaxPendingBytes: 10, Sink: log, Watcher: quiet{}})
	for i := range loops {
		joinAll(h.Local(i), 1, "news")
	}
	return h, log
}

// roomLog is a Sink that records the waiters that are told of room.
type roomLog struct {
	quiet
	told []uint64
}

func (l *roomLog) Room(w *Waiter) { l.told = append(l.told, w.ID) }

// expect fails t unless these waiters were told since the last call, in this order.
func (l *roomLog) expect(t *testing.T, what string, want ...uint64) {
	t.Helper()
	if !slices.Equal(l.told, want) {
		t.Fatalf("%s: %v were told of room, want %v", what, l.told, want)
	}
	l.told = nil
}

func busy(h *Hub, size int) bool { return h.Busy([]byte("news"), size) }

// await waits for room in "news" and fails t when there is some.
func await(t *testing.T, h *Hub, size int, w *Waiter) *Waiter {
	t.Helper()
	if !h.AwaitRoom([]byte("news"), size, w) {
		t.Fatalf("waiter %d finds room for %d bytes", w.ID, size)
	}
	return w
}

func TestBusyWhenOneLoopIsBehind(t *testing.T) {
	h, _ := roomHub(2)
	publish(t, h, "news", "12345")
	publish(t, h, "news", "67890") // exactly the bound
	if !busy(h, 1) {
		t.Fatal("not busy above the bound")
	}
	expect(t, "loop 0", drain(h.Local(0), 1), "0<-1234567890")
	if !busy(h, 1) {
		t.Fatal("not busy with one loop behind")
	}
	expect(t, "loop 1", drain(h.Local(1), 1), "0<-1234567890")
	publish(t, h, "news", "z")
	expect(t, "loop 0 with room", drain(h.Local(0), 1), "0<-z")
}

// A publication takes room until every member has got it.
func TestRoomComesWhenADeliveryEnds(t *testing.T) {
	h := New(Config{Loops: 1, MaxPendingBytes: 10, Sink: quiet{}, Watcher: quiet{}})
	l := h.Local(0)
	joinAll(l, 3, "news")
	publish(t, h, "news", "1234567890")
	l.Take()
	if !busy(h, 1) {
		t.Fatal("not busy before the first slice")
	}
	l.Next(2)
	if !busy(h, 1) {
		t.Fatal("not busy before the last slice")
	}
	expect(t, "the rest", drain(l, 2), "2<-1234567890")
	publish(t, h, "news", "abcdefghij")
	expect(t, "the next", drain(l, 3), "0,1,2<-abcdefghij")
}

func TestLargerThanTheBoundIsTakenWhenNothingWaits(t *testing.T) {
	h, log := roomHub(2)
	large := strings.Repeat("L", 1000)
	publish(t, h, "news", large)
	w := await(t, h, 1000, &Waiter{ID: 1})
	expect(t, "loop 0", drain(h.Local(0), 1), "0<-"+large)
	expect(t, "loop 1", drain(h.Local(1), 1), "0<-"+large)
	log.expect(t, "nothing waits to be delivered", 1)
	if !busy(h, 1) {
		t.Fatal("not busy while room is kept for a large one")
	}
	h.Forgo(w)
	publish(t, h, "news", "x")
	if !busy(h, 1000) {
		t.Fatal("room for a large one behind a small one")
	}
}

func TestAwaitRoomWaitsOnlyWhereThereIsNone(t *testing.T) {
	h, _ := roomHub(1)
	for _, tc := range []struct {
		channel string
		size    int
	}{{"nobody", 100}, {"news", 100}} {
		if h.AwaitRoom([]byte(tc.channel), tc.size, &Waiter{}) {
			t.Fatalf("AwaitRoom(%q, %d) waits where there is room", tc.channel, tc.size)
		}
	}
	publish(t, h, "news", "12345678")
	if h.AwaitRoom([]byte("news"), 2, &Waiter{}) {
		t.Fatal("AwaitRoom waits for 2 bytes where there are 2")
	}
	await(t, h, 3, &Waiter{})
}

func TestAWaiterWithAFunctionIsToldByIt(t *testing.T) {
	h, log := roomHub(1)
	publish(t, h, "news", "1234567890")
	came := 0
	w := await(t, h, 4, &Waiter{Came: func() { came++ }})
	other := await(t, h, 4, &Waiter{ID: 7})
	drain(h.Local(0), 1)
	log.expect(t, "both have room", 7)
	h.Forgo(w)
	h.Forgo(other)
	if came != 1 {
		t.Errorf("it was told %d times", came)
	}
}

// Waiters are told in the order they came, only as far as there is room. A newcomer
// waits behind them.
func TestRoomIsGivenInTurn(t *testing.T) {
	h, log := roomHub(1)
	publish(t, h, "news", "1234567890")
	waiters := make([]*Waiter, 6)
	for i := range waiters {
		waiters[i] = await(t, h, 4, &Waiter{ID: uint64(i)})
	}
	drain(h.Local(0), 1)
	log.expect(t, "10 bytes are free", 0, 1)
	if !busy(h, 1) || h.Full([]byte("news"), 10) {
		t.Fatal("Busy ignores the waiters, or Full does not")
	}
	publish := func(w *Waiter) {
		b := frameOf("abcd")
		defer b.Release()
		h.publishRaw([]byte("news"), b)
		h.Forgo(w)
	}
	publish(waiters[1])
	publish(waiters[0])
	log.expect(t, "the room is used")
	drain(h.Local(0), 1)
	log.expect(t, "10 bytes are free again", 2, 3)
}

// Room that a waiter gives up goes to the next, and a waiter that has left the queue
// delays no other.
func TestForgoneRoomGoesToTheNext(t *testing.T) {
	h, log := roomHub(1)
	publish(t, h, "news", "1234567890")
	large := await(t, h, 11, &Waiter{ID: 1}) // fits only into an empty channel
	second := await(t, h, 10, &Waiter{ID: 2})
	third := await(t, h, 10, &Waiter{ID: 3})
	h.Forgo(large)
	drain(h.Local(0), 1)
	log.expect(t, "the first has gone", 2)
	h.Forgo(second)
	log.expect(t, "the second does not publish", 3)
	h.Forgo(second)
	h.Forgo(third)
	if busy(h, 10) {
		t.Fatal("busy when no waiter is left")
	}
}

// A waiter with First goes ahead of all others, even into room that is kept.
func TestFirstGoesAheadOfOthers(t *testing.T) {
	h, log := roomHub(1)
	publish(t, h, "news", "1234567890")
	await(t, h, 10, &Waiter{ID: 1})
	await(t, h, 10, &Waiter{ID: 2})
	first := await(t, h, 10, &Waiter{ID: 3, First: true})
	drain(h.Local(0), 1)
	log.expect(t, "10 bytes are free", 3)
	h.Forgo(first)
	log.expect(t, "the first has been", 1)
	if h.Full([]byte("news"), 10) {
		t.Fatal("a waiter with First is refused because of kept room")
	}
}

// Waiters are told even when no member is left, up to the channel's bound at a time.
func TestWaitersOutliveTheChannel(t *testing.T) {
	log := &roomLog{}
	h := New(Config{Loops: 1, MaxPendingBytes: 10, Sink: log, Watcher: quiet{}})
	l := h.Local(0)
	c := joinAll(l, 1, "news")[0]
	publish(t, h, "news", "1234567890")
	one, two := await(t, h, 10, &Waiter{ID: 5}), await(t, h, 1, &Waiter{ID: 6})
	c.leaveAll()
	if busy(h, 1) {
		t.Fatal("a channel that has ended is busy")
	}
	expect(t, "after the end", drain(l, 1))
	log.expect(t, "the channel has ended", 5)
	h.Forgo(one)
	log.expect(t, "the first has been", 6)
	h.Forgo(two)
	if l.Pending() {
		t.Fatal("something is left")
	}
}

// A waiter that was told publishes a moment later, in a task of its loop.
func TestAWaiterThatWasToldIsNotOvertaken(t *testing.T) {
	log := &roomLog{}
	h := New(Config{Loops: 1, MaxPendingBytes: 10, Sink: log, Watcher: quiet{}})
	joinAll(h.Local(0), 1, "news")
	publish(t, h, "news", "1234567890")
	first := await(t, h, 3, &Waiter{ID: 1})
	drain(h.Local(0), 1)
	log.expect(t, "all was delivered", 1)
	if !h.Busy([]byte("news"), 3) {
		t.Error("a newcomer may publish before a waiter that was told")
	}
	second := await(t, h, 3, &Waiter{ID: 2})
	log.expect(t, "there is room for another", 2)
	h.Forgo(first)
	h.Forgo(second)
	if h.Busy([]byte("news"), 3) {
		t.Error("no waiter is left, and a newcomer has to wait")
	}
}

// When the members of one loop leave, its part takes no more room.
func TestRoomComesWithTheLastLeave(t *testing.T) {
	log := &roomLog{}
	h := New(Config{Loops: 2, MaxPendingBytes: 10, Sink: log, Watcher: quiet{}})
	gone := joinAll(h.Local(0), 1, "news")[0]
	joinAll(h.Local(1), 1, "news")
	publish(t, h, "news", "1234567890")
	drain(h.Local(1), 1)
	w := await(t, h, 5, &Waiter{ID: 8})
	gone.leave("news")
	expect(t, "loop 0", drain(h.Local(0), 1))
	log.expect(t, "the last of loop 0 has left", 8)
	h.Forgo(w)
	publish(t, h, "news", "abc")
	expect(t, "loop 1", drain(h.Local(1), 1), "0<-abc")
}

// However small the publications, no more waiters are told at once than a part may keep
// separate.
func TestTellsABoundedNumberAtOnce(t *testing.T) {
	log := &roomLog{}
	h := New(Config{Loops: 1, MaxPendingBytes: 1 << 20, Sink: log, Watcher: quiet{}})
	joinAll(h.Local(0), 1, "news")
	publish(t, h, "news", strings.Repeat("x", 1<<20))
	waiters := make([]*Waiter, 2*maxSealed+1)
	for i := range waiters {
		waiters[i] = await(t, h, 1, &Waiter{ID: uint64(i)})
	}
	drain(h.Local(0), 1)
	for from := 0; from < len(waiters); from += maxSealed {
		to := min(from+maxSealed, len(waiters))
		if len(log.told) != to {
			t.Fatalf("%d were told, want %d", len(log.told), to)
		}
		for _, w := range waiters[from:to] {
			h.Forgo(w)
		}
	}
	if !slices.IsSorted(log.told) {
		t.Fatal(fmt.Sprint("not in turn: ", log.told))
	}
}

// A publication looks only at parts with members. It checks all of them for room only
// now and then.
func TestLoopsWithoutMembersCostNothing(t *testing.T) {
	h, _ := roomHub(64)
	conns := make([]*testConn, 64)
	for i := range conns {
		conns[i] = &testConn{local: h.Local(i), id: 2}
		conns[i].join("other")
	}
	ch := h.shardOf([]byte("other")).channels["other"]
	for i, c := range conns {
		if i%8 > 0 {
			c.leave("other")
		}
	}
	if len(ch.more) != 7 {
		t.Errorf("%d parts are looked at beside the first, want those of 7 loops", len(ch.more))
	}
	conns[1].join("other")
	if n := publish(t, h, "other", "x"); n != 9 {
		t.Errorf("%d members, want 9", n)
	}
	for i := range conns {
		if got := len(drain(h.Local(i), 1)); (got == 1) != (i%8 == 0 || i == 1) {
			t.Errorf("loop %d: %d deliveries", i, got)
		}
	}
	checkHub(t, h)
}
