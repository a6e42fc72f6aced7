package redis

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// keeping is a configuration with history of channels whose names begin with h.
func keeping(dsn string) broker.Config {
	cfg := brokertest.Keeping(100, time.Hour)
	cfg.DSN = dsn
	return cfg
}

func TestHistoryInACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	servers := redistest.StartCluster(t, 3)
	rig := func(sharded string) *brokertest.HistoryRig {
		for _, s := range servers {
			s.CLI("FLUSHALL")
		}
		return &brokertest.HistoryRig{Nodes: 2, Misses: sharded == "no", Open: func(cfg broker.Config) (broker.Broker, error) {
			cfg.DSN = servers[0].DSN() + "?sharded=" + sharded
			return Driver.Open(cfg)
		}}
	}
	brokertest.History(t, func(*testing.T) *brokertest.HistoryRig { return rig("auto") })
	// Without sharding, masters pass publications on to each other, and lose some.
	t.Run("sharded=no", func(t *testing.T) { brokertest.OneOrder(t, rig("no")) })
}

// The keys of a channel are in the channel's slot.
func FuzzHistoryKeys(f *testing.F) {
	for _, name := range []string{"news", "", "{a}b", "a{b", "a}b{", "{}a{b}", "{{a}}", "}{"} {
		f.Add(name)
	}
	k := newKeeper(&broker.History{Size: 1, TTL: 1}, false).inCluster()
	f.Fuzz(func(t *testing.T, name string) {
		stream, position := k.keys(name)
		if slotOf(stream) != slotOf(name) || slotOf(position) != slotOf(name) || stream == position {
			t.Errorf("%q has slot %d, %q %d and %q %d", name, slotOf(name), stream, slotOf(stream), position, slotOf(position))
		}
	})
}

// A restarted server has kept its data, and may have lost the newest: so the epoch is another one.
func TestARestartBeginsAnotherEpoch(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	n := upNode(t, keeping(s.DSN()))
	before := n.Place("h", "1")
	s.Restart()
	n.Until("the broker is lost", func() bool { return strings.Contains(n.Logged(), "the broker is lost") })
	n.WaitUp()
	if got := s.CLI("EXISTS", "wsify:history:h", "wsify:position:h"); got != "2" {
		t.Fatalf("the server has kept %s keys, want 2", got)
	}
	page := n.Read("h", before, 0)
	if page.Complete || page.Tail.Epoch == before.Epoch {
		t.Errorf("after %q, %+v is read", before, page)
	}
	if after := n.Place("h", "2"); after.Epoch != page.Tail.Epoch {
		t.Errorf("%q is the position of a publication behind %q", after, page.Tail)
	}
}

// A replica that is made the master without the newest publications goes on with another epoch: its
// next publications would have the positions of those that it lacks.
func TestAMasterThatLacksPublicationsBeginsAnotherEpoch(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1", fmt.Sprint(master.Port))
	brokertest.Until(t, "the replica follows", func() bool {
		return strings.Contains(replica.Says("INFO", "replication"), "master_link_status:up")
	})
	old := upNode(t, keeping(master.DSN()))
	first := old.Place("h", "1")
	brokertest.Until(t, "the replica has it", func() bool { return replica.Says("XLEN", "wsify:history:h") == "1" })
	replica.CLI("REPLICAOF", "NO", "ONE")
	lost := old.Place("h", "lost")

	n := upNode(t, keeping(replica.DSN()))
	if page := n.Read("h", first, 0); page.Complete || page.Tail.Epoch == first.Epoch {
		t.Errorf("after %q, the new master has %+v", first, page)
	}
	n.Place("h", "2")
	n.Place("h", "3")
	if page := n.Read("h", lost, 0); page.Complete || len(page.Entries) != 2 {
		t.Errorf("after %q, which is lost, the new master has %+v", lost, page)
	}
}

// When the server has lost the script, nothing is lost but time.
func TestALostScriptIsSentAgain(t *testing.T) {
	s := redistest.Start(t)
	n := upNode(t, keeping(s.DSN()))
	n.Join("h")
	var want []string
	outcomes := make(chan error, 300)
	for i := range 300 {
		if i%100 == 0 {
			s.CLI("SCRIPT", "FLUSH")
		}
		want = append(want, fmt.Sprint(i))
		if pending, _, err := n.Publish([]byte("h"), []byte(want[i]), func(_ broker.Receipt, err error) { outcomes <- err }); !pending {
			t.Fatal(err)
		}
	}
	for range want {
		if err := n.Outcome("Publish", outcomes); err != nil {
			t.Fatal(err)
		}
	}
	n.Until("all came", func() bool { return len(n.Contents("h")) == len(want) })
	for i, e := range n.Heard("h") {
		if string(e.Content) != want[i] {
			t.Fatalf("publication %d is %s", i, e.Content)
		}
	}
}

// A retry would put a publication behind later ones of its channel.
func TestAPublicationIsNotSentAgainBehindALaterOne(t *testing.T) {
	lacks := fmt.Errorf("redis refuses the publication: %w", respError("NOSCRIPT No matching script"))
	batch := []*broker.Publication{
		{Channel: "a", Keep: true, Err: lacks}, {Channel: "b", Keep: true, Err: lacks}, {Channel: "c", Err: nil},
		{Channel: "a", Keep: true, Err: nil}, {Channel: "a", Keep: true, Err: lacks}, {Channel: "b", Keep: true, Err: lacks},
	}
	again := scriptLacks(batch)
	if !slices.Equal(again, []*broker.Publication{batch[1], batch[4], batch[5]}) || !errors.Is(batch[0].Err, broker.ErrDown) {
		t.Errorf("again are %v; the first has %v", again, batch[0].Err)
	}
}

// What Redis can lose by itself is noticed, and no position comes twice.
func TestLostKeysAreNoticed(t *testing.T) {
	s := redistest.Start(t)
	n := upNode(t, keeping(s.DSN()))
	seen := []broker.Position{n.Place("h", "1"), n.Place("h", "2")}
	for _, key := range []string{"wsify:history:h", "wsify:position:h"} {
		s.CLI("DEL", key)
		page := n.Read("h", seen[len(seen)-2], 0)
		if page.Complete {
			t.Errorf("without %s, %+v is read", key, page)
		}
		for _, content := range []string{"3", "4"} {
			p := n.Place("h", content)
			if slices.Contains(seen, p) {
				t.Errorf("without %s, %q comes twice", key, p)
			}
			seen = append(seen, p)
		}
		if page := n.Read("h", seen[len(seen)-2], 0); !page.Complete || len(page.Entries) != 1 {
			t.Errorf("after %s was lost and two were published, %+v is read", key, page)
		}
	}
}

// A server without memory refuses the publication: it is neither kept nor delivered.
func TestWhatCannotBeKeptIsNotPublished(t *testing.T) {
	s := redistest.Start(t)
	n := upNode(t, keeping(s.DSN()))
	n.Join("h")
	first := n.Place("h", "1")
	s.Config("maxmemory", "1")
	if err := n.Published("h", "2"); err == nil || errors.Is(err, broker.ErrDown) {
		t.Errorf("the outcome without memory is %v", err)
	}
	s.Config("maxmemory", "0")
	last := n.Place("h", "3")
	if page := n.Read("h", first, 0); len(page.Entries) != 1 || !page.Complete || page.Tail != last || last.Offset != first.Offset+1 {
		t.Errorf("after %q, %+v is read", first, page)
	}
	n.Until("two came", func() bool { return len(n.Contents("h")) == 2 })
}

// rights are what a user needs for history; docs/brokers.md has them too.
const rights = "~wsify:* +info +eval +evalsha +script|load +hmget +hset +hincrby +del +xadd +xdel +xrange +xrevrange +pexpire +time"

func TestRightsForHistory(t *testing.T) {
	s := redistest.Start(t)
	user := func(name string, rules ...string) string {
		s.CLI(append([]string{"ACL", "SETUSER", name, "reset", "on", ">pw"}, rules...)...)
		return fmt.Sprintf("redis://%s:pw@%s", name, s.Addr)
	}
	if page, err := os.ReadFile("../../docs/brokers.md"); err != nil || !strings.Contains(string(page), "\n"+rights+"\n") {
		t.Errorf("docs/brokers.md has other rights than %s (%v)", rights, err)
	}
	all := append(strings.Fields(rights), "&*", "+hello", "+ping", "+subscribe", "+unsubscribe", "+publish")
	n := upNode(t, keeping(user("enough", all...)))
	n.Join("h")
	first := n.Place("h", "1")
	second := n.Place("h", "2")
	if page := n.Read("h", first, 0); !page.Complete || page.Tail != second {
		t.Errorf("after %q, %+v is read", first, page)
	}
	s.CLI("SCRIPT", "FLUSH")
	n.Place("h", "3")

	// Without the right to INFO there is no link, and the log says why.
	e, err := newEngine(keeping(user("blind", append(all, "-info")...)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Open(t.Context(), brokertest.Nowhere{}); err == nil {
		t.Error("a link opens without the right to INFO")
	} else {
		brokertest.Says(t, err.Error(), "history", "INFO")
	}

	// What may not be published is not kept.
	deaf := upNode(t, keeping(user("deaf", append(all, "resetchannels", "&other")...)))
	if err := deaf.Published("h", "4"); err == nil {
		t.Error("a publication to a channel that is not allowed has no error")
	}
	if page := n.Read("h", second, 0); len(page.Entries) != 1 {
		t.Errorf("after %q, %+v is read", second, page)
	}
	// Keys that may not be used.
	keyless := upNode(t, keeping(user("keyless", append(all, "resetkeys", "~other:*")...)))
	if err := keyless.Published("h", "5"); err == nil {
		t.Error("a publication without the right to its keys has no error")
	}
	if _, err := keyless.Broker.(broker.Historian).ReadHistory(t.Context(), "h", first, 0); err == nil {
		t.Error("reading without the right to the keys has no error")
	}
}

// A node whose largest content is smaller than another's does not get the publication, and knows.
func TestAPublicationThatIsTooLargeHereIsAGap(t *testing.T) {
	s := redistest.Start(t)
	large, small := keeping(s.DSN()), keeping(s.DSN())
	large.MaxContent, small.MaxContent = 4<<20, 10
	a, b := upNode(t, large), upNode(t, small)
	first := a.Place("h", "1")
	for _, size := range []int{10, 11, 3 << 20} {
		last := a.Place("h", strings.Repeat("x", size))
		if page := b.Read("h", first, 0); page.Complete != (size == 10) || page.Tail != last {
			t.Errorf("with %d bytes: up to %q, complete: %t", size, page.Tail, page.Complete)
		}
		if page := a.Read("h", first, 0); !page.Complete || len(page.Entries) != 1 || len(page.Entries[0].Content) != size {
			t.Errorf("with %d bytes: %d entries where they fit", size, len(page.Entries))
		}
		first = last
	}
	if n := b.Stats().Dropped["too_big"]; n != 2 {
		t.Errorf("%d are counted as too large, want 2", n)
	}
}

func TestOldServersKeepNoHistory(t *testing.T) {
	for version, want := range map[string]bool{"6.0.16": true, "5.9": true, "6.2.0": false, "6.10.0": false, "7.0.15": false, "10.0": false, "": false, "x": false, "unstable.1": false} {
		if got := old(version, leastVersion); got != want {
			t.Errorf("old(%q) = %t", version, got)
		}
	}
	err := new(conn).keepHistory(t.Context(), nil, serverInfo{"version": "6.0.16"})
	if err == nil {
		t.Fatal("6.0 keeps history")
	}
	brokertest.Says(t, err.Error(), "6.2", "6.0.16", "-history-channels")
}

// Entries of other programs, or of another form, are an error.
func FuzzReadEntry(f *testing.F) {
	f.Add("1-5", "\x00e-1-0 \n1", "e")
	f.Add("2-5", "\x00e-1-0 \n1", "e")
	f.Add("1", "1", "")
	f.Add("-", "\x00", "e")
	f.Fuzz(func(t *testing.T, id, content, epoch string) {
		text := func(s string) respReply { return respReply{text: s} }
		r := respReply{list: []respReply{text(id), {list: []respReply{text("c"), text(content)}}}}
		k := &keeper{ttl: time.Second}
		entries, ok := k.entries([]respReply{r, r}, tail{Position: broker.Position{Epoch: epoch}})
		for _, e := range entries {
			if !ok || e.Head.Position.Epoch != epoch || !strings.HasPrefix(id, fmt.Sprint(e.Head.Position.Offset)+"-") || !strings.HasSuffix(content, string(e.Content)) {
				t.Errorf("%q with %q is %+v", id, content, e)
			}
		}
	})
}

// A slot moves with the keys of its channels. While the keys are elsewhere, publications are refused.
// Afterwards the new master has another epoch, because it cannot know whether it has all.
func TestHistoryMovesWithItsSlot(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to start")
	}
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	const channel = "h{foo}" // of slot 12182, the last master's
	n := upNode(t, keeping(servers[0].DSN()))
	n.Join(channel)
	n.Place(channel, "1")
	before := n.Place(channel, "2")
	n.Until("two came", func() bool { return len(n.Contents(channel)) == 2 })
	from, to, slot := servers[2], servers[0], fmt.Sprint(slotOf(channel))
	fromID, toID := from.ID(), to.ID()
	to.CLI("CLUSTER", "SETSLOT", slot, "IMPORTING", fromID)
	from.CLI("CLUSTER", "SETSLOT", slot, "MIGRATING", toID)
	stream, position := newKeeper(keeping("").History, false).inCluster().keys(channel)
	for _, key := range []string{position, stream} { // only one is there: TRYAGAIN; none: ASK
		from.CLI("MIGRATE", "127.0.0.1", fmt.Sprint(to.Port), key, "0", "10000")
		if err := n.Published(channel, "refused"); !errors.Is(err, broker.ErrDown) {
			t.Errorf("once %s has moved, the outcome is %v", key, err)
		}
	}
	for _, s := range []*redistest.Server{to, from, servers[1]} {
		s.CLI("CLUSTER", "SETSLOT", slot, "NODE", toID)
	}
	n.Until("it is published to", func() bool { return n.Published(channel, "3") == nil })
	page := n.Read(channel, before, 0)
	if page.Complete || page.Tail.Epoch == before.Epoch {
		t.Errorf("after %q, %+v is read", before, page)
	}
	n.Until("the subscription is in force again", func() bool { return slices.Contains(n.Resumed(), channel+" after 2") })
	last := n.Place(channel, "4")
	n.Until("the last came", func() bool { return strings.HasSuffix(n.Last(), "\n4") })
	if page := n.Read(channel, page.Tail, 0); !page.Complete || page.Tail != last {
		t.Errorf("after %q, %+v is read", page.Tail, page)
	}
}
