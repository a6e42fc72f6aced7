package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// anyCluster is a link to masters that need not be there.
func anyCluster(t *testing.T, masters ...string) *shardedLink {
	t.Helper()
	o, err := parseDSN("redis://" + masters[0])
	if err != nil {
		t.Fatal(err)
	}
	m := &slotMap{dialer: &dialer{o: o, log: discard}, silent: map[string]time.Time{}}
	m.slots.Store(&slotTable{masters: masters})
	l := &shardedLink{to: brokertest.Nowhere{}, m: m, masters: map[string]*master{}, slots: map[int]*slotHome{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	t.Cleanup(l.stop)
	return l
}

// Many nodes of ours do not all ask the same master, nor one that is away.
func TestClusterIsAskedAtAnyMaster(t *testing.T) {
	l := anyCluster(t, "a:1", "b:1", "c:1", "d:1")
	l.m.silent["b:1"] = time.Now()
	first := map[string]bool{}
	for range 1000 {
		c := l.m.candidates()
		if len(c) != 5 || c[3] != "b:1" {
			t.Fatalf("%q, want b last but for what the DSN says", c)
		}
		first[c[0]] = true
	}
	if len(first) != 3 {
		t.Errorf("%d masters were first, want 3", len(first))
	}
}

// Nodes that swallow what they are asked do not keep the table from being read, nor are
// they asked first the next time.
func TestClusterTableIsReadPastSilentNodes(t *testing.T) {
	const ok = "$16\r\ncluster_state:ok\r\n"
	good := fakeServer(t, map[string]string{"HELLO 2": helloMaster, "PING": "+PONG\r\n", "CLUSTER INFO": ok,
		"CLUSTER SLOTS": "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:7000\r\n"})
	var masters []string
	for range 12 { // longer than there is time, one behind the other
		masters = append(masters, silentServer(t))
	}
	l := anyCluster(t, append(masters, good)...)
	ctx, cancel := context.WithTimeout(t.Context(), broker.SubscribeTimeout)
	defer cancel()
	if err := l.m.refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if got := l.m.slots.Load().masters; !slices.Equal(got, []string{"127.0.0.1:7000"}) {
		t.Errorf("masters %q", got)
	}
}

// What a user may not is refused without asking the cluster who owns what.
func TestClusterIsNotAskedForWhatIsForbidden(t *testing.T) {
	l := anyCluster(t, "a:1")
	n := &master{Sink: l.to, l: l}
	n.Ended("c", fmt.Errorf("redis refuses the subscription: %w", respError("NOPERM No permissions to access a channel")))
	if l.m.stale.Load() {
		t.Error("a forbidden channel makes the table stale")
	}
	n.Ended("c", fmt.Errorf("redis refuses the subscription: %w", respError("MOVED 1 b:1")))
	if !l.m.stale.Load() {
		t.Error("a slot that moved does not")
	}
}

// A link is given up while the table is read from masters that say nothing.
func TestClusterSubscribeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l := anyCluster(t, slices.Repeat([]string{silentServer(t)}, 50)...)
	l.m.suspect("")
	l.m.reading.Lock()
	read := make(chan error, 1)
	go func() {
		defer l.m.reading.Unlock()
		read <- l.m.refresh(l.ctx)
	}()
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { asked <- l.Subscribe(ctx, []string{"c"}) }()
	cancel()
	select {
	case err := <-asked:
		if err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("subscribe: %v", err)
		}
	case <-time.After(brokertest.Patience):
		t.Error("subscribe goes on after its context")
		l.stop()
	}
	<-read
}

// lockedSink sees whether channels are told to have ended while their home is locked.
type lockedSink struct {
	brokertest.Nowhere
	l     *shardedLink
	ended []string
	free  int // times that it was not
}

func (s *lockedSink) Ended(channel string, _ error) {
	s.ended = append(s.ended, channel)
	if s.l.mu.TryLock() {
		s.l.mu.Unlock()
		s.free++
	}
}

// Who publishes finds no channel that is at home nowhere and not told to have ended yet:
// it would be published where nobody hears it.
func TestMovedChannelIsDeafBeforeItHasNoHome(t *testing.T) {
	l := anyCluster(t, "a:1", "b:1")
	sink := &lockedSink{l: l}
	l.to = sink
	n := &master{Sink: sink, l: l, addr: "a:1"}
	home := func() {
		l.slots[slotOf("foo")] = &slotHome{at: n, channels: map[string]struct{}{"foo": {}}}
	}
	home()
	n.Ended("foo", errUnasked)
	home()
	table := &slotTable{masters: []string{"b:1"}}
	table.owner[slotOf("foo")] = "b:1"
	l.follow(table)
	if len(sink.ended) != 2 || sink.free != 0 || len(l.slots) != 0 {
		t.Errorf("%q have ended, %d of them without the lock; %d slots are left", sink.ended, sink.free, len(l.slots))
	}
}
