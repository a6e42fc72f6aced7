package broker

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The suite is what every broker promises. It runs with each of rigs.

func TestEachNodeHearsAPublicationOnce(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		nodes := []*member{r.join(t, Config{})}
		if r.stop != nil {
			nodes = append(nodes, r.join(t, Config{}), r.join(t, Config{}))
		}
		for _, n := range nodes {
			n.subscribe("news")
		}
		for i, n := range nodes {
			n.mustPublish("news", fmt.Sprint(i))
		}
		want := make([]string, len(nodes))
		for i := range want {
			want[i] = fmt.Sprint(i)
		}
		for _, n := range nodes {
			n.expect("news", want...)
		}
	})
}

// What is published after Await has told that a subscription is in force is heard.
func TestNothingIsMissedAfterAwait(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		n := r.join(t, Config{})
		other := n
		if r.stop != nil {
			other = r.join(t, Config{})
		}
		for i := range 200 {
			channel := fmt.Sprintf("channel %d", i)
			n.subscribe(channel)
			other.mustPublish(channel, "1")
		}
		for i := range 200 {
			n.expect(fmt.Sprintf("channel %d", i), "1")
		}
	})
}

// Publishers on two nodes publish to one channel: each publisher's order is kept on
// both nodes, and where the engine has one order for all, both hear that one.
func TestEveryNodeHearsOneOrder(t *testing.T) {
	const publishers, each = 4, 1000
	forEach(t, func(t *testing.T, r *rig) {
		nodes := []*member{r.join(t, Config{})}
		if r.stop != nil {
			nodes = append(nodes, r.join(t, Config{}))
		}
		for _, n := range nodes {
			n.subscribe("c")
		}
		var publishing sync.WaitGroup
		for p := range publishers {
			publishing.Go(func() { nodes[p%len(nodes)].publishNumbers("c", p, each) })
		}
		publishing.Wait()
		for _, n := range nodes {
			waitFor(t, "everything came", func() bool { return n.count() == publishers*each })
			checkOrder(t, n.contents("c"), publishers)
		}
		first := nodes[0].contents("c")
		for _, n := range nodes[1:] {
			for i, got := range n.contents("c") {
				if r.oneOrder && got != first[i] {
					t.Fatalf("publication %d is %q on one node and %q on another", i, first[i], got)
				}
			}
		}
	})
}

// publishNumbers publishes so many numbers without waiting for one to be taken, and
// waits for all in the end. It may be called from any goroutine.
func (m *member) publishNumbers(channel string, publisher, count int) {
	var pending sync.WaitGroup
	for i := range count {
		pending.Add(1)
		later, err := m.Publish([]byte(channel), fmt.Appendf(nil, "%d:%d", publisher, i), func(err error) {
			if err != nil {
				m.t.Errorf("publication: %v", err)
			}
			pending.Done()
		})
		if err != nil {
			m.t.Errorf("Publish: %v", err)
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
			n := r.join(t, Config{Prefix: prefix})
			n.subscribe(names...)
			for _, name := range names {
				for _, c := range contents {
					n.mustPublish(name, c)
				}
			}
			for _, name := range names {
				n.expect(name, contents...)
			}
		})
	}
}

// Nodes with different prefixes do not hear each other.
func TestPrefixesKeepServicesApart(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		a, b, none := r.join(t, Config{Prefix: "a:"}), r.join(t, Config{Prefix: "b:"}), r.join(t, Config{})
		a.subscribe("c")
		b.subscribe("c")
		none.subscribe("c", "a:c")
		a.mustPublish("c", "1")
		b.mustPublish("c", "2")
		none.mustPublish("c", "3")
		a.expect("c", "1")
		b.expect("c", "2")
		none.expect("c", "3")
		none.expect("a:c", "1")
	})
}

// A channel that is joined and left in turn ends as the last of these said.
func TestFlappingChannelsEndAsLastSaid(t *testing.T) {
	t.Parallel()
	withEngine(t, func(t *testing.T, r *rig) {
		n, other := r.join(t, Config{}), r.join(t, Config{})
		for range 1000 {
			n.Subscribe("stays")
			n.Unsubscribe("stays")
			n.Subscribe("goes")
			n.Unsubscribe("goes")
		}
		n.Subscribe("stays")
		if err := n.await("stays"); err != nil {
			t.Fatalf("Await: %v", err)
		}
		waitFor(t, "one subscription is left", func() bool { st := statsOf(n); return st.Subscriptions == 1 && st.Pending == 0 })
		n.subscribe("after")
		other.mustPublish("goes", "1")
		other.mustPublish("stays", "1")
		other.mustPublish("after", "1")
		n.expect("after", "1")
		n.expect("stays", "1")
		n.expect("goes")
	})
}

// Thousands of channels come and go at once, and the last word of each holds.
func TestManyChannelsComeAndGo(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 2500
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.join(t, Config{})
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
		waitFor(t, "half of them are left and in force", func() bool { st := statsOf(n); return st.Subscriptions == left && st.Pending == 0 })
		for g := range goroutines {
			for i := 1; i < each; i += 500 {
				n.mustPublish(fmt.Sprintf("%d.%d", g, i), "1")
				n.expect(fmt.Sprintf("%d.%d", g, i), "1")
			}
			for i := range each {
				n.Unsubscribe(fmt.Sprintf("%d.%d", g, i))
			}
		}
		waitFor(t, "nothing is left", func() bool { return statsOf(n).Subscriptions == 0 })
	})
}

func statsOf(m *member) Stats { return m.anyBroker.(interface{ Stats() Stats }).Stats() }

// What another client of the engine publishes reaches the members.
func TestAnyClientOfTheEngineMayPublish(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.join(t, Config{MaxContent: 100})
		n.subscribe("hello")
		r.publish(t, "hello", `"hi"`)
		r.publish(t, "hello", strings.Repeat("x", 101))
		r.publish(t, "hello", "\xff")
		r.publish(t, "hello", `"again"`)
		n.expect("hello", `"hi"`, `"again"`)
		if d := statsOf(n).Dropped; d["too_big"] != 1 || d["not_utf8"] != 1 {
			t.Errorf("dropped %v, want one too_big and one not_utf8", d)
		}
	})
}

// While members are behind, what comes waits in order and is delivered when there
// is room; other channels are not held up.
func TestPublicationsWaitForRoom(t *testing.T) {
	const count = 500
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.join(t, Config{})
		n.subscribe("slow", "other")
		n.refuse(errBusy)
		var want []string
		for i := range count {
			want = append(want, fmt.Sprint(i))
			n.mustPublish("slow", want[i])
		}
		waitFor(t, "all of it waits", func() bool { return statsOf(n).Received == count })
		n.refuse(nil)
		n.mustPublish("other", "1")
		n.expect("other", "1")
		n.expect("slow")
		n.Room("slow")
		n.expect("slow", want...)
		n.mustPublish("slow", "last")
		n.expect("slow", append(want, "last")...)
		if st := statsOf(n); st.BacklogBytes != 0 || st.BacklogChannels != 0 || st.Dropped["channel_busy"] != 0 {
			t.Errorf("after that %d bytes of %d channels wait, and %v were dropped", st.BacklogBytes, st.BacklogChannels, st.Dropped)
		}
	})
}

// What a backlog has no place for is dropped and counted, the newest first.
func TestFullBacklogDropsAndCounts(t *testing.T) {
	const count = 100
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.join(t, Config{BufferSize: 16 << 10})
		n.subscribe("slow")
		n.refuse(errBusy)
		for i := range count {
			n.mustPublish("slow", fmt.Sprintf("%0100d", i))
		}
		waitFor(t, "all of it came", func() bool { return statsOf(n).Received == count })
		n.refuse(nil)
		n.Room("slow")
		dropped := int(statsOf(n).Dropped["channel_busy"])
		waitFor(t, "the rest is delivered", func() bool { return n.count() == count-dropped })
		if dropped == 0 || dropped == count {
			t.Fatalf("%d of %d were dropped", dropped, count)
		}
		for i, got := range n.contents("slow") {
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
		n, other := r.join(t, Config{}), r.join(t, Config{})
		n.subscribe("before", "left")
		var heard []string
		for round := range 3 {
			r.stop(t)
			for _, m := range []*member{n, other} {
				waitFor(t, "the node has noticed", func() bool { return !m.Up() })
			}
			if err := n.publish("before", "lost"); err != ErrDown {
				t.Fatalf("Publish answers %v, want %v", err, ErrDown)
			}
			during := fmt.Sprintf("during %d", round)
			n.Subscribe(during)
			if err := n.await(during); err != ErrDown {
				t.Fatalf("Await answers %v, want %v", err, ErrDown)
			}
			if round == 0 {
				n.Unsubscribe("left")
			}
			r.start(t)
			n.waitUp()
			other.waitUp()
			other.mustPublish("left", "x")
			other.mustPublish(during, "1")
			other.mustPublish("before", fmt.Sprint(round))
			n.expect(during, "1")
			heard = append(heard, fmt.Sprint(round))
			n.expect("before", heard...) // before the engine is ended: what it has not sent by then is lost
		}
		n.expect("left")
		if st := statsOf(n); st.Connects != 4 {
			t.Errorf("%d links were opened, want 4", st.Connects)
		}
	})
}

// An engine that is away at start is tried until it is there.
func TestEngineComesAfterTheNode(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		r.stop(t)
		n := r.begin(t, Config{})
		n.Subscribe("c")
		waitFor(t, "it was tried twice", func() bool { return statsOf(n).FailedConnects >= 2 })
		if n.Up() {
			t.Fatal("the broker is up without an engine")
		}
		r.start(t)
		n.waitUp()
		n.mustPublish("c", "1")
		n.expect("c", "1")
	})
}

// The engine is ended and started again while two nodes publish: every publication
// has one outcome, none is delivered twice, and what is published once both are up
// again is delivered to both.
func TestEngineEndsUnderLoad(t *testing.T) {
	t.Parallel()
	withEngine(t, func(t *testing.T, r *rig) {
		nodes := []*member{r.join(t, Config{}), r.join(t, Config{})}
		for _, n := range nodes {
			n.subscribe("c")
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
						waitFor(t, "the broker takes more", func() bool { return n.Up() || stop.Load() })
					}
				}
			})
		}
		for range 3 {
			seen := nodes[0].count() + 500
			waitFor(t, "publications come", func() bool { return nodes[0].count() > seen && nodes[1].count() > seen })
			r.stop(t)
			for _, n := range nodes {
				waitFor(t, "the node has noticed", func() bool { return !n.Up() })
			}
			r.start(t)
		}
		for _, n := range nodes {
			n.waitUp()
		}
		stop.Store(true)
		publishers.Wait()
		pending.Wait()
		if outcomes.Load() != calls.Load() {
			t.Errorf("%d outcomes of %d publications", outcomes.Load(), calls.Load())
		}
		for i, n := range nodes {
			end := fmt.Sprint("end ", i)
			n.mustPublish("c", end)
			for _, other := range nodes {
				waitFor(t, "the end came", func() bool {
					got := other.contents("c")
					return len(got) > 0 && got[len(got)-1] == end
				})
			}
		}
		for i, n := range nodes {
			heard := map[string]bool{}
			for _, c := range n.contents("c") {
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
		n := r.join(t, Config{})
		n.subscribe("c")
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
		delivered := n.count()
		if _, err := n.Publish([]byte("c"), []byte("2"), nil); err == nil {
			t.Error("a closed broker takes a publication")
		}
		if r.publish != nil {
			r.publish(t, "c", "3")
		}
		if err := n.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		if n.count() != delivered {
			t.Errorf("%d were delivered after Close", n.count()-delivered)
		}
	})
}
