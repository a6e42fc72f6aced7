package broker

import (
	"fmt"
	"slices"
	"strconv"
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
