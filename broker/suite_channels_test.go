package broker_test

import (
	"fmt"
	"sync"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// A channel that is joined and left in turn ends in the state of the last call.
func TestFlappingChannelsEndAsLastSaid(t *testing.T) {
	t.Parallel()
	withEngine(t, func(t *testing.T, r *rig) {
		n, other := r.up(t, broker.Config{}), r.up(t, broker.Config{})
		for range 1000 {
			n.Subscribe("stays")
			n.Unsubscribe("stays")
			n.Subscribe("goes")
			n.Unsubscribe("goes")
		}
		n.Subscribe("stays")
		if err := n.Awaited("stays"); err != nil {
			t.Fatalf("Await: %v", err)
		}
		brokertest.Until(t, "one subscription is left", func() bool { st := n.Stats(); return st.Subscriptions == 1 && st.Pending == 0 })
		n.Join("after")
		other.MustPublish("goes", "1")
		other.MustPublish("stays", "1")
		other.MustPublish("after", "1")
		n.Expect("after", "1")
		n.Expect("stays", "1")
		n.Expect("goes")
	})
}

// Thousands of channels come and go at once, and each ends in the state of its last call.
func TestManyChannelsComeAndGo(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 2500
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{})
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				for i := range each {
					name := fmt.Sprintf("%d.%d", g, i)
					n.Subscribe(name)
					if i%2 == 0 {
						n.Unsubscribe(name)
					}
				}
			})
		}
		all.Wait()
		const left = goroutines * each / 2
		brokertest.Until(t, "half of them are left and in force", func() bool { st := n.Stats(); return st.Subscriptions == left && st.Pending == 0 })
		for g := range goroutines {
			for i := 1; i < each; i += 500 {
				n.MustPublish(fmt.Sprintf("%d.%d", g, i), "1")
				n.Expect(fmt.Sprintf("%d.%d", g, i), "1")
			}
			for i := range each {
				n.Unsubscribe(fmt.Sprintf("%d.%d", g, i))
			}
		}
		brokertest.Until(t, "nothing is left", func() bool { return n.Stats().Subscriptions == 0 })
	})
}

// While members are behind, publications wait in order and are delivered when there is room. Other
// channels are not delayed.
func TestPublicationsWaitForRoom(t *testing.T) {
	const count = 500
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{})
		n.Join("slow", "other")
		n.Refuse(errBusy)
		var want []string
		for i := range count {
			want = append(want, fmt.Sprint(i))
			n.MustPublish("slow", want[i])
		}
		brokertest.Until(t, "all of it waits", func() bool { return n.Stats().Received == count })
		n.Refuse(nil)
		n.MustPublish("other", "1")
		n.Expect("other", "1")
		n.Expect("slow")
		n.Room("slow")
		n.Expect("slow", want...)
		n.MustPublish("slow", "last")
		n.Expect("slow", append(want, "last")...)
		if st := n.Stats(); st.BacklogBytes != 0 || st.Dropped["channel_busy"] != 0 {
			t.Errorf("after that %d bytes wait, and %v were dropped", st.BacklogBytes, st.Dropped)
		}
	})
}

// Publications that do not fit in the backlog are dropped and counted, the newest first.
func TestFullBacklogDropsAndCounts(t *testing.T) {
	const count = 100
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{BufferSize: 16 << 10})
		n.Join("slow")
		n.Refuse(errBusy)
		for i := range count {
			n.MustPublish("slow", fmt.Sprintf("%0100d", i))
		}
		brokertest.Until(t, "all of it came", func() bool { return n.Stats().Received == count })
		n.Refuse(nil)
		n.Room("slow")
		dropped := int(n.Stats().Dropped["channel_busy"])
		brokertest.Until(t, "the rest is delivered", func() bool { return n.Count() == count-dropped })
		if dropped == 0 || dropped == count {
			t.Fatalf("%d of %d were dropped", dropped, count)
		}
		for i, got := range n.Contents("slow") {
			if got != fmt.Sprintf("%0100d", i) {
				t.Fatalf("publication %d is %q", i, got)
			}
		}
	})
}
