package broker_test

import (
	"testing"

	"wsify/broker"
)

// Names that come from the engine are not trusted: a name without the prefix belongs to no channel
// here.
func TestNamesWithoutThePrefixAreIgnored(t *testing.T) {
	const prefix = "shop:"
	e := newFakeEngine()
	n := remote(t, e, broker.Config{Prefix: prefix})
	n.Join("c")
	tell := func(name string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for l := range e.links {
			l.to.Received([]byte(name), []byte(`"for nobody"`))
			l.to.Confirmed(name)
			l.to.Ended(name, errBusy)
		}
	}
	for _, name := range []string{"", "c", "desk:c"} {
		tell(name)
	}
	n.MustPublish("c", "1")
	n.Expect("c", "1")
	if st := n.Stats(); st.SubscriptionEnds != 0 || st.Received != 1 {
		t.Errorf("%d subscriptions ended, %d publications received, want none and one", st.SubscriptionEnds, st.Received)
	}
}
