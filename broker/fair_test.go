package broker_test

import (
	"fmt"
	"slices"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// A client that joins without a pause does not keep the node down: up depends only on the channels
// from before the link was opened.
func TestUpComesDuringAFloodOfJoins(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	e.stop()
	brokertest.Until(t, "the node has noticed", func() bool { return !n.Up() })
	n.Subscribe("before")
	count := 0
	e.set(func() {
		e.asked = func([]string) { // the next join comes before this one is answered
			count++
			n.Subscribe(fmt.Sprint(count))
		}
	})
	defer e.set(func() { e.asked = nil })
	e.start()
	n.WaitUp()
}

// After a crowd has left, a join does not wait for all of its subscriptions to end.
func TestAJoinDoesNotWaitForAThousandLeaves(t *testing.T) {
	const crowd = 4 * broker.MaxBatch
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	var names []string
	for i := range crowd {
		names = append(names, fmt.Sprint(i))
	}
	n.Join(names...)
	joined, endedBefore := false, -1
	e.set(func() {
		e.ending = func() {
			if !joined {
				joined = true
				n.Subscribe("new")
			}
		}
		e.asked = func(channels []string) {
			if slices.Contains(channels, "new") {
				endedBefore = e.ended
			}
		}
	})
	for _, name := range names {
		n.Unsubscribe(name)
	}
	brokertest.Until(t, "all have ended", func() bool { return n.Stats().Subscriptions == 1 && n.Stats().Pending == 0 })
	e.mu.Lock()
	defer e.mu.Unlock()
	if endedBefore < 0 || endedBefore >= crowd {
		t.Errorf("the join was asked for after %d of %d leaves", endedBefore, crowd)
	}
}

// When an engine takes a batch of subscriptions and hangs, joins wait no longer than Await
// promises: they are answered before the link is given up.
func TestAwaitHasAnAnswerWhileTheEngineHangs(t *testing.T) {
	t.Parallel()
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	e.set(func() { e.hung = true })
	n.Subscribe("c")
	if err := n.Awaited("c"); err != broker.ErrNoAck {
		t.Errorf("Await: %v, want %v", err, broker.ErrNoAck)
	}
}
