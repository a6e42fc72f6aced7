package broker_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

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

// A channel that is in force again may be read at once, although the node waits for another one.
// WhenResumed will not be called again for it.
func TestHistoryIsReadBeforeTheNodeIsUp(t *testing.T) {
	e := newFakeEngine()
	n := remote(t, e, brokertest.Keeping(10, time.Hour))
	n.Join("h", "there")
	e.stop()
	n.Until("the node has noticed", func() bool { return !n.Up() })
	e.set(func() { e.refused["there"] = broker.ErrNotYet })
	e.start()
	n.Until("one is in force again", func() bool { return slices.Contains(n.Resumed(), "h after 0") })
	if n.Up() {
		t.Fatal("the node is up before all of its channels are in force")
	}
	if page := n.Read("h", broker.Position{}, 0); page.Tail.Epoch != "fake" {
		t.Errorf("%+v is read", page)
	}
	e.stop()
	n.Until("the link is lost", func() bool {
		_, err := n.Broker.(broker.Historian).ReadHistory(t.Context(), "h", broker.Position{}, 0)
		return errors.Is(err, broker.ErrDown)
	})
}

// When the backlog has dropped a publication, its channel is told to have missed something.
func TestADroppedPublicationIsMissed(t *testing.T) {
	e := newFakeEngine()
	cfg := brokertest.Keeping(10, time.Hour)
	cfg.BufferSize = 1000
	n := remote(t, e, cfg)
	n.Join("h", "plain")
	n.Refuse(errBusy)
	for range 9 {
		e.publish("h", "1")
		e.publish("plain", "1")
	}
	if n.Stats().Dropped["channel_busy"] == 0 {
		t.Fatal("nothing was dropped")
	}
	n.Refuse(nil)
	n.Until("what waited is delivered, and the rest is missed", func() bool {
		n.Room("h")
		n.Room("plain")
		return n.Stats().BacklogBytes == 0 && len(n.Resumed()) > 0
	})
	if told := n.Resumed(); !strings.HasPrefix(told[len(told)-1], "h after ") || strings.Contains(strings.Join(told, ","), "plain") {
		t.Errorf("publications are missed: %q", told)
	}
}
