package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// After Settle each publication from before has its outcome and was delivered here.
func TestSettledPublicationsAreAnsweredAndHeard(t *testing.T) {
	forEach(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{})
		n.Join("c")
		for round := range 20 {
			const each = 50
			var answered atomic.Int64
			for i := range each {
				pending, _, err := n.Broker.Publish(nil, []byte("c"), fmt.Append(nil, i), func(broker.Receipt, error) { answered.Add(1) })
				if err != nil {
					t.Fatal(err)
				}
				if !pending {
					answered.Add(1)
				}
			}
			if err := n.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, heard := answered.Load(), len(n.Contents("c")); got != each || heard != (round+1)*each {
				t.Fatalf("round %d: %d of %d answered, %d of %d heard", round, got, each, heard, (round+1)*each)
			}
		}
	})
}

func TestSettleEndsWithoutTheEngine(t *testing.T) {
	withEngine(t, func(t *testing.T, r *rig) {
		n := r.up(t, broker.Config{})
		r.stop()
		n.Until("the node has noticed", func() bool { return !n.Up() })
		if err := n.Settle(t.Context()); err != broker.ErrDown {
			t.Errorf("Settle: %v, want %v", err, broker.ErrDown)
		}
	})
}

// An engine that hangs does not hold up a node that shuts down.
func TestSettleEndsWithItsContext(t *testing.T) {
	e := newFakeEngine()
	n := brokertest.Up(t, e.openBroker, broker.Config{})
	gate := make(chan struct{})
	e.set(func() { e.gate = gate })
	defer close(gate)
	if _, _, err := n.Broker.Publish(nil, []byte("c"), []byte("1"), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := n.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Settle: %v, want %v", err, context.DeadlineExceeded)
	}
}
