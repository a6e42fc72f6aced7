package broker

import "testing"

// What an engine calls a channel is not trusted: a name without the prefix is of
// nobody here.
func TestNamesWithoutThePrefixAreIgnored(t *testing.T) {
	const prefix = "shop:"
	e := newFakeEngine()
	n := remote(t, e, Config{Prefix: prefix})
	n.subscribe("c")
	tell := func(name string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for l := range e.links {
			l.to.received([]byte(name), []byte(`"for nobody"`))
			l.to.confirmed(name)
			l.to.ended(name, errBusy)
		}
	}
	for _, name := range []string{"", "c", "desk:c"} {
		tell(name)
	}
	n.mustPublish("c", "1")
	n.expect("c", "1")
	if st := statsOf(n); st.SubscriptionEnds != 0 || st.Received != 1 {
		t.Errorf("%d subscriptions ended, %d publications received, want none and one", st.SubscriptionEnds, st.Received)
	}
}
