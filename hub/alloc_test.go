package hub

import (
	"fmt"
	"strings"
	"testing"

	"wsify/internal/invariants"
)

// expectNoAllocs fails t when f allocates after a warm-up.
func expectNoAllocs(t *testing.T, what string, f func()) {
	t.Helper()
	if raceEnabled || invariants.Enabled {
		t.Skip("the race detector and the assertions allocate")
	}
	for range 100 {
		f()
	}
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%s: %v allocations, want none", what, n)
	}
}

var longName = strings.Repeat("a-name-longer-than-32-bytes", 3)

func TestDeliveryDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"news", longName} {
		for _, members := range []int{1, 1000} {
			h := newHub(2)
			joinAll(h.Local(0), members, name)
			joinAll(h.Local(1), members, name)
			channel, b := []byte(name), frameOf("hello")
			for _, publications := range []int{1, 5, 200} {
				expectNoAllocs(t, fmt.Sprintf("%d publications to %d members", publications, members), func() {
					for range publications {
						h.publishRaw(channel, b)
					}
					if n := deliverAll(h.Local(0), 256) + deliverAll(h.Local(1), 256); n != 2*members {
						t.Fatalf("%d deliveries, want %d", n, 2*members)
					}
				})
			}
		}
	}
}

// A series of publications up to the bound is joined in pooled buffers only.
func TestJoiningUpToTheBoundDoesNotAllocate(t *testing.T) {
	h := newHub(1)
	joinAll(h.Local(0), 1, "news")
	b := frameOf(strings.Repeat("x", 100<<10))
	expectNoAllocs(t, "publications of 100 KiB up to the bound", func() {
		for !h.Busy([]byte("news"), b.Len()) {
			h.publishRaw([]byte("news"), b)
		}
		deliverAll(h.Local(0), 1)
	})
}

func TestPublishToNobodyDoesNotAllocate(t *testing.T) {
	h := newHub(1)
	name, b := []byte(longName), frameOf("hello")
	expectNoAllocs(t, "Publish to a channel without members", func() {
		if n := h.publishRaw(name, b); n != 0 || h.Busy(name, b.Len()) {
			t.Fatalf("Publish = %d", n)
		}
	})
}

// Join and Leave of a channel with other members do not allocate, for a connection
// with few memberships, with many, and at the edge between both. The first member
// creates the channel, which allocates the channel and its name.
func TestJoinAndLeaveDoNotAllocate(t *testing.T) {
	for _, before := range []int{0, 5, indexUntil - 1, indexUntil, indexFrom - 1, indexFrom, 100} {
		h := newHub(1)
		joinAll(h.Local(0), 10, longName)
		c := testConn{local: h.Local(0), id: 10}
		for i := range before {
			c.join(fmt.Sprintf("%s-%d", longName, i))
		}
		name := []byte(longName)
		expectNoAllocs(t, fmt.Sprintf("Join and Leave beside %d memberships", before), func() {
			if !c.local.Join(c.id, &c.set, name) || !c.local.Leave(c.id, &c.set, name) {
				t.Fatal("Join or Leave reports false")
			}
		})
		expectNoAllocs(t, fmt.Sprintf("Join beside %d memberships, of which it is one", before), func() {
			c.local.Join(c.id, &c.set, name)
		})
	}
}

func TestFirstJoinAllocatesTheChannelAndItsName(t *testing.T) {
	if raceEnabled || invariants.Enabled {
		t.Skip("the race detector and the assertions allocate")
	}
	h := newHub(1)
	c := testConn{local: h.Local(0)}
	name := []byte(longName)
	n := testing.AllocsPerRun(1000, func() {
		c.local.Join(c.id, &c.set, name)
		c.local.Leave(c.id, &c.set, name)
	})
	if n > 2 {
		t.Errorf("the first Join of a channel: %v allocations, want 2", n)
	}
}
