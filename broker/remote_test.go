package broker

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"
)

// remote is a node of a fake engine.
func remote(t *testing.T, e *fakeEngine, cfg Config) *member {
	t.Helper()
	r := &rig{open: func(_ testing.TB, cfg Config) anyBroker { return newRemote(cfg, e) }}
	return r.join(t, cfg)
}

// A join is acknowledged when the engine has confirmed, not before.
func TestAwaitWaitsForTheEngine(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, Config{})
	e.hold()
	n.Subscribe("c")
	outcome := make(chan error, 2)
	for range 2 {
		if pending, err := n.Await([]byte("c"), func(err error) { outcome <- err }); !pending || err != nil {
			t.Fatalf("Await = %t, %v, want it to be pending", pending, err)
		}
	}
	waitFor(t, "the engine was asked", func() bool { return statsOf(n).Pending == 1 })
	select {
	case err := <-outcome:
		t.Fatalf("an answer %v before the engine's", err)
	default:
	}
	waitFor(t, "the engine holds it", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for l := range e.links {
			return len(l.held) == 1
		}
		return false
	})
	e.release()
	for range 2 {
		if err := n.outcome("Await", outcome); err != nil {
			t.Errorf("Await: %v", err)
		}
	}
	if pending, err := n.Await([]byte("c"), nil); pending || err != nil {
		t.Errorf("Await = %t, %v after that", pending, err)
	}
}

// Who waits for a subscription is told when the link is lost meanwhile.
func TestLostLinkAnswersWhoWaits(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, Config{})
	e.hold()
	n.Subscribe("c")
	outcome := make(chan error, 1)
	if pending, err := n.Await([]byte("c"), func(err error) { outcome <- err }); !pending {
		t.Fatalf("Await = %t, %v", pending, err)
	}
	e.stop()
	if err := n.outcome("Await", outcome); err != ErrDown {
		t.Errorf("Await: %v, want %v", err, ErrDown)
	}
}

// A channel that the engine refuses is asked for again; the others, and the node,
// are not held up by it.
func TestRefusedChannelIsAskedForAgain(t *testing.T) {
	e := newFakeEngine()
	no := errors.New("not allowed")
	e.refused["secret"] = no
	n := remote(t, e, Config{})
	n.Subscribe("secret")
	n.Subscribe("open")
	if err := n.await("open"); err != nil {
		t.Errorf("Await open: %v", err)
	}
	waitFor(t, "it was refused", func() bool { return statsOf(n).SubscriptionEnds > 0 })
	e.stop()
	e.start()
	n.waitUp() // although one of the two is refused
	e.set(func() { delete(e.refused, "secret") })
	waitFor(t, "it is in force", func() bool { return statsOf(n).Pending == 0 })
	n.mustPublish("secret", "1")
	n.expect("secret", "1")
}

// Many channels are subscribed to in batches, also after the engine was away.
func TestSubscriptionsGoOutInBatches(t *testing.T) {
	const count = 5000
	e := newFakeEngine()
	n := remote(t, e, Config{})
	e.stop()
	waitFor(t, "the node has noticed", func() bool { return !n.Up() })
	for i := range count {
		n.Subscribe(fmt.Sprint(i))
	}
	e.set(func() { e.batches = nil })
	e.start()
	n.waitUp()
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := 0
	for _, b := range e.batches {
		sum += b
	}
	if len(e.batches) != (count+maxBatch-1)/maxBatch || sum != count || slices.Max(e.batches) > maxBatch {
		t.Errorf("batches of %v, want %d in as few as possible of at most %d", e.batches, count, maxBatch)
	}
}

// A channel that is left and joined again within a second stays subscribed to.
func TestChurnDoesNotReachTheEngine(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, Config{})
	n.subscribe("c")
	for range 10000 {
		n.Unsubscribe("c")
		n.Subscribe("c")
	}
	if err := n.await("c"); err != nil {
		t.Fatalf("Await: %v", err)
	}
	e.mu.Lock()
	if len(e.batches) != 1 || e.ended != 0 {
		t.Errorf("the engine saw %v subscriptions and %d ends, want one and none", e.batches, e.ended)
	}
	e.mu.Unlock()
	n.Unsubscribe("c")
	waitFor(t, "the subscription ends", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.ended == 1
	})
}

// So many lingering subscriptions are kept and no more.
func TestLingeringIsBounded(t *testing.T) {
	tab := newTable()
	tab.opened()
	now := time.Now()
	for i := range maxLingering + 10 {
		name := fmt.Sprint(i)
		tab.want(name)
		tab.take(now)
		tab.confirm(name, now)
		tab.unwant(name, now)
	}
	names, _ := tab.sweep(now)
	if len(names) != 10 || names[0] != "0" {
		t.Errorf("%d subscriptions end at once, the first %v, want the 10 oldest", len(names), names)
	}
	ended := 0
	for {
		names, _ := tab.sweep(now.Add(linger))
		if len(names) == 0 {
			break
		}
		ended += len(names)
	}
	if all, pending := tab.sizes(); ended != maxLingering || all != 0 || pending != 0 {
		t.Errorf("%d end later, %d are left, %d of them pending", ended, all, pending)
	}
}

// The late confirmation of a subscription that is not wanted any more must not be
// taken for that of one that is.
func TestConfirmationIsNotTakenForAnothers(t *testing.T) {
	tab := newTable()
	tab.opened()
	now := time.Now()
	tab.want("c")
	tab.take(now)
	tab.unwant("c", now)
	if names, _ := tab.sweep(now.Add(2 * linger)); len(names) != 0 {
		t.Fatalf("%v ends before it is confirmed", names)
	}
	tab.want("c") // again: the first request is still under way
	if names, _ := tab.take(now); len(names) != 0 {
		t.Fatalf("%v is asked for twice", names)
	}
	tab.confirm("c", now)
	if _, pending := tab.sizes(); pending != 0 {
		t.Error("it is not in force")
	}
}

// A waiter has its answer in bounded time, and an engine that confirms nothing is
// given up.
func TestUnconfirmedSubscriptionIsOverdue(t *testing.T) {
	tab := newTable()
	tab.opened()
	now := time.Now()
	tab.want("c")
	tab.take(now)
	if pending, err := tab.await([]byte("c"), func(error) {}, now); !pending || err != nil {
		t.Fatalf("await = %t, %v", pending, err)
	}
	for _, c := range []struct {
		after time.Duration
		late  bool
		stuck bool
	}{{awaitTimeout - 1, false, false}, {awaitTimeout, true, false}, {2 * awaitTimeout, false, false}, {2*awaitTimeout + 1, false, true}} {
		late, _ := tab.overdue(now.Add(c.after))
		if stuck := tab.stuck(now.Add(c.after)); (late != nil) != c.late || stuck != c.stuck {
			t.Errorf("after %s: late %t, stuck %t; want %t, %t", c.after, late != nil, stuck, c.late, c.stuck)
		}
	}
}

// When the outbox is full the publisher is told, and told again when there is room.
func TestFullOutboxTellsOfRoom(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, Config{BufferSize: 256 << 10})
	gate := make(chan struct{})
	e.set(func() { e.gate = gate })
	taken, w := 0, new(Waiter)
	var err error
	for err == nil {
		if _, err = n.PublishFor(w, []byte("c"), make([]byte, 1000), nil); err == nil {
			taken++
		}
	}
	if err != ErrFull || taken < 32 {
		t.Fatalf("after %d publications: %v, want %v", taken, err, ErrFull)
	}
	close(gate)
	waitFor(t, "there is room", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.rooms == 1
	})
	if _, err := n.PublishFor(w, []byte("c"), make([]byte, 1000), nil); err != nil {
		t.Errorf("who was told is answered %v", err)
	}
}

// A publication under way when the link is lost may have been published; what
// waited behind it was not.
func TestOutcomesWhenTheLinkIsLost(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, Config{})
	e.set(func() { e.gate = make(chan struct{}) })
	outcomes := make(chan error, 2)
	publish := func() {
		if pending, err := n.Publish([]byte("c"), []byte("1"), func(err error) { outcomes <- err }); !pending {
			t.Fatalf("Publish: %v", err)
		}
	}
	publish()
	waitFor(t, "it is under way", func() bool { return statsOf(n).Waiting == 0 })
	publish()
	e.stop()
	for _, want := range []error{ErrUnknown, ErrDown} {
		if err := n.outcome("Publish", outcomes); !errors.Is(err, want) {
			t.Errorf("outcome %v, want %v", err, want)
		}
	}
}

// An error of the engine is the publisher's, and the link goes on.
func TestRefusedPublication(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, Config{})
	no := errors.New("not allowed")
	e.set(func() { e.failing = no })
	if err := n.publish("c", "1"); err != no {
		t.Errorf("Publish: %v, want %v", err, no)
	}
	e.set(func() { e.failing = nil })
	n.mustPublish("c", "2")
	if st := statsOf(n); st.Publications["refused"] != 1 || st.Publications["ok"] != 1 || st.Connects != 1 {
		t.Errorf("outcomes %v after %d connects", st.Publications, st.Connects)
	}
}

// Attempts grow apart, up to a bound, and are never all at the same moment.
func TestBackoffGrowsAndIsRandom(t *testing.T) {
	for attempt, longest := range []time.Duration{backoffFirst, 2 * backoffFirst, 4 * backoffFirst} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := backoff(attempt)
			seen[d] = true
			if d <= 0 || d > longest+time.Millisecond {
				t.Fatalf("backoff(%d) = %s, want at most %s", attempt, d, longest)
			}
		}
		if len(seen) < 50 {
			t.Errorf("backoff(%d) took %d values in 100 calls", attempt, len(seen))
		}
	}
	if d := backoff(1000); d > backoffLast+time.Millisecond {
		t.Errorf("backoff(1000) = %s", d)
	}
}

// The same trouble is the same text each time, so that it is logged once: net's words
// for it have the port of the attempt.
func TestAnErrorOfAConnectionHasNoPortOfOurs(t *testing.T) {
	read := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 40001}, Addr: &net.TCPAddr{Port: 6379}, Err: syscall.ECONNRESET}
	if got := withoutAddresses(read); got != error(syscall.ECONNRESET) {
		t.Errorf("withoutAddresses(%q) = %q", read, got)
	}
	for _, err := range []error{nil, errBusy, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}} {
		if got := withoutAddresses(err); got != err {
			t.Errorf("withoutAddresses(%v) = %v", err, got)
		}
	}
}
