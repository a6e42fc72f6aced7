package broker_test

import (
	"slices"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// After a new link is opened, a server does not serve yet. The node is not up before it does,
// because its members would miss what other nodes publish there.
func TestNodeIsNotUpBeforeItsServersHaveReturned(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	n.Join("here", "there")
	e.stop()
	n.Until("the node has noticed", func() bool { return !n.Up() })
	e.set(func() { e.refused["there"] = broker.ErrNotYet })
	asked := make(chan struct{}, 100)
	e.asked = func(channels []string) {
		if slices.Contains(channels, "there") {
			asked <- struct{}{}
		}
	}
	e.start()
	for range 2 { // the second request comes after the refusal of the first was handled
		<-asked
	}
	if n.Up() {
		t.Fatal("the node is up before all of its channels are in force")
	}
	e.set(func() {
		delete(e.refused, "there")
		for l := range e.links {
			l.to.Returned()
		}
	})
	n.WaitUp()
	e.publish("there", "1")
	brokertest.Until(t, "the node has received it", func() bool { return n.Last() == "1" })
}
