package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// remote returns a node of a fake engine.
func remote(t *testing.T, e *fakeEngine, cfg broker.Config) *brokertest.Node {
	t.Helper()
	return brokertest.Up(t, e.openBroker, cfg)
}

// A join is acknowledged when the engine has confirmed the subscription, not before.
func TestAwaitWaitsForTheEngine(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	e.hold()
	n.Subscribe("c")
	outcome := make(chan error, 2)
	for range 2 {
		if pending, err := n.Await([]byte("c"), func(err error) { outcome <- err }); !pending || err != nil {
			t.Fatalf("Await = %t, %v, want it to be pending", pending, err)
		}
	}
	brokertest.Until(t, "the engine was asked", func() bool { return n.Stats().Pending == 1 })
	select {
	case err := <-outcome:
		t.Fatalf("Await answers %v before the engine does", err)
	default:
	}
	brokertest.Until(t, "the engine holds it", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for l := range e.links {
			return len(l.held) == 1
		}
		return false
	})
	e.release()
	for range 2 {
		if err := n.Outcome("Await", outcome); err != nil {
			t.Errorf("Await: %v", err)
		}
	}
	if pending, err := n.Await([]byte("c"), nil); pending || err != nil {
		t.Errorf("Await = %t, %v after that", pending, err)
	}
}

// Joins that wait for a subscription are answered when the link is lost.
func TestLostLinkAnswersWaitingJoins(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	e.hold()
	n.Subscribe("c")
	outcome := make(chan error, 1)
	if pending, err := n.Await([]byte("c"), func(err error) { outcome <- err }); !pending {
		t.Fatalf("Await = %t, %v", pending, err)
	}
	e.stop()
	if err := n.Outcome("Await", outcome); err != broker.ErrDown {
		t.Errorf("Await: %v, want %v", err, broker.ErrDown)
	}
}

// A refused channel is asked for again. It delays neither other channels nor the node.
func TestRefusedChannelIsAskedForAgain(t *testing.T) {
	e := newFakeEngine()
	no := errors.New("not allowed")
	e.refused["secret"] = no
	n := remote(t, e, broker.Config{})
	n.Subscribe("secret")
	n.Subscribe("open")
	if err := n.Awaited("open"); err != nil {
		t.Errorf("Await open: %v", err)
	}
	brokertest.Until(t, "it was refused", func() bool { return n.Stats().SubscriptionEnds > 0 })
	e.stop()
	e.start()
	n.Until("it is up again, although the engine refuses one of the two", func() bool { return n.Stats().Connects == 2 && n.Up() })
	e.set(func() { delete(e.refused, "secret") })
	brokertest.Until(t, "it is in force", func() bool { return n.Stats().Pending == 0 })
	n.MustPublish("secret", "1")
	n.Expect("secret", "1")
}

// Many channels are subscribed to in batches, also after the engine was unreachable.
func TestSubscriptionsGoOutInBatches(t *testing.T) {
	const count = 5000
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	e.stop()
	brokertest.Until(t, "the node has noticed", func() bool { return !n.Up() })
	for i := range count {
		n.Subscribe(fmt.Sprint(i))
	}
	e.set(func() { e.batches = nil })
	e.start()
	n.WaitUp()
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := 0
	for _, b := range e.batches {
		sum += b
	}
	if len(e.batches) != (count+broker.MaxBatch-1)/broker.MaxBatch || sum != count || slices.Max(e.batches) > broker.MaxBatch {
		t.Errorf("batches of %v, want %d in as few as possible of at most %d", e.batches, count, broker.MaxBatch)
	}
}

// A channel that is left and joined again within a second stays subscribed to.
func TestChurnDoesNotReachTheEngine(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	n.Join("c")
	for range 10000 {
		n.Unsubscribe("c")
		n.Subscribe("c")
	}
	if err := n.Awaited("c"); err != nil {
		t.Fatalf("Await: %v", err)
	}
	e.mu.Lock()
	if len(e.batches) != 1 || e.ended != 0 {
		t.Errorf("the engine saw %v subscriptions and %d ends, want one and none", e.batches, e.ended)
	}
	e.mu.Unlock()
	n.Unsubscribe("c")
	brokertest.Until(t, "the subscription ends", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.ended == 1
	})
}

// When the outbox is full the publisher is told, and told again when there is room.
func TestFullOutboxTellsOfRoom(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, broker.Config{BufferSize: 256 << 10})
	gate := make(chan struct{})
	e.set(func() { e.gate = gate })
	taken, w := 0, new(broker.Waiter)
	var err error
	for err == nil {
		if _, _, err = n.Broker.Publish(w, []byte("c"), make([]byte, 1000), nil); err == nil {
			taken++
		}
	}
	if err != broker.ErrFull || taken < 32 {
		t.Fatalf("after %d publications: %v, want %v", taken, err, broker.ErrFull)
	}
	close(gate)
	brokertest.Until(t, "there is room", func() bool { return n.Rooms() == 1 })
	if _, _, err := n.Broker.Publish(w, []byte("c"), make([]byte, 1000), nil); err != nil {
		t.Errorf("a waiter that was told gets %v", err)
	}
}

// The outcome of a publication that is under way when the link is lost is unknown; publications
// that waited behind it were not published.
func TestOutcomesWhenTheLinkIsLost(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	e.set(func() { e.gate = make(chan struct{}) })
	outcomes := make(chan error, 2)
	publish := func() {
		if pending, _, err := n.Publish([]byte("c"), []byte("1"), func(_ broker.Receipt, err error) { outcomes <- err }); !pending {
			t.Fatalf("Publish: %v", err)
		}
	}
	publish()
	brokertest.Until(t, "it is under way", func() bool { return n.Stats().Waiting == 0 })
	publish()
	e.stop()
	for _, want := range []error{broker.ErrUnknown, broker.ErrDown} {
		if err := n.Outcome("Publish", outcomes); !errors.Is(err, want) {
			t.Errorf("outcome %v, want %v", err, want)
		}
	}
}

// The publisher gets an error of the engine, and the link goes on. PublishTook is called only for
// publications that the engine has taken.
func TestRefusedPublication(t *testing.T) {
	e := newFakeEngine()
	var took atomic.Int64
	n := remote(t, e, broker.Config{PublishTook: func(time.Duration) { took.Add(1) }})
	no := errors.New("not allowed")
	e.set(func() { e.failing = no })
	if err := n.Published("c", "1"); err != no {
		t.Errorf("Publish: %v, want %v", err, no)
	}
	e.set(func() { e.failing = nil })
	n.MustPublish("c", "2")
	if st := n.Stats(); st.Publications["refused"] != 1 || st.Publications["ok"] != 1 || st.Connects != 1 {
		t.Errorf("outcomes %v after %d connects", st.Publications, st.Connects)
	}
	if n := took.Load(); n != 1 {
		t.Errorf("%d publications are timed, want 1", n)
	}
}

// While the server of a channel is unreachable and the channel has members here, publications to it
// are refused, because these members would miss them.
func TestNothingIsTakenForADeafChannel(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	n.Join("c", "other")
	unreachable := fmt.Errorf("%w: for the test", broker.ErrUnreachable)
	e.set(func() {
		e.refused["c"] = unreachable
		for l := range e.links {
			delete(l.channels, "c")
			l.to.Ended("c", unreachable)
		}
	})
	if err := n.Published("c", "1"); err != broker.ErrDown {
		t.Errorf("Publish to a deaf channel: %v, want %v", err, broker.ErrDown)
	}
	if err := n.Awaited("c"); err != broker.ErrDown {
		t.Errorf("Await of a deaf channel: %v, want %v", err, broker.ErrDown)
	}
	n.MustPublish("other", "2")
	e.set(func() { delete(e.refused, "c") })
	brokertest.Until(t, "it is in force again", func() bool { return n.Stats().Pending == 0 })
	n.MustPublish("c", "3")
	n.Expect("c", "3")
	n.Unsubscribe("c")
	brokertest.Until(t, "it is forgotten", func() bool { return n.Stats().Subscriptions == 1 })
	if deaf := n.Broker.(*broker.Remote).Deaf(); deaf != 0 {
		t.Errorf("%d channels count as deaf in the end", deaf)
	}
}
