package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// anyCluster returns a link to masters that need not exist.
func anyCluster(t *testing.T, to broker.Sink, masters ...string) *clusterLink {
	t.Helper()
	o, err := parseDSN("redis://" + masters[0])
	if err != nil {
		t.Fatal(err)
	}
	l := newClusterLink(to, &dialer{o: o, timeout: o.timeout, log: discard}, true)
	t.Cleanup(l.stop)
	for _, addr := range masters {
		l.nodes[addr] = &node{Sink: to, l: l, addr: addr, stop: func() {}, done: make(chan struct{})}
		close(l.nodes[addr].done)
	}
	return l
}

// Many nodes do not all ask the same master first, and none asks an unreachable one first.
func TestClusterIsAskedAtAnyMaster(t *testing.T) {
	l := anyCluster(t, brokertest.Nowhere{}, "a:1", "b:1", "c:1", "d:1")
	for addr, n := range l.nodes {
		if addr != "b:1" {
			n.pub = &conn{}
		}
	}
	first := map[string]bool{}
	for range 1000 {
		c := l.candidates()
		if len(c) != 5 || c[3] != "b:1" {
			t.Fatalf("%q, want b last, before the addresses of the DSN", c)
		}
		first[c[0]] = true
	}
	if len(first) != 3 {
		t.Errorf("%d masters were first, want 3", len(first))
	}
	l.suspect("e:1")
	if c := l.candidates(); len(c) != 6 || c[0] != "e:1" {
		t.Errorf("%q, want e first, which knows better", c)
	}
}

// Nodes that do not answer do not keep the table from being read, nor are they asked first the next
// time.
func TestClusterTableIsReadPastSilentNodes(t *testing.T) {
	const ok = "$16\r\ncluster_state:ok\r\n"
	good := fakeServer(t, map[string]string{"HELLO": helloMaster, "PING": "+PONG\r\n", "CLUSTER INFO": ok,
		"CLUSTER SLOTS": "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:7000\r\n"})
	var masters []string
	for range 12 { // too many to wait for one after another
		masters = append(masters, silentServer(t))
	}
	l := anyCluster(t, brokertest.Nowhere{}, append(masters, good)...)
	ctx, cancel := context.WithTimeout(t.Context(), broker.SubscribeTimeout)
	defer cancel()
	t.Cleanup(l.Close)
	if err := l.refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if n := l.owner[0]; n == nil || n.addr != "127.0.0.1:7000" || len(l.nodes) != 1 {
		t.Errorf("slot 0 is of %+v, one of %d nodes", n, len(l.nodes))
	}
}

// A forbidden channel is refused without reading the table again.
func TestClusterIsNotAskedForWhatIsForbidden(t *testing.T) {
	l := anyCluster(t, brokertest.Nowhere{}, "a:1")
	n := l.nodes["a:1"]
	n.Ended("c", fmt.Errorf("redis refuses the subscription: %w", respError("NOPERM No permissions to access a channel")))
	if l.stale.Load() {
		t.Error("a forbidden channel makes the table stale")
	}
	n.Ended("c", fmt.Errorf("redis refuses the subscription: %w", respError("MOVED 1 ?:1")))
	if !l.stale.Load() {
		t.Error("a slot that moved does not make the table stale")
	}
}

// A link is given up while the table is read from masters that do not answer.
func TestClusterSubscribeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l := anyCluster(t, brokertest.Nowhere{}, silentServer(t))
	l.suspect("")
	l.reading.Lock()
	read := make(chan error, 1)
	go func() {
		defer l.reading.Unlock()
		read <- l.refresh(l.ctx)
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
		t.Error("subscribe goes on after its context has ended")
		l.stop()
	}
	<-read
}

// lockedSink checks whether ends are reported while the lock of the link is held.
type lockedSink struct {
	brokertest.Nowhere
	l     *clusterLink
	ended []string
	free  int // calls without the lock
}

func (s *lockedSink) Ended(channel string, _ error) {
	s.ended = append(s.ended, channel)
	if s.l.mu.TryLock() {
		s.l.mu.Unlock()
		s.free++
	}
}

// A publisher never finds a channel without an owner that has not been reported as ended: its
// publication would have no receiver.
func TestMovedChannelIsDeafBeforeItHasNoHome(t *testing.T) {
	sink := &lockedSink{}
	l := anyCluster(t, sink, "a:1", "b:1", "c:1")
	sink.l = l
	a, slot := l.nodes["a:1"], slotOf("foo")
	home := func() {
		l.owner[slot] = a
		l.channels[slot] = map[string]struct{}{"foo": {}}
	}
	table := &slotTable{masters: []string{"a:1", "b:1", "c:1"}}
	table.owner[slot] = "b:1"
	for name, move := range map[string]func(){
		"unasked": func() { a.Ended("foo", broker.ErrMoved) },
		"MOVED":   func() { a.Ended("foo", respError("MOVED 12182 b:1")) },
		"publish": func() { l.mu.Lock(); l.moved(slot, a, "c:1"); l.mu.Unlock() },
		"table":   func() { l.follow(table) },
	} {
		home()
		sink.ended = nil
		move()
		if len(sink.ended) != 1 || sink.free != 0 || len(l.channels) != 0 {
			t.Errorf("%s: %q have ended, %d of them without the lock; %d slots are left", name, sink.ended, sink.free, len(l.channels))
		}
	}
}

// Others wait behind a publication that waits for a master, so none waits for a master whose last
// attempt failed.
func TestWhatIsPublishedWaitsForTheFirstAttemptOnly(t *testing.T) {
	t.Parallel()
	server := brokertest.Listen(t)
	l := anyCluster(t, brokertest.Nowhere{}, "a:1")
	l.mu.Lock()
	n := l.node(server.Addr().String())
	first := n.opening
	l.mu.Unlock()
	for range 2 { // the first attempt fails, and the second is under way
		conn, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		select {
		case <-first:
		default:
			_ = conn.Close()
			<-first
		}
	}
	l.mu.Lock()
	again := n.opening
	l.mu.Unlock()
	if again != nil {
		t.Error("a publication waits for the second attempt")
	}
	n.group = []*broker.Publication{{Channel: "c"}}
	n.publish(t.Context())
	if err := n.group[0].Err; !errors.Is(err, broker.ErrDown) || !errors.Is(err, errNodeResting) {
		t.Errorf("the publication ended with %v, want that the master rests", err)
	}
	l.stop()
	<-n.done
}
