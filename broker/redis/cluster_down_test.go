package redis

import (
	"strings"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// A cluster that says it is down is not used, sharded or not, until it is up again.
func TestClusterIsDown(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds to be sure")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3) // the cluster is down when a slot is not served
	a := upNode(t, broker.Config{DSN: servers[0].DSN()})
	b := upNode(t, broker.Config{DSN: servers[1].DSN() + "?sharded=no"})
	a.Join("bar")
	b.Join("bar")
	servers[2].Stop()
	brokertest.Until(t, "both notice", func() bool { return !a.Up() && !b.Up() })
	brokertest.Until(t, "both say why", func() bool {
		return strings.Contains(a.Logged(), "the cluster is down") && strings.Contains(b.Logged(), "the cluster is down")
	})
	servers[2].Restart()
	for _, n := range []*brokertest.Node{a, b} {
		n.WaitUp()
		n.MustPublish("bar", "after")
		n.Expect("bar", "after")
	}
}

// When the last master is lost, so is the link. The node is up again when all its channels are in
// force again.
func TestClusterIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	n := upNode(t, broker.Config{DSN: servers[0].DSN()})
	n.Join(manyChannels(60)...)
	for _, s := range servers {
		s.Stop()
	}
	brokertest.Until(t, "the node notices, and logs why", func() bool { return !n.Up() && strings.Contains(n.Logged(), errNoMaster.Error()) })
	for _, s := range servers {
		s.Restart()
	}
	n.WaitUp()
	if pending := n.Stats().Pending; pending > 0 {
		t.Errorf("the node is up, and %d subscriptions are not in force", pending)
	}
}
