package broker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"wsify/internal/redistest"
)

// The example of the cluster's specification, and what braces do.
func TestSlotOfAChannel(t *testing.T) {
	for name, want := range map[string]int{
		"123456789": 0x31c3 % redisSlots, "foo": 12182, "{foo}bar": 12182, "a{foo}b{c}": 12182, "{}foo": slotOf("{}foo"), "": 0,
	} {
		if got := slotOf(name); got != want {
			t.Errorf("slotOf(%q) = %d, want %d", name, got, want)
		}
	}
	if slotOf("{}foo") == slotOf("foo") {
		t.Error("empty braces decide the slot")
	}
}

// manyChannels returns names of channels that all masters have some of.
func manyChannels(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("channel %d", i))
	}
	return names
}

func TestRedisClusterCarriesPublications(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	names := manyChannels(60)
	for _, sharded := range []string{"auto", "yes", "no"} {
		t.Run("sharded="+sharded, func(t *testing.T) {
			a := upRedisNode(t, Config{DSN: servers[0].DSN() + "?sharded=" + sharded})
			b := upRedisNode(t, Config{DSN: servers[1].DSN() + "?sharded=" + sharded})
			a.join(names...)
			b.join(names...)
			for i, name := range names {
				a.mustPublish(name, fmt.Sprintf("a%d", i))
				b.mustPublish(name, fmt.Sprintf("b%d", i))
			}
			for i, name := range names {
				a.wants(name, fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i))
				b.wants(name, fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i))
			}
			if sharded == "auto" && servers[0].CLI("PUBSUB", "SHARDCHANNELS") == "" {
				t.Error("publications are not sharded, though the servers could")
			}
			if sharded == "no" && servers[0].CLI("PUBLISH", names[0], "plain") == "" {
				t.Error("PUBLISH does nothing")
			} else if sharded == "no" {
				b.wants(names[0], "a0", "b0", "plain")
			}
			a.Unsubscribe(names[0])
			b.Unsubscribe(names[0])
			untilRedis(t, "nobody is subscribed", func() bool {
				n := 0
				for _, s := range servers {
					for _, kind := range []string{"NUMSUB", "SHARDNUMSUB"} {
						if out := s.CLI("PUBSUB", kind, names[0]); out != names[0]+"\n0" {
							n++
						}
					}
				}
				return n == 0
			})
		})
	}
}

// A slot moves while its channel and another are published to. The subscription
// follows it; the other channel misses nothing.
func TestRedisClusterSubscriptionsFollowTheirSlot(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	a, b := upRedisNode(t, Config{DSN: servers[0].DSN()}), upRedisNode(t, Config{DSN: servers[1].DSN()})
	const moved, kept = "foo", "bar" // of slots 12182, the last master's, and 5061, the first's
	a.join(moved, kept)
	b.join(moved, kept)
	var stop atomic.Bool
	published := make(chan []string)
	go func() {
		var ok []string
		for i := 0; !stop.Load(); i++ {
			content := strconv.Itoa(i)
			if err := a.publish(kept, content); err != nil {
				t.Errorf("publish where nothing moved: %v", err)
			}
			ok = append(ok, content)
			if err := a.publish(moved, content); !isRedisOutcome(err) {
				t.Errorf("publish: %v", err)
			}
		}
		published <- ok
	}()
	slot, from, to := strconv.Itoa(slotOf(moved)), servers[2], servers[0]
	fromID, toID := from.ID(), to.ID()
	to.CLI("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	from.CLI("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	for _, s := range []*redistest.Server{to, from, servers[1]} {
		s.CLI("CLUSTER", "SETSLOT", slot, "NODE", toID)
	}
	for _, n := range []*redisNode{a, b} {
		untilRedis(t, "the subscription has ended", func() bool { return n.Stats().SubscriptionEnds > 0 })
		untilRedis(t, "it is in force again", func() bool { return n.Stats().Pending == 0 })
	}
	b.mustPublish(moved, "after")
	for _, n := range []*redisNode{a, b} {
		n.wait("what was published after the move", func() bool { return slices.Contains(n.ofLocked(moved), "after") })
	}
	stop.Store(true)
	want := <-published
	for _, n := range []*redisNode{a, b} {
		n.wants(kept, want...)
		if got := n.Stats(); !got.Up || got.Connects != 1 {
			t.Errorf("the link was opened %d times, want once; up %t", got.Connects, got.Up)
		}
	}
}

// A master is killed: its channels are away, those of others go on; it comes back.
func TestRedisClusterLosesAMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no")
	n := upRedisNode(t, Config{DSN: servers[0].DSN()})
	const away, kept = "foo", "bar"
	n.join(away, kept)
	servers[2].Stop()
	untilRedis(t, "the subscription has ended", func() bool { return n.Stats().SubscriptionEnds > 0 })
	n.mustPublish(kept, "1")
	n.wants(kept, "1")
	if err := n.publish(away, "lost"); err == nil {
		t.Error("the killed master has taken a publication")
	}
	servers[2].Restart()
	untilRedis(t, "the subscription is in force again", func() bool { return n.Stats().Pending == 0 })
	untilRedis(t, "a publication is taken", func() bool { return n.publish(away, "back") == nil })
	n.wait("it", func() bool { return slices.Contains(n.ofLocked(away), "back") })
	n.mustPublish(kept, "2")
	n.wants(kept, "1", "2")
	if got := n.Stats().Connects; got != 1 {
		t.Errorf("the link was opened %d times, want once", got)
	}
}

// The master that the DSN names is killed, and its replica takes over. Sharded or
// not, everything resumes on the new one.
func TestRedisClusterFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("a failover takes seconds")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	replica := redistest.AddReplica(t, servers[2])
	for _, s := range []*redistest.Server{servers[0], servers[1], replica} {
		untilRedis(t, "all nodes know the replica", func() bool { return strings.Contains(s.Says("CLUSTER", "NODES"), replica.Addr) })
	}
	a := upRedisNode(t, Config{DSN: servers[2].DSN()})
	b := upRedisNode(t, Config{DSN: servers[2].DSN() + "?sharded=no"})
	names := manyChannels(30)
	a.join(names...)
	b.join(names...)
	servers[2].Stop()
	untilRedis(t, "the replica is the master", func() bool { return strings.Contains(replica.Says("ROLE"), "master") })
	for _, n := range []*redisNode{a, b} {
		for _, name := range names {
			untilRedis(t, "a publication is taken and heard", func() bool {
				return n.Up() && n.Stats().Pending == 0 && n.publish(name, "after") == nil
			})
		}
		for _, name := range names {
			n.wait("it", func() bool { return slices.Contains(n.ofLocked(name), "after") })
		}
	}
}

// A master hangs: publications to its channels have no known outcome, those to others
// are late and not lost, and the link stays.
func TestRedisClusterHasAMasterThatHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds to be sure")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no")
	n := upRedisNode(t, Config{DSN: servers[0].DSN()})
	const hung, kept = "foo", "bar"
	n.join(hung, kept)
	servers[2].Pause()
	var want []string
	for i := range 6 {
		content := strconv.Itoa(i)
		if _, err := n.Publish([]byte(hung), []byte(content), func(err error) {
			if err == nil {
				t.Errorf("the master that hangs has taken %s", content)
			}
		}); err != nil && err != ErrDown { // once the node knows that its members would not hear it
			t.Errorf("publish: %v", err)
		}
		n.mustPublish(kept, content)
		want = append(want, content)
	}
	n.wants(kept, want...)
	untilRedis(t, "its subscriptions have ended", func() bool { return n.Stats().SubscriptionEnds > 0 })
	servers[2].Resume()
	untilRedis(t, "the subscription is in force again", func() bool { return n.Stats().Pending == 0 })
	untilRedis(t, "a publication is taken", func() bool { return n.publish(hung, "back") == nil })
	n.wait("it", func() bool { return slices.Contains(n.ofLocked(hung), "back") })
	if got := n.Stats(); !got.Up || got.Connects != 1 {
		t.Errorf("up %t after %d connects, want the first link to be up", got.Up, got.Connects)
	}
}

// A cluster that says it is down is not used, sharded or not, until it is up again.
func TestRedisClusterIsDown(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds to be sure")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3) // which is down when a slot is not served
	a := upRedisNode(t, Config{DSN: servers[0].DSN()})
	b := upRedisNode(t, Config{DSN: servers[1].DSN() + "?sharded=no"})
	a.join("bar")
	b.join("bar")
	servers[2].Stop()
	untilRedis(t, "both notice", func() bool { return !a.Up() && !b.Up() })
	untilRedis(t, "both say why", func() bool {
		return strings.Contains(a.said(), "the cluster is down") && strings.Contains(b.said(), "the cluster is down")
	})
	servers[2].Restart()
	for _, n := range []*redisNode{a, b} {
		n.waitUp()
		n.mustPublish("bar", "after")
		n.wants("bar", "after")
	}
}
