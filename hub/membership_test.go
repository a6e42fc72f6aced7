package hub

import (
	"fmt"
	"strings"
	"testing"
)

func TestJoinTwiceIsOneMembership(t *testing.T) {
	h := newHub(1)
	c := testConn{local: h.Local(0), id: 7}
	if !c.join("news") || c.join("news") {
		t.Fatal("Join of a new channel reports true, of the same again false")
	}
	if n := publish(t, h, "news", "hi"); n != 1 || c.set.Count() != 1 {
		t.Fatalf("Publish = %d, Count = %d, want 1 and 1", n, c.set.Count())
	}
	expect(t, "joined twice", drain(c.local, 10), "7<-hi")
	if !c.leave("news") || c.leave("news") || h.Members([]byte("news")) != 0 {
		t.Fatal("one Leave ends the membership, the second finds none")
	}
}

func TestLeaveOfWhatWasNeverJoinedDoesNothing(t *testing.T) {
	h := newHub(1)
	a, b := testConn{local: h.Local(0), id: 1}, testConn{local: h.Local(0), id: 2}
	if a.leave("news") {
		t.Fatal("Leave of a channel that does not exist reports true")
	}
	b.join("news")
	if a.leave("news") {
		t.Fatal("Leave of another connection's channel reports true")
	}
	a.leaveAll()
	publish(t, h, "news", "hi")
	expect(t, "after the leaves of a stranger", drain(b.local, 10), "2<-hi")
}

// find searches an index for a connection with many memberships, and a list for one
// with few. At every size, growing and shrinking, both give the same result.
func TestIndexAgreesWithList(t *testing.T) {
	for _, name := range []string{"c%d", "a-name-of-more-than-thirty-two-bytes-%d"} {
		const most = 3 * indexFrom
		h := newHub(1)
		c := testConn{local: h.Local(0), id: 1}
		other := testConn{local: h.Local(0), id: 2}
		agree := func(n int) {
			t.Helper()
			checkHub(t, h)
			for i := range most {
				if got := c.in(fmt.Sprintf(name, i)); got != (i < n) {
					t.Fatalf("with %d memberships, Member(%d) = %t", n, i, got)
				}
			}
			if c.set.Count() != n || c.join(fmt.Sprintf(name, 0)) || c.leave(fmt.Sprintf(name, most)) {
				t.Fatalf("Count() = %d, want %d; a second Join or a Leave of nothing did something", c.set.Count(), n)
			}
		}
		for i := range most {
			if !c.join(fmt.Sprintf(name, i)) || i%2 == 0 && !other.join(fmt.Sprintf(name, i)) {
				t.Fatalf("Join number %d reports false", i)
			}
			agree(i + 1)
		}
		for i := most - 1; i > 0; i-- {
			if !c.leave(fmt.Sprintf(name, i)) {
				t.Fatalf("Leave with %d memberships reports false", i+1)
			}
			agree(i)
		}
		if other.set.Count() != most/2 || len(h.locals[0].index) != 1 {
			t.Fatalf("another has %d memberships, want %d; %d have an index", other.set.Count(), most/2, len(h.locals[0].index))
		}
	}
}

// I8, also for a connection with so many memberships that it has an index.
func TestLeaveAllEndsFewAndMany(t *testing.T) {
	for _, n := range []int{0, 1, indexUntil - 1, indexUntil, indexFrom, indexFrom + 1, 500} {
		h := newHub(1)
		c, other := testConn{local: h.Local(0), id: 1}, testConn{local: h.Local(0), id: 2}
		other.join("c0")
		for i := range n {
			c.join(fmt.Sprintf("c%d", i))
		}
		c.leaveAll()
		c.leaveAll()
		if st := h.Stats(); st != (Stats{Channels: 1, Subscriptions: 1}) || c.set != (Memberships{}) {
			t.Fatalf("after LeaveAll of %d: %+v, %+v", n, st, c.set)
		}
		if h.locals[0].index != nil {
			t.Fatalf("after LeaveAll of %d the map of indexes is left", n)
		}
		checkHub(t, h)
	}
}

// When a connection has left everything, its number may go to another, which starts
// without memberships.
func TestNumberUsedAgainHasNoMemberships(t *testing.T) {
	h := newHub(1)
	first := testConn{local: h.Local(0), id: 3}
	for i := range 2 * indexFrom {
		first.join(fmt.Sprintf("c%d", i))
	}
	first.leaveAll()
	second := testConn{local: h.Local(0), id: 3}
	for i := range 2 * indexFrom {
		if name := fmt.Sprintf("c%d", i); second.in(name) || !second.join(name) {
			t.Fatalf("the second connection is a member of %s before it joins", name)
		}
	}
}

// The name given to Join is borrowed: the hub keeps a copy.
func TestNameIsBorrowed(t *testing.T) {
	h := newHub(1)
	l := h.Local(0)
	var set Memberships
	name := []byte(strings.Repeat("n", 40))
	kept := string(name)
	l.Join(1, &set, name)
	for i := range name {
		name[i] = 'x'
	}
	if h.Members([]byte(kept)) != 1 || !l.Member(1, &set, []byte(kept)) {
		t.Fatal("the channel's name changed with the caller's bytes")
	}
}

func TestConfigOutsideItsBoundsIsBroughtIn(t *testing.T) {
	for _, tc := range []struct{ loops, shards, wantLoops, wantShards int }{
		{0, 0, 1, 64}, {1, 1, 1, 1}, {2, 0, 2, 128}, {2, 3, 2, 4}, {2, 256, 2, 256}, {3, 0, 3, 256}, {maxLoops + 1, 1, maxLoops, 1},
	} {
		h := New(Config{Loops: tc.loops, Shards: tc.shards, Sink: quiet{}, Watcher: quiet{}})
		if len(h.locals) != tc.wantLoops || h.Shards() != tc.wantShards {
			t.Errorf("New(%d loops, %d shards): %d and %d, want %d and %d",
				tc.loops, tc.shards, len(h.locals), h.Shards(), tc.wantLoops, tc.wantShards)
		}
	}
}

func TestEveryLoopUpToTheLastIsWoken(t *testing.T) {
	wakes := &wakeLog{wakes: make([]int, maxLoops)}
	h := New(Config{Loops: maxLoops, Sink: wakes, Watcher: quiet{}})
	for loop := range maxLoops {
		joinAll(h.Local(loop), 1, "news")
	}
	publish(t, h, "news", "a")
	publish(t, h, "news", "b")
	for loop, n := range wakes.wakes {
		if n != 1 {
			t.Fatalf("loop %d was woken %d times by two publications, want 1", loop, n)
		}
		expect(t, "delivered", drain(h.Local(loop), 1), "0<-ab")
	}
}
