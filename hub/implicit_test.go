package hub

import (
	"fmt"
	"slices"
	"testing"
)

const ann = ImplicitPrefix + "user/ann"

// A member of an implicit channel gets what is published to it, and nobody sees the channel.
func TestAnImplicitChannelIsNoChannelToThoseWhoLook(t *testing.T) {
	h := newHub(1)
	c, other := testConn{local: h.Local(0), id: 1}, testConn{local: h.Local(0), id: 2}
	other.join("news")
	if got := c.local.Implicit(&c.set); got != "" {
		t.Errorf("Implicit = %q before the join", got)
	}
	c.join(ann)
	c.join("news")
	if got := c.local.Implicit(&c.set); got != ann {
		t.Errorf("Implicit = %q, want %q", got, ann)
	}
	if got := other.local.Implicit(&other.set); got != "" {
		t.Errorf("Implicit = %q for a connection without one", got)
	}
	if c.set.Count() != 1 || !slices.Equal(c.local.Names(&c.set, 10), []string{"news"}) {
		t.Errorf("Count = %d, Names = %q, want news alone", c.set.Count(), c.local.Names(&c.set, 10))
	}
	if got, want := h.Stats(), (Stats{Channels: 1, Subscriptions: 2}); got != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
	h.Each(func(name string, members int) bool {
		if name != "news" || members != 2 {
			t.Errorf("Each names %q with %d members, want news with 2", name, members)
		}
		return true
	})
	publish(t, h, ann, "hi")
	expect(t, "to the user", drain(c.local, 10), "1<-hi")
	c.leaveAll()
	other.leaveAll()
	if got := h.Stats(); got != (Stats{}) || h.Count(ann) != 0 {
		t.Errorf("Stats = %+v, %d members of the implicit channel after the end, want none", got, h.Count(ann))
	}
}

// The implicit channel is found at once and stays what it is, however many channels are joined and
// left: with a list and with an index, joined first or last.
func TestAnImplicitChannelStaysAmongMany(t *testing.T) {
	for _, first := range []bool{true, false} {
		h := newHub(1)
		c := testConn{local: h.Local(0), id: 1}
		if first {
			c.join(ann)
		}
		for i := range 2 * indexFrom {
			c.join(fmt.Sprint(i))
		}
		if !first {
			c.join(ann)
		}
		for i := range 2 * indexFrom {
			checkHub(t, h)
			if c.local.Implicit(&c.set) != ann || !c.in(ann) || c.join(ann) || c.set.Count() != 2*indexFrom-i {
				t.Fatalf("joined first: %t, after %d leaves: Implicit = %q, member %t, Count = %d", first, i, c.local.Implicit(&c.set), c.in(ann), c.set.Count())
			}
			c.leave(fmt.Sprint(i))
		}
		if !c.leave(ann) || c.local.Implicit(&c.set) != "" || c.in(ann) || c.local.implicit != 0 {
			t.Errorf("joined first: %t: the implicit channel cannot be left", first)
		}
	}
}
