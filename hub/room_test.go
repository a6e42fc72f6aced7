package hub

import (
	"errors"
	"strings"
	"testing"
)

// roomHub returns a hub of two loops, each with a member of "news", that takes 10
// bytes while they wait.
func roomHub() *Hub {
	h := New(Config{Loops: 2, MaxPendingBytes: 10, Sink: quiet{}, Watcher: quiet{}})
	joinAll(h.Local(0), 1, "news")
	joinAll(h.Local(1), 1, "news")
	return h
}

// try publishes and returns the error.
func try(h *Hub, text string) error {
	b := frameOf(text)
	defer b.Release()
	_, err := h.Publish([]byte("news"), b)
	return err
}

func TestBusyTakesNothingForNobody(t *testing.T) {
	h := roomHub()
	publish(t, h, "news", "12345")
	publish(t, h, "news", "67890") // exactly the bound
	if err := try(h, "x"); !errors.Is(err, ErrBusy) {
		t.Fatalf("Publish above the bound: %v, want ErrBusy", err)
	}
	expect(t, "loop 0", drain(h.Local(0), 1), "0<-1234567890")
	if err := try(h, "y"); !errors.Is(err, ErrBusy) {
		t.Fatalf("Publish with one loop behind: %v, want ErrBusy", err)
	}
	expect(t, "loop 0 again", drain(h.Local(0), 1))
	expect(t, "loop 1", drain(h.Local(1), 1), "0<-1234567890")
	publish(t, h, "news", "z")
	expect(t, "loop 0 with room", drain(h.Local(0), 1), "0<-z")
}

// What is being delivered takes room until every member has got it.
func TestRoomComesWhenADeliveryEnds(t *testing.T) {
	h := New(Config{Loops: 1, MaxPendingBytes: 10, Sink: quiet{}, Watcher: quiet{}})
	l := h.Local(0)
	joinAll(l, 3, "news")
	publish(t, h, "news", "1234567890")
	l.Take()
	if err := try(h, "x"); !errors.Is(err, ErrBusy) {
		t.Fatalf("Publish before the first slice: %v, want ErrBusy", err)
	}
	l.Next(2)
	if err := try(h, "x"); !errors.Is(err, ErrBusy) {
		t.Fatalf("Publish before the last slice: %v, want ErrBusy", err)
	}
	expect(t, "the rest", drain(l, 2), "2<-1234567890")
	publish(t, h, "news", "abcdefghij")
	expect(t, "the next", drain(l, 3), "0,1,2<-abcdefghij")
}

func TestLargerThanTheBoundIsTakenWhenNothingWaits(t *testing.T) {
	h := roomHub()
	large := strings.Repeat("L", 1000)
	publish(t, h, "news", large)
	if err := try(h, "x"); !errors.Is(err, ErrBusy) {
		t.Fatalf("Publish behind a large one: %v, want ErrBusy", err)
	}
	expect(t, "loop 0", drain(h.Local(0), 1), "0<-"+large)
	expect(t, "loop 1", drain(h.Local(1), 1), "0<-"+large)
	publish(t, h, "news", "x")
	if err := try(h, large); !errors.Is(err, ErrBusy) {
		t.Fatalf("a large one behind a small one: %v, want ErrBusy", err)
	}
}

func TestAwaitRoom(t *testing.T) {
	h := roomHub()
	name := []byte("news")
	if h.AwaitRoom([]byte("nobody"), 100, 1) || h.AwaitRoom(name, 100, 1) {
		t.Fatal("AwaitRoom waits where there is room")
	}
	publish(t, h, "news", "12345678")
	if h.AwaitRoom(name, 2, 1) {
		t.Fatal("AwaitRoom waits for 2 bytes where there are 2")
	}
	if !h.AwaitRoom(name, 3, 1) || !h.AwaitRoom(name, 3, 2) {
		t.Fatal("AwaitRoom finds room for 3 bytes where there are 2")
	}
	l := h.Local(0)
	l.Take()
	s, ok := l.Next(10)
	if !ok || delivery(s) != "0<-12345678" || len(s.Waiters) != 0 {
		t.Fatalf("Next = %s with waiters %v, want none while it is being delivered", delivery(s), s.Waiters)
	}
	if s, ok = l.Next(10); !ok || len(s.Members) != 0 || len(s.Waiters) != 2 || s.Waiters[0] != 1 || s.Waiters[1] != 2 {
		t.Fatalf("Next = %s with waiters %v, want both in the order they came", delivery(s), s.Waiters)
	}
	if !h.AwaitRoom(name, 3, 1) { // now for the other loop
		t.Fatal("AwaitRoom finds room while a loop has taken nothing")
	}
	if s, ok = l.Next(10); ok {
		t.Fatalf("Next = %s", delivery(s))
	}
	h.Local(1).Take()
	h.Local(1).Next(10)
	if s, _ = h.Local(1).Next(10); len(s.Waiters) != 1 {
		t.Fatalf("waiters on the other loop: %v", s.Waiters)
	}
}

// Who waits is told also when nobody is left to deliver to.
func TestWaitersOutliveTheChannel(t *testing.T) {
	h := New(Config{Loops: 1, MaxPendingBytes: 10, Sink: quiet{}, Watcher: quiet{}})
	l := h.Local(0)
	c := joinAll(l, 1, "news")[0]
	publish(t, h, "news", "1234567890")
	if !h.AwaitRoom([]byte("news"), 1, 5) {
		t.Fatal("AwaitRoom finds room")
	}
	c.leaveAll()
	if h.AwaitRoom([]byte("news"), 1, 6) {
		t.Fatal("AwaitRoom waits for a channel that has ended")
	}
	expect(t, "after the end", drain(l, 1), "waiters [5]")
	if l.Pending() {
		t.Fatal("something is left")
	}
}

// The members of one loop leave: its share no longer takes room.
func TestRoomComesWithTheLastLeave(t *testing.T) {
	h := New(Config{Loops: 2, MaxPendingBytes: 10, Sink: quiet{}, Watcher: quiet{}})
	gone := joinAll(h.Local(0), 1, "news")[0]
	joinAll(h.Local(1), 1, "news")
	publish(t, h, "news", "1234567890")
	drain(h.Local(1), 1)
	if !h.AwaitRoom([]byte("news"), 5, 8) {
		t.Fatal("AwaitRoom finds room while loop 0 has taken nothing")
	}
	gone.leave("news")
	publish(t, h, "news", "abc")
	expect(t, "loop 0", drain(h.Local(0), 1), "waiters [8]")
	expect(t, "loop 1", drain(h.Local(1), 1), "0<-abc")
}
