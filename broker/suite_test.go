package broker_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// The suite is what every broker promises. It runs with each of rigs.

func TestEachNodeHearsAPublicationOnce(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		nodes := []*brokertest.Node{r.up(t, broker.Config{})}
		if r.stop != nil {
			nodes = append(nodes, r.up(t, broker.Config{}), r.up(t, broker.Config{}))
		}
		for _, n := range nodes {
			n.Join("news")
		}
		for i, n := range nodes {
			n.MustPublish("news", fmt.Sprint(i))
		}
		want := make([]string, len(nodes))
		for i := range want {
			want[i] = fmt.Sprint(i)
		}
		for _, n := range nodes {
			n.Expect("news", want...)
		}
	})
}

// What is published after Await has told that a subscription is in force is heard.
func TestNothingIsMissedAfterAwait(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{})
		other := n
		if r.stop != nil {
			other = r.up(t, broker.Config{})
		}
		for i := range 200 {
			channel := fmt.Sprintf("channel %d", i)
			n.Join(channel)
			other.MustPublish(channel, "1")
		}
		for i := range 200 {
			n.Expect(fmt.Sprintf("channel %d", i), "1")
		}
	})
}

// Publishers on two nodes publish to one channel: each publisher's order is kept on
// both nodes, and where the engine has one order for all, both hear that one.
func TestEveryNodeHearsOneOrder(t *testing.T) {
	const publishers, each = 4, 1000
	forEach(t, func(t *testing.T, r *rig) {
		nodes := []*brokertest.Node{r.up(t, broker.Config{})}
		if r.stop != nil {
			nodes = append(nodes, r.up(t, broker.Config{}))
		}
		for _, n := range nodes {
			n.Join("c")
		}
		var publishing sync.WaitGroup
		for p := range publishers {
			publishing.Go(func() { publishNumbers(nodes[p%len(nodes)], "c", p, each) })
		}
		publishing.Wait()
		for _, n := range nodes {
			brokertest.Until(t, "everything came", func() bool { return n.Count() == publishers*each })
			checkOrder(t, n.Contents("c"), publishers)
		}
		first := nodes[0].Contents("c")
		for _, n := range nodes[1:] {
			for i, got := range n.Contents("c") {
				if r.oneOrder && got != first[i] {
					t.Fatalf("publication %d is %q on one node and %q on another", i, first[i], got)
				}
			}
		}
	})
}

// publishNumbers publishes so many numbers without waiting for one to be taken, and
// waits for all in the end. It may be called from any goroutine.
func publishNumbers(n *brokertest.Node, channel string, publisher, count int) {
	var pending sync.WaitGroup
	for i := range count {
		pending.Add(1)
		later, err := n.Publish([]byte(channel), fmt.Appendf(nil, "%d:%d", publisher, i), func(err error) {
			if err != nil {
				n.T.Errorf("publication: %v", err)
			}
			pending.Done()
		})
		if err != nil {
			n.T.Errorf("Publish: %v", err)
		}
		if !later {
			pending.Done()
		}
	}
	pending.Wait()
}

// checkOrder fails the test when a publisher's numbers are not in their order.
func checkOrder(t *testing.T, got []string, publishers int) {
	t.Helper()
	next := make([]int, publishers)
	for i, content := range got {
		var p, k int
		if _, err := fmt.Sscanf(content, "%d:%d", &p, &k); err != nil || k != next[p] {
			t.Fatalf("publication %d is %q, want number %d of that publisher", i, content, next[p])
		}
		next[p]++
	}
}

// Names and contents are bytes that nobody interprets.
func TestAnyNameAndContentGoesThrough(t *testing.T) {
	names := []string{"a", "chat.room.1", "user:42", "with blank", "*", ">", "a.*", "a.>", ".a", "a.", "a..b", "$SYS.x", "_INBOX.x", "%20", "ä/ö\tü", "日本", "\x00\x01\r\n", strings.Repeat("long", 63)}
	contents := []string{`"hi"`, `null`, `{"a":[1,2.50,"ü"]}`, strings.Repeat("x", 60<<10)}
	for _, prefix := range []string{"", "shop.1:"} {
		forEach(t, func(t *testing.T, r *rig) {
			n := r.up(t, broker.Config{Prefix: prefix})
			n.Join(names...)
			for _, name := range names {
				for _, c := range contents {
					n.MustPublish(name, c)
				}
			}
			for _, name := range names {
				n.Expect(name, contents...)
			}
		})
	}
}

// Nodes with different prefixes do not hear each other.
func TestPrefixesKeepServicesApart(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		a, b, none := r.up(t, broker.Config{Prefix: "a:"}), r.up(t, broker.Config{Prefix: "b:"}), r.up(t, broker.Config{})
		a.Join("c")
		b.Join("c")
		none.Join("c", "a:c")
		a.MustPublish("c", "1")
		b.MustPublish("c", "2")
		none.MustPublish("c", "3")
		a.Expect("c", "1")
		b.Expect("c", "2")
		none.Expect("c", "3")
		none.Expect("a:c", "1")
	})
}

// A channel that is joined and left in turn ends as the last of these said.
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

// Thousands of channels come and go at once, and the last word of each holds.
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

// What another client of the engine publishes reaches the members.
func TestAnyClientOfTheEngineMayPublish(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{MaxContent: 100})
		n.Join("hello")
		r.publish(t, "hello", `"hi"`)
		r.publish(t, "hello", strings.Repeat("x", 101))
		r.publish(t, "hello", "\xff")
		r.publish(t, "hello", `"again"`)
		n.Expect("hello", `"hi"`, `"again"`)
		if d := n.Stats().Dropped; d["too_big"] != 1 || d["not_utf8"] != 1 {
			t.Errorf("dropped %v, want one too_big and one not_utf8", d)
		}
	})
}

// While members are behind, what comes waits in order and is delivered when there
// is room; other channels are not held up.
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
		if st := n.Stats(); st.BacklogBytes != 0 || st.BacklogChannels != 0 || st.Dropped["channel_busy"] != 0 {
			t.Errorf("after that %d bytes of %d channels wait, and %v were dropped", st.BacklogBytes, st.BacklogChannels, st.Dropped)
		}
	})
}

// What a backlog has no place for is dropped and counted, the newest first.
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

// While the engine is away who publishes or joins is told, and when it is back
// everything goes on by itself.
func TestEngineGoesAndComesBack(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		n, other := r.up(t, broker.Config{}), r.up(t, broker.Config{})
		n.Join("before", "left")
		var heard []string
		for round := range 3 {
			r.stop()
			for _, m := range []*brokertest.Node{n, other} {
				brokertest.Until(t, "the node has noticed", func() bool { return !m.Up() })
			}
			if err := n.Published("before", "lost"); err != broker.ErrDown {
				t.Fatalf("Publish answers %v, want %v", err, broker.ErrDown)
			}
			during := fmt.Sprintf("during %d", round)
			n.Subscribe(during)
			if err := n.Awaited(during); err != broker.ErrDown {
				t.Fatalf("Await answers %v, want %v", err, broker.ErrDown)
			}
			if round == 0 {
				n.Unsubscribe("left")
			}
			r.start()
			n.WaitUp()
			other.WaitUp()
			other.MustPublish("left", "x")
			other.MustPublish(during, "1")
			other.MustPublish("before", fmt.Sprint(round))
			n.Expect(during, "1")
			heard = append(heard, fmt.Sprint(round))
			n.Expect("before", heard...) // before the engine is ended: what it has not sent by then is lost
		}
		n.Expect("left")
		if st := n.Stats(); st.Connects != 4 {
			t.Errorf("%d links were opened, want 4", st.Connects)
		}
	})
}

// An engine that is away at start is tried until it is there.
func TestEngineComesAfterTheNode(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		r.stop()
		n := brokertest.Start(t, r.open, broker.Config{})
		n.Subscribe("c")
		brokertest.Until(t, "it was tried twice", func() bool { return n.Stats().FailedConnects >= 2 })
		if n.Up() {
			t.Fatal("the broker is up without an engine")
		}
		r.start()
		n.WaitUp()
		n.MustPublish("c", "1")
		n.Expect("c", "1")
	})
}

// The engine is ended and started again while two nodes publish: every publication
// has one outcome, none is delivered twice, and what is published once both are up
// again is delivered to both.
func TestEngineEndsUnderLoad(t *testing.T) {
	t.Parallel()
	withEngine(t, func(t *testing.T, r *rig) {
		nodes := []*brokertest.Node{r.up(t, broker.Config{}), r.up(t, broker.Config{})}
		for _, n := range nodes {
			n.Join("c")
		}
		var publishers, pending sync.WaitGroup
		var outcomes, calls atomic.Int64
		var stop atomic.Bool
		var mu sync.Mutex
		taken := map[string]bool{}
		for i, n := range nodes {
			publishers.Go(func() {
				for k := 0; !stop.Load(); k++ {
					content := fmt.Sprintf("%d:%d", i, k)
					calls.Add(1)
					pending.Add(1)
					note := func(err error) {
						outcomes.Add(1)
						if err == nil {
							mu.Lock()
							taken[content] = true
							mu.Unlock()
						}
						pending.Done()
					}
					if later, err := n.Publish([]byte("c"), []byte(content), note); !later {
						note(err)
						brokertest.Until(t, "the broker takes more", func() bool { return n.Up() || stop.Load() })
					}
				}
			})
		}
		for range 3 {
			seen := nodes[0].Count() + 500
			brokertest.Until(t, "publications come", func() bool { return nodes[0].Count() > seen && nodes[1].Count() > seen })
			r.stop()
			for _, n := range nodes {
				brokertest.Until(t, "the node has noticed", func() bool { return !n.Up() })
			}
			r.start()
		}
		for _, n := range nodes {
			n.WaitUp()
		}
		stop.Store(true)
		publishers.Wait()
		pending.Wait()
		if outcomes.Load() != calls.Load() {
			t.Errorf("%d outcomes of %d publications", outcomes.Load(), calls.Load())
		}
		for i, n := range nodes {
			end := fmt.Sprint("end ", i)
			n.MustPublish("c", end)
			for _, other := range nodes {
				brokertest.Until(t, "the end came", func() bool {
					got := other.Contents("c")
					return len(got) > 0 && got[len(got)-1] == end
				})
			}
		}
		for i, n := range nodes {
			heard := map[string]bool{}
			for _, c := range n.Contents("c") {
				if heard[c] {
					t.Errorf("node %d heard %s twice", i, c)
				}
				heard[c] = true
			}
			missed := 0
			for c := range taken {
				if strings.HasPrefix(c, fmt.Sprint(i)+":") && !heard[c] {
					missed++
				}
			}
			t.Logf("node %d heard %d, and missed %d of its own that the engine had taken", i, len(heard), missed)
		}
	})
}

// Nothing is delivered after Close, every publication has its outcome, and nothing
// more is taken.
func TestCloseEndsEverything(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{})
		n.Join("c")
		var outcomes atomic.Int64
		pendingCount := int64(0)
		for range 1000 {
			if pending, _ := n.Publish([]byte("c"), []byte("1"), func(error) { outcomes.Add(1) }); pending {
				pendingCount++
			}
		}
		if err := n.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if outcomes.Load() != pendingCount {
			t.Errorf("%d outcomes of %d pending publications after Close", outcomes.Load(), pendingCount)
		}
		delivered := n.Count()
		if _, err := n.Publish([]byte("c"), []byte("2"), nil); err == nil {
			t.Error("a closed broker takes a publication")
		}
		if r.publish != nil {
			r.publish(t, "c", "3")
		}
		if err := n.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if n.Count() != delivered {
			t.Errorf("%d were delivered after Close", n.Count()-delivered)
		}
	})
}
