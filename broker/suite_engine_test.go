package broker_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// While the engine is unreachable, publishers and joins get an error. When it is reachable again,
// everything resumes by itself.
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
			n.Expect("before", heard...) // before stop, because the engine loses what it has not sent
		}
		n.Expect("left")
		if st := n.Stats(); st.Connects != 4 {
			t.Errorf("%d links were opened, want 4", st.Connects)
		}
	})
}

// A node that starts before its engine retries until the engine is reachable.
func TestEngineComesAfterTheNode(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		r.stop()
		n := brokertest.Start(t, r.open, broker.Config{})
		n.Subscribe("c")
		brokertest.Until(t, "it was tried twice", func() bool { return n.Stats().FailedConnects >= 2 })
		if n.Up() {
			t.Fatal("the broker is up while the engine is unreachable")
		}
		if err := n.Awaited("c"); err != broker.ErrDown {
			t.Errorf("Await answers %v, want %v", err, broker.ErrDown)
		}
		if r.addr != "" {
			brokertest.Says(t, n.Logged(), r.addr, "connection refused")
		}
		r.start()
		n.WaitUp()
		n.MustPublish("c", "1")
		n.Expect("c", "1")
	})
}

// The engine ends and starts again while two nodes publish. Every publication has one outcome. None
// is delivered twice, out of order, or after a refusal. Publications made while both nodes are up
// reach both. Both miss only those that the engine had taken and not sent when it ended.
func TestEngineEndsUnderLoad(t *testing.T) {
	t.Parallel()
	const rounds = 3
	withEngine(t, func(t *testing.T, r *rig) {
		nodes := []*brokertest.Node{r.up(t, broker.Config{}), r.up(t, broker.Config{})}
		var loads []*brokertest.Load
		for i, n := range nodes {
			n.Join("c")
			for k := range 1000 { // more channels, which have to be subscribed to again
				n.Subscribe(fmt.Sprint(k))
			}
			loads = append(loads, n.Load("c", fmt.Sprint(i)))
		}
		for range rounds {
			seen := nodes[0].Count() + 500
			brokertest.Until(t, "publications come", func() bool { return nodes[0].Count() > seen && nodes[1].Count() > seen })
			r.stop()
			for _, n := range nodes {
				brokertest.Until(t, "the node has noticed", func() bool { return !n.Up() })
			}
			r.start()
			for _, n := range nodes {
				n.WaitUp()
			}
		}
		outcomes, own := map[string]error{}, make([]map[string]error, len(nodes))
		for i, l := range loads {
			own[i] = l.End()
			maps.Copy(outcomes, own[i])
		}
		for i, n := range nodes {
			end := fmt.Sprint("end ", i)
			n.MustPublish("c", end)
			n.MustPublish(fmt.Sprint("99", i), end)
			for _, other := range nodes {
				brokertest.Until(t, "the end came", func() bool { return slices.Contains(other.Contents("c"), end) })
				other.Expect(fmt.Sprint("99", i), end)
			}
		}
		for i, n := range nodes {
			brokertest.CheckHeard(t, n.Contents("c"), outcomes)
			missing := brokertest.CheckHeard(t, n.Contents("c"), own[i])
			t.Logf("node %d missed %d of its own that the engine had taken", i, missing)
			if most := rounds * broker.MaxPublications; missing > most {
				t.Errorf("node %d missed %d, want %d at most", i, missing, most)
			}
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(outcomes)), func(err error) bool { return errors.Is(err, broker.ErrDown) }) {
			t.Error("nothing was refused: the load did not meet an end of the engine")
		}
	})
}

// After Close nothing is delivered, every publication has its outcome, and no more are taken.
func TestCloseEndsEverything(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{})
		n.Join("c")
		var outcomes atomic.Int64
		pendingCount := int64(0)
		for range 1000 {
			if pending, _, _ := n.Publish([]byte("c"), []byte("1"), func(broker.Receipt, error) { outcomes.Add(1) }); pending {
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
		if _, _, err := n.Publish([]byte("c"), []byte("2"), nil); err == nil {
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
