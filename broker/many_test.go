package broker_test

import (
	"fmt"
	"sync"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// A thousand nodes join and leave, lose the engine at the same moment, and reconnect: each is
// subscribed to the channels of its members, and receives each publication once.
func TestThousandNodes(t *testing.T) {
	nodes, channels := 1000, 20
	if testing.Short() || raceEnabled {
		nodes = 100
	}
	withEngine(t, func(t *testing.T, r *rig) {
		all := make([]*brokertest.Node, nodes)
		for i := range all {
			all[i] = brokertest.Start(t, r.open, broker.Config{})
		}
		each := func(do func(i int, n *brokertest.Node)) {
			var busy sync.WaitGroup
			for i, n := range all {
				busy.Go(func() { do(i, n) })
			}
			busy.Wait()
		}
		each(func(i int, n *brokertest.Node) {
			n.Subscribe("all")
			for c := range channels {
				n.Subscribe(fmt.Sprintf("%d.%d", i, c))
			}
			for c := range channels / 2 {
				n.Unsubscribe(fmt.Sprintf("%d.%d", i, c))
			}
		})
		settled := func() bool {
			for _, n := range all {
				if st := n.Stats(); !st.Up || st.Subscriptions != 1+channels/2 || st.Pending != 0 {
					return false
				}
			}
			return true
		}
		brokertest.Until(t, "all are subscribed", settled)
		r.stop()
		brokertest.Until(t, "all have noticed", func() bool {
			for _, n := range all {
				if n.Up() {
					return false
				}
			}
			return true
		})
		r.start()
		brokertest.Until(t, "all are subscribed again", settled)
		all[0].MustPublish("all", "1")
		for i, n := range all {
			all[nodes-1-i].MustPublish(fmt.Sprintf("%d.%d", i, channels-1), "own")
			n.Expect("all", "1")
			n.Expect(fmt.Sprintf("%d.%d", i, channels-1), "own")
		}
		most := uint64(0)
		for _, n := range all {
			most = max(most, n.Stats().FailedConnects)
		}
		t.Logf("%d nodes: at most %d attempts of one node failed", nodes, most)
	})
}
