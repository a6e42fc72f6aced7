package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/broker/internal/link"
)

// behindProxy runs a test with every engine that is reached over a network. open makes a node that
// reaches it through the proxy.
func behindProxy(t *testing.T, test func(t *testing.T, r *rig, p *brokertest.Proxy, open brokertest.Open)) {
	withEngine(t, func(t *testing.T, r *rig) {
		if r.addr == "" {
			t.Skip("it is in this process")
		}
		p := brokertest.NewProxy(t, r.addr)
		test(t, r, p, at(r.driver, r.scheme+p.Listen))
	})
}

// Delayed and fragmented data arrives late and in pieces; nothing else changes.
func TestNetworkDelaysAndTrickles(t *testing.T) {
	behindProxy(t, func(t *testing.T, r *rig, p *brokertest.Proxy, open brokertest.Open) {
		a, b := brokertest.Up(t, open, broker.Config{}), r.up(t, broker.Config{})
		p.Poison("latency", "downstream", `{"latency":20,"jitter":10}`)
		p.Poison("slicer", "downstream", `{"average_size":7,"size_variation":5,"delay":10}`)
		p.Poison("slicer", "upstream", `{"average_size":7,"size_variation":5,"delay":10}`)
		a.Join("c", strings.Repeat("long", 900))
		b.Join("c")
		var want []string
		for i := range 20 {
			content := fmt.Sprint(i) + strings.Repeat("☃", 100)
			a.MustPublish("c", content)
			want = append(want, content)
		}
		a.Expect("c", want...)
		b.Expect("c", want...)
		if st := a.Stats(); !st.Up || st.Connects != 1 {
			t.Errorf("up is %t after %d links, want the first to be up", st.Up, st.Connects)
		}
	})
}

// Connections are reset, and then closed under load, and the server is unreachable for a moment.
func TestNetworkIsCut(t *testing.T) {
	behindProxy(t, func(t *testing.T, _ *rig, p *brokertest.Proxy, open brokertest.Open) {
		n := brokertest.Up(t, open, broker.Config{})
		n.Join("c")
		p.Poison("reset_peer", "downstream", `{"timeout":0}`)
		if err := n.Published("c", "lost?"); !errors.Is(err, broker.ErrUnknown) && !errors.Is(err, broker.ErrDown) {
			t.Errorf("publish: %v", err)
		}
		n.Until("it is noticed", func() bool { return !n.Up() })
		p.Cure()
		n.WaitUp()
		load := n.Load("c", "n")
		for range 3 {
			before := n.Count()
			n.Until("the node receives publications", func() bool { return n.Count() > before+100 })
			links := n.Stats().Connects
			p.Stop()
			n.Until("it is down", func() bool { return !n.Up() })
			p.Restart()
			n.Until("it is up again", func() bool { return n.Up() && n.Stats().Connects > links })
		}
		outcomes := load.End()
		n.MustPublish("c", "last")
		n.Until("the last came", func() bool { return n.Last() == "last" })
		brokertest.CheckHeard(t, n.Contents("c"), outcomes)
	})
}

// A node notices without traffic that the network discards what it sends, and a publication under
// way has an outcome.
func TestNetworkSwallows(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds to be sure")
	}
	t.Parallel()
	for _, direction := range []string{"downstream", "upstream"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			behindProxy(t, func(t *testing.T, _ *rig, p *brokertest.Proxy, open brokertest.Open) {
				t.Parallel()
				idle, busy := brokertest.Up(t, open, broker.Config{}), brokertest.Up(t, open, broker.Config{})
				idle.Join("c")
				p.Poison("timeout", direction, `{"timeout":0}`)
				if err := busy.Published("c", "x"); !errors.Is(err, broker.ErrUnknown) {
					t.Errorf("Publish: %v, want %v", err, broker.ErrUnknown)
				}
				busy.Until("the busy one is down, and says why", func() bool {
					return !busy.Up() && strings.Contains(busy.Logged(), link.ErrNoAnswer.Error())
				})
				idle.Until("the idle one is down", func() bool { return !idle.Up() })
				p.Cure()
				idle.WaitUp()
				busy.WaitUp()
				busy.MustPublish("c", "after")
				idle.Until("the node has received it", func() bool { return idle.Last() == "after" })
			})
		})
	}
}
