package broker_test

import (
	"slices"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// The link was lost, and when there is another one a server does not serve yet: the node is
// not up before it does, as what other nodes publish there is not heard here.
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
	for range 2 { // it is asked for again, so that its refusal has been judged
		<-asked
	}
	if n.Up() {
		t.Fatal("the node is up, and one of its channels is not in force")
	}
	e.set(func() {
		delete(e.refused, "there")
		for l := range e.links {
			l.to.Returned()
		}
	})
	n.WaitUp()
	e.publish("there", "1")
	brokertest.Until(t, "it is heard", func() bool { return n.Last() == "1" })
}
