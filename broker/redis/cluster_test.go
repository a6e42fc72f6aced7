package redis

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// An example of the cluster's specification, and names with braces.
func TestSlotOfAChannel(t *testing.T) {
	for name, want := range map[string]int{
		"123456789": 0x31c3 % numSlots, "foo": 12182, "{foo}bar": 12182, "a{foo}b{c}": 12182, "{}foo": slotOf("{}foo"), "": 0,
	} {
		if got := slotOf(name); got != want {
			t.Errorf("slotOf(%q) = %d, want %d", name, got, want)
		}
	}
	if slotOf("{}foo") == slotOf("foo") {
		t.Error("empty braces decide the slot")
	}
}

// manyChannels returns names of channels that are spread over all masters.
func manyChannels(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("channel %d", i))
	}
	return names
}

func TestClusterCarriesPublications(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	names := manyChannels(60)
	for _, sharded := range []string{"auto", "yes", "no"} {
		t.Run("sharded="+sharded, func(t *testing.T) {
			a := upNode(t, broker.Config{DSN: servers[0].DSN() + "?sharded=" + sharded})
			b := upNode(t, broker.Config{DSN: servers[1].DSN() + "?sharded=" + sharded})
			a.Join(names...)
			b.Join(names...)
			for i, name := range names {
				a.MustPublish(name, fmt.Sprintf("a%d", i))
				b.MustPublish(name, fmt.Sprintf("b%d", i))
			}
			for i, name := range names {
				a.Expect(name, fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i))
				b.Expect(name, fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i))
			}
			if sharded == "auto" && servers[0].CLI("PUBSUB", "SHARDCHANNELS") == "" {
				t.Error("publications are not sharded, though the servers could")
			}
			if sharded == "no" && servers[0].CLI("PUBLISH", names[0], "plain") == "" {
				t.Error("PUBLISH does nothing")
			} else if sharded == "no" {
				b.Expect(names[0], "a0", "b0", "plain")
			}
			a.Unsubscribe(names[0])
			b.Unsubscribe(names[0])
			brokertest.Until(t, "nobody is subscribed", func() bool {
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

// A slot moves, and back, while its channel and another are published to. The subscription follows
// the slot. The members of a node receive every publication to it that this node's engine took. The
// other channel misses nothing.
func TestClusterSubscriptionsFollowTheirSlot(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	a, b := upNode(t, broker.Config{DSN: servers[0].DSN()}), upNode(t, broker.Config{DSN: servers[1].DSN()})
	const moved, kept = "foo", "bar" // of slots 12182, the last master's, and 5061, the first's
	a.Join(moved, kept)
	b.Join(moved, kept)
	var stop atomic.Bool
	ok := map[string][]string{}
	published := make(chan struct{})
	go func() {
		defer close(published)
		for i := 0; !stop.Load(); i++ {
			content := strconv.Itoa(i)
			if err := a.Published(kept, content); err != nil {
				t.Errorf("publish where nothing moved: %v", err)
			}
			ok[kept] = append(ok[kept], content)
			switch err := a.Published(moved, content); {
			case err == nil:
				ok[moved] = append(ok[moved], content)
			case !isOutcome(err):
				t.Errorf("publish: %v", err)
			}
		}
	}()
	slot := strconv.Itoa(slotOf(moved))
	for round, from, to := 0, servers[2], servers[0]; round < 8; round, from, to = round+1, to, from {
		ends := a.Stats().SubscriptionEnds
		fromID, toID := from.ID(), to.ID()
		to.CLI("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
		from.CLI("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
		for _, s := range []*redistest.Server{to, from, servers[1]} {
			s.CLI("CLUSTER", "SETSLOT", slot, "NODE", toID)
		}
		brokertest.Until(t, "the subscription has ended", func() bool { return a.Stats().SubscriptionEnds > ends })
		for _, n := range []*brokertest.Node{a, b} {
			brokertest.Until(t, "it is in force again", func() bool { return n.Stats().Pending == 0 })
		}
		brokertest.Until(t, "it is published to", func() bool { return b.Published(moved, fmt.Sprintf("round %d", round)) == nil })
	}
	b.MustPublish(moved, "after")
	for _, n := range []*brokertest.Node{a, b} {
		n.Until("what was published after the move", func() bool { return slices.Contains(n.Contents(moved), "after") })
	}
	stop.Store(true)
	<-published
	for _, n := range []*brokertest.Node{a, b} {
		n.Expect(kept, ok[kept]...)
		if got := n.Stats(); !got.Up || got.Connects != 1 {
			t.Errorf("the link was opened %d times, want once; up %t", got.Connects, got.Up)
		}
	}
	a.MustPublish(moved, "end")
	a.Until("the end", func() bool { return slices.Contains(a.Contents(moved), "end") })
	heard := map[string]bool{}
	for _, content := range a.Contents(moved) {
		heard[content] = true
	}
	missed := slices.DeleteFunc(ok[moved], func(content string) bool { return heard[content] })
	if len(missed) > 0 {
		t.Errorf("%d of the %d publications that were taken were not received here, as %s", len(missed), len(ok[moved]), missed[0])
	}
	t.Logf("%d taken of %d", len(ok[moved]), len(ok[kept]))
}

// Some masters do not answer, from the start. The channels of the others are in force as soon as
// without them, and the link stays.
func TestClusterSlowMastersCostTheirOwnChannelsOnly(t *testing.T) {
	t.Parallel()
	l := brokertest.Listen(t)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	var slots []string
	const masters = 21
	for i := range masters { // the first third does not answer
		at := port
		if i < masters/3 {
			_, at, _ = net.SplitHostPort(silentServer(t))
		}
		slots = append(slots, fmt.Sprintf("*3\r\n:%d\r\n:%d\r\n*2\r\n$9\r\n127.0.0.1\r\n:%s\r\n", i*numSlots/masters, (i+1)*numSlots/masters-1, at))
	}
	brokertest.Serve(l, func(conn net.Conn) {
		answerCommands(conn, func(command string) string {
			words := strings.Split(command, " ")
			switch words[0] {
			case "HELLO":
				return "*6\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n"
			case "PING":
				return "+PONG\r\n"
			case "SPUBLISH":
				return ":1\r\n"
			case "SSUBSCRIBE":
				text := ""
				for i, channel := range words[1:] {
					text += fmt.Sprintf(">3\r\n$10\r\nssubscribe\r\n$%d\r\n%s\r\n:%d\r\n", len(channel), channel, i)
				}
				return text
			}
			if words[1] == "INFO" {
				return "$16\r\ncluster_state:ok\r\n"
			}
			return fmt.Sprintf("*%d\r\n%s", len(slots), strings.Join(slots, ""))
		})
	})
	n := upNode(t, broker.Config{DSN: "redis://" + l.Addr().String() + "?sharded=yes"})
	var reachable, unreachable []string
	for i := range 2000 {
		name := fmt.Sprintf("c%d", i)
		if slotOf(name) < numSlots/3 {
			unreachable = append(unreachable, name)
		} else {
			reachable = append(reachable, name)
		}
		n.Subscribe(name)
	}
	for _, name := range reachable {
		if err := n.Awaited(name); err != nil {
			t.Fatalf("await a channel of another master: %v", err)
		}
	}
	n.MustPublish(reachable[0], "x")
	if n.Published(unreachable[0], "x") == nil {
		t.Error("a master that does not answer has taken a publication")
	}
	brokertest.Until(t, "the others have been tried and refused", func() bool { return n.Stats().SubscriptionEnds >= uint64(len(unreachable)) })
	if got := n.Stats(); !got.Up || got.Connects != 1 || got.FailedConnects != 0 {
		t.Errorf("up %t after %d connects and %d failed ones", got.Up, got.Connects, got.FailedConnects)
	}
}

// A master is killed: its channels are unreachable, those of others go on; then it returns.
func TestClusterLosesAMaster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no")
	n := upNode(t, broker.Config{DSN: servers[0].DSN()})
	const unreachable, kept = "foo", "bar"
	n.Join(unreachable, kept)
	servers[2].Stop()
	brokertest.Until(t, "the subscription has ended", func() bool { return n.Stats().SubscriptionEnds > 0 })
	n.MustPublish(kept, "1")
	n.Expect(kept, "1")
	if err := n.Published(unreachable, "lost"); err == nil {
		t.Error("the killed master has taken a publication")
	}
	servers[2].Restart()
	brokertest.Until(t, "the subscription is in force again", func() bool { return n.Stats().Pending == 0 })
	brokertest.Until(t, "a publication is taken", func() bool { return n.Published(unreachable, "back") == nil })
	n.Until("it", func() bool { return slices.Contains(n.Contents(unreachable), "back") })
	n.MustPublish(kept, "2")
	n.Expect(kept, "1", "2")
	if got := n.Stats().Connects; got != 1 {
		t.Errorf("the link was opened %d times, want once", got)
	}
}

// The master that the DSN names is killed, and its replica takes over. With and without sharding,
// everything resumes on the new master.
func TestClusterFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("a failover takes seconds")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	replica := redistest.AddReplica(t, servers[2])
	for _, s := range []*redistest.Server{servers[0], servers[1], replica} {
		brokertest.Until(t, "all nodes know the replica", func() bool { return strings.Contains(s.Says("CLUSTER", "NODES"), replica.Addr) })
	}
	a := upNode(t, broker.Config{DSN: servers[2].DSN()})
	b := upNode(t, broker.Config{DSN: servers[2].DSN() + "?sharded=no"})
	names := manyChannels(30)
	a.Join(names...)
	b.Join(names...)
	servers[2].Stop()
	brokertest.Until(t, "the replica is the master", func() bool { return strings.Contains(replica.Says("ROLE"), "master") })
	for _, n := range []*brokertest.Node{a, b} {
		for _, name := range names {
			brokertest.Until(t, "a publication is taken and heard", func() bool {
				return n.Up() && n.Stats().Pending == 0 && n.Published(name, "after") == nil
			})
		}
		for _, name := range names {
			n.Until("it", func() bool { return slices.Contains(n.Contents(name), "after") })
		}
	}
}

// A master hangs: the outcomes of publications to its channels are unknown, those to others are
// late but not lost, and the link stays.
func TestClusterHasAMasterThatHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds to be sure")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no")
	n := upNode(t, broker.Config{DSN: servers[0].DSN()})
	const hung, kept = "foo", "bar"
	n.Join(hung, kept)
	servers[2].Pause()
	var want []string
	for i := range 6 {
		content := strconv.Itoa(i)
		if _, _, err := n.Publish([]byte(hung), []byte(content), func(_ broker.Receipt, err error) {
			if err == nil {
				t.Errorf("the master that hangs has taken %s", content)
			}
		}); err != nil && err != broker.ErrDown { // ErrDown comes once the node knows that its members would miss them
			t.Errorf("publish: %v", err)
		}
		n.MustPublish(kept, content)
		want = append(want, content)
	}
	n.Expect(kept, want...)
	brokertest.Until(t, "its subscriptions have ended", func() bool { return n.Stats().SubscriptionEnds > 0 })
	servers[2].Resume()
	brokertest.Until(t, "the subscription is in force again", func() bool { return n.Stats().Pending == 0 })
	brokertest.Until(t, "a publication is taken", func() bool { return n.Published(hung, "back") == nil })
	n.Until("it", func() bool { return slices.Contains(n.Contents(hung), "back") })
	if got := n.Stats(); !got.Up || got.Connects != 1 {
		t.Errorf("up %t after %d connects, want the first link to be up", got.Up, got.Connects)
	}
}
