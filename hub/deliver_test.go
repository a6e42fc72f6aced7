package hub

import (
	"fmt"
	"strings"
	"testing"

	"wsify/internal/buffer"
)

// Members leave and join while "a" is being delivered and "b" is published. Each
// member gets both once; a member that joins gets neither.
func TestMembershipChangesWhileASliceIsOpen(t *testing.T) {
	for _, tc := range []struct {
		what    string
		slice   int // of members 0 to 4
		changes string
		want    []string // the members that get the rest
	}{
		{"nothing happens", 2, "", []string{"2,3,4<-ab", "0,1<-b"}},
		{"a served one leaves, the last to be served fills", 2, "-0", []string{"4,2,3<-ab", "1<-b"}},
		{"the last served one leaves", 2, "-1", []string{"4,2,3<-ab", "0<-b"}},
		{"one to be served leaves", 2, "-2", []string{"4,3<-ab", "0,1<-b"}},
		{"the last to be served leaves", 2, "-4", []string{"2,3<-ab", "0,1<-b"}},
		{"one joins", 2, "+9", []string{"2,3,4<-ab", "0,1<-b"}},
		{"one joins and a served one leaves", 2, "+9-0", []string{"4,2,3<-ab", "1<-b"}},
		{"one joins and one to be served leaves", 2, "+9-3", []string{"2,4<-ab", "0,1<-b"}},
		{"two join, the first of them leaves", 2, "+8+9-8", []string{"2,3,4<-ab", "0,1<-b"}},
		{"a served one leaves and joins again", 2, "-0+0", []string{"4,2,3<-ab", "1<-b"}},
		{"all to be served leave", 2, "-2-3-4", []string{"0,1<-b"}},
		{"all served leave", 2, "-0-1", []string{"3,4,2<-ab"}},
		{"all leave, one joins", 2, "-0-1-2-3-4+9", nil},
		{"all are served, one leaves", 5, "-0", []string{"4,1,2,3<-b"}},
		{"all are served, one joins and the last leaves", 5, "+9-4", []string{"0,1,2,3<-b"}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			h := newHub(1)
			l := h.Local(0)
			conns := joinAll(l, 5, "news")
			conns = append(conns, make([]*testConn, 5)...)
			for i := 5; i < 10; i++ {
				conns[i] = &testConn{local: l, id: uint32(i)}
			}
			publish(t, h, "news", "a")
			l.Take()
			l.Next(tc.slice)
			publish(t, h, "news", "b")
			for ; tc.changes != ""; tc.changes = tc.changes[2:] {
				if c := conns[tc.changes[1]-'0']; tc.changes[0] == '+' {
					c.join("news")
				} else {
					c.leave("news")
				}
				checkHub(t, h)
			}
			expect(t, "the rest", drain(l, 10), tc.want...)
		})
	}
}

func TestJoinedPublicationsReachInOneSlice(t *testing.T) {
	h := newHub(1)
	l := h.Local(0)
	joinAll(l, 2, "news")
	var want strings.Builder
	for i := range 300 {
		text := fmt.Sprintf("[message %d]", i)
		want.WriteString(text)
		publish(t, h, "news", text)
	}
	l.Take()
	s, ok := l.Next(10)
	if !ok || string(s.Buffer.Bytes()) != want.String() || s.Buffer.Messages != 300 || len(s.Members) != 2 {
		t.Fatalf("Next = %d members, %d messages, %d bytes; want 2, 300, %d", len(s.Members), s.Buffer.Messages, s.Buffer.Len(), want.Len())
	}
	if _, ok := l.Next(10); ok || l.Pending() {
		t.Fatal("a second slice came")
	}
}

// A single publication is delivered in the publisher's buffer, not in a copy.
func TestSinglePublicationIsNotCopied(t *testing.T) {
	h := newHub(2)
	joinAll(h.Local(0), 1, "news")
	joinAll(h.Local(1), 1, "news")
	b := frameOf("hi")
	b.Messages = 3
	h.publishRaw([]byte("news"), b)
	for loop := range 2 {
		h.Local(loop).Take()
		if s, _ := h.Local(loop).Next(1); s.Buffer != b || s.Buffer.Messages != 3 {
			t.Fatalf("loop %d delivers %q", loop, delivery(s))
		}
		h.Local(loop).Next(1)
	}
	if !b.Sole() {
		t.Fatal("the hub keeps a reference to what is delivered")
	}
	b.Release()
}

// The messages of publications add up, however many each has.
func TestMessagesAddUp(t *testing.T) {
	h := newHub(1)
	joinAll(h.Local(0), 1, "news")
	want := 0
	for n := range 20 {
		b := buffer.New(100)
		b.Append([]byte(strings.Repeat("x", 100)), n)
		want += n
		h.publishRaw([]byte("news"), b)
		b.Release()
	}
	h.Local(0).Take()
	if s, _ := h.Local(0).Next(1); s.Buffer.Messages != want || s.Buffer.Len() != 2000 {
		t.Fatalf("%d messages in %d bytes, want %d in 2000", s.Buffer.Messages, s.Buffer.Len(), want)
	}
}

// A large channel and small ones take turns.
func TestPartsTakeTurns(t *testing.T) {
	h := newHub(1)
	l := h.Local(0)
	joinAll(l, 6, "large")
	joinAll(l, 1, "one")
	joinAll(l, 1, "two")
	for _, name := range []string{"large", "one", "two"} {
		publish(t, h, name, name)
	}
	expect(t, "in slices of 2", drain(l, 2),
		"0,1<-large", "0<-one", "0<-two", "2,3<-large", "4,5<-large")
}

// A publication during a fan-out joins it where the cursor stands, in the same sends.
// A channel with constant publications does not delay others.
func TestPublicationDuringAFanOut(t *testing.T) {
	h := newHub(1)
	l := h.Local(0)
	joinAll(l, 4, "busy")
	joinAll(l, 1, "calm")
	var got []string
	publish(t, h, "busy", "a")
	for i := range 4 {
		if i == 1 {
			publish(t, h, "calm", "!")
		}
		publish(t, h, "busy", fmt.Sprint(i))
		l.Take()
		s, _ := l.Next(3)
		got = append(got, delivery(s))
	}
	expect(t, "while publishing", got, "0,1,2<-a0", "3<-a01", "0<-!", "0,1,2<-123")
	expect(t, "the rest", drain(l, 3), "3<-23")
	if l.Pending() || l.Take() != 0 {
		t.Fatal("something is left")
	}
}

func TestNothingComesFromNothing(t *testing.T) {
	h := newHub(1)
	if _, ok := h.Local(0).Next(10); ok || h.Local(0).Pending() || h.Local(0).Take() != 0 {
		t.Fatal("a fresh hub delivers")
	}
	if n := publish(t, h, "nobody", "hi"); n != 0 || h.Local(0).Take() != 0 {
		t.Fatalf("Publish to nobody = %d", n)
	}
}

// Pending publications are dropped with the last member: the next member to join
// would get them, and then miss what came in between.
func TestPendingGoesWithTheLastMember(t *testing.T) {
	h := newHub(2)
	l := h.Local(0)
	conns := joinAll(l, 2, "news")
	joinAll(h.Local(1), 1, "news") // the channel lives on, on another loop
	publish(t, h, "news", "a")
	conns[0].leave("news")
	conns[1].leave("news")
	publish(t, h, "news", "b")
	conns[1].join("news")
	publish(t, h, "news", "c")
	expect(t, "joined after b", drain(l, 10), "1<-c")
	expect(t, "the other loop", drain(h.Local(1), 10), "0<-abc")
	checkHub(t, h)
}

// A channel that ends during its delivery, and is created again with the same name,
// is another channel.
func TestChannelEndsAndComesAgainInMidDelivery(t *testing.T) {
	h := newHub(1)
	l := h.Local(0)
	conns := joinAll(l, 3, "news")
	b := frameOf("old")
	h.publishRaw([]byte("news"), b)
	l.Take()
	l.Next(1)
	for _, c := range conns {
		c.leaveAll()
	}
	conns[2].join("news")
	publish(t, h, "news", "new")
	expect(t, "after it came again", drain(l, 1), "2<-new")
	if !b.Sole() {
		t.Fatal("the old channel's publication is still referenced")
	}
	b.Release()
}

func TestListsOfPartsGiveTheirMemoryBack(t *testing.T) {
	h := newHub(1)
	l := h.Local(0)
	c := testConn{local: l}
	for i := range 2 * keepParts {
		name := fmt.Sprintf("c%d", i)
		c.join(name)
		publish(t, h, name, "x")
	}
	if got := len(drain(l, 1)); got != 2*keepParts {
		t.Fatalf("%d deliveries, want %d", got, 2*keepParts)
	}
	l.Take()
	if cap(l.due)+cap(l.spare) > 2*keepParts {
		t.Fatalf("kept: %d and %d places", cap(l.due), cap(l.spare))
	}
}

// TestAStampComesOutOnceEveryMemberWasServed: on each loop, even if the publication
// is joined with others and the first of these has no stamp.
func TestAStampComesOutOnceEveryMemberWasServed(t *testing.T) {
	for _, stamps := range [][]int64{{7}, {7, 0}, {0, 7}, {0, 0, 7}, {7, 8}} {
		h := newHub(2)
		joinAll(h.Local(0), 3, "news")
		joinAll(h.Local(1), 1, "news")
		for _, stamp := range stamps {
			b := frameOf("x")
			b.Stamp = stamp
			h.publishRaw([]byte("news"), b)
			b.Release()
		}
		for i, members := range []int{3, 1} {
			l := h.Local(i)
			l.Take()
			for n := range members {
				if _, ok := l.Next(1); !ok || l.Delivered() != 0 {
					t.Fatalf("stamps %v, loop %d: done before member %d", stamps, i, n)
				}
			}
			if _, more := l.Next(1); more {
				t.Fatalf("stamps %v, loop %d: more than %d members", stamps, i, members)
			}
			if got, again := l.Delivered(), l.Delivered(); got != 7 || again != 0 {
				t.Errorf("stamps %v, loop %d: Delivered() = %d, then %d; want 7, then 0", stamps, i, got, again)
			}
		}
		publish(t, h, "news", "y")
		h.Local(0).Take()
		if drain(h.Local(0), 10); h.Local(0).Delivered() != 0 {
			t.Errorf("stamps %v: a publication without one has one", stamps)
		}
	}
}
