package broker_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/brokertest"
)

// chaos makes an engine confirm late, refuse some channels, and be lost again and again. What it
// does depends on the number of the step.
func chaos(e *fakeEngine, step int, rnd *rand.Rand) {
	switch {
	case step%700 == 0: // rare, because each loss makes the pauses longer
		e.stop()
		e.start()
	case step%31 == 0:
		e.hold()
	case step%7 == 0:
		e.release()
	case step%11 == 0:
		e.endOne(rnd.IntN(4))
	}
}

// endOne ends the subscription to a moody channel. Every second time, a new one is accepted.
func (e *fakeEngine) endOne(i int) {
	e.set(func() {
		name := fmt.Sprint("moody ", i)
		for l := range e.links {
			if _, ok := l.channels[name]; ok {
				delete(l.channels, name)
				l.to.Ended(name, errBusy)
			}
		}
		if e.refused[name] == nil {
			e.refused[name] = errBusy
		} else {
			delete(e.refused, name)
		}
	})
}

// visitor joins, waits, publishes and leaves. It has its own channel, because the calls for one
// channel have to come in order.
type visitor struct {
	n       *brokertest.Node
	t       *testing.T
	name    string
	joined  bool
	sent    int
	thanked []string      // contents whose publication succeeded while it was a member in force
	all     *atomic.Int64 // the number of these contents of all visitors
	asked   *atomic.Int64
	told    *atomic.Int64
}

// outcome waits for the outcome of a call, which comes later or at once, and checks that it comes
// once.
func (v *visitor) outcome(what string, call func(done func(error)) (bool, error)) error {
	var calls atomic.Int64
	outcome := make(chan error, 2)
	pending, err := call(func(err error) {
		if calls.Add(1) > 1 {
			v.t.Errorf("%s is answered twice", what)
		}
		v.told.Add(1)
		outcome <- err
	})
	if !pending {
		return err
	}
	v.asked.Add(1)
	select {
	case err := <-outcome:
		return err
	case <-time.After(brokertest.Patience):
		v.t.Errorf("%s has no outcome after %s", what, brokertest.Patience)
		return errBusy
	}
}

func (v *visitor) visit(rnd *rand.Rand) {
	brokertest.Until(v.t, "the node is up", v.n.Up)
	if v.joined && rnd.IntN(3) == 0 {
		v.joined = false
		v.n.Unsubscribe(v.name)
	}
	if !v.joined {
		v.joined = true
		v.n.Subscribe(v.name)
	}
	inForce := v.outcome("Await", func(done func(error)) (bool, error) { return v.n.Await([]byte(v.name), done) }) == nil
	v.sent++
	content := fmt.Sprint(v.sent)
	err := v.outcome("Publish", func(done func(error)) (bool, error) {
		pending, _, err := v.n.Publish([]byte(v.name), []byte(content), func(_ broker.Receipt, err error) { done(err) })
		return pending, err
	})
	if inForce && err == nil {
		v.thanked = append(v.thanked, content)
		v.all.Add(1)
	}
	if err != nil && !errors.Is(err, broker.ErrDown) && !errors.Is(err, broker.ErrUnknown) {
		v.t.Errorf("Publish: %v", err)
	}
}

// check checks that the visitor received each thanked content, in order and once. Unless complete
// is set, it may have missed some, because the engine refuses its channel now and then.
func (v *visitor) check(complete bool) {
	heard := v.n.Contents(v.name)
	i := 0
	for _, content := range v.thanked {
		for i < len(heard) && heard[i] != content {
			i++
		}
		if i == len(heard) && complete {
			v.t.Errorf("%s: %s was published and not received, or not in order", v.name, content)
			return
		}
	}
	seen := map[string]bool{}
	for _, content := range heard {
		if seen[content] {
			v.t.Errorf("%s: %s was received twice", v.name, content)
		}
		seen[content] = true
	}
}

// Whatever the engine does, each call has one answer, and members receive every publication that
// succeeded. In the end the engine has exactly the subscriptions of channels with members.
func TestNothingIsLostInChaos(t *testing.T) {
	t.Parallel()
	const visitors, visits = 24, 120
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	var steps, thanked, asked, told atomic.Int64
	enough := func() bool { // a loss does not count when it meets a link that is not up yet
		st := n.Stats()
		return thanked.Load() >= visitors*visits/4 && st.Connects >= 3 && st.SubscriptionEnds > 0
	}
	end := time.Now().Add(brokertest.Patience)
	var all []*visitor
	var visiting sync.WaitGroup
	for i := range visitors {
		v := &visitor{n: n, t: t, name: fmt.Sprint("calm ", i), all: &thanked, asked: &asked, told: &told}
		times, goOn := visits, func() bool { return !enough() && time.Now().Before(end) }
		if i < 4 { // few visits, because each refusal is followed by a rest
			v.name, times, goOn = fmt.Sprint("moody ", i), 3, func() bool { return false }
		}
		all = append(all, v)
		visiting.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 0))
			for visit := 0; visit < times || goOn(); visit++ {
				v.visit(rnd)
				chaos(e, int(steps.Add(1)), rnd)
			}
		})
	}
	stop := make(chan struct{})
	var keeping sync.WaitGroup
	keeping.Go(func() { // releases confirmations, even when all visitors wait for one
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				e.release()
			}
		}
	})
	visiting.Wait()
	close(stop)
	keeping.Wait()
	e.set(func() { clear(e.refused) })
	e.release()
	e.stop() // a refused channel may rest for half a minute; a new link asks for it at once
	e.start()
	n.WaitUp()
	brokertest.Until(t, "the engine has what is wanted", func() bool { return e.subscribed() == visitors && n.Stats().Pending == 0 })
	for i, v := range all {
		v.check(i >= 4)
		v.n.Unsubscribe(v.name)
	}
	brokertest.Until(t, "nothing is left", func() bool { return e.subscribed() == 0 && n.Stats().Subscriptions == 0 })
	if !enough() {
		st := n.Stats()
		t.Errorf("%d publications succeeded, over %d links, and %d subscriptions ended: too few for a test", thanked.Load(), st.Connects, st.SubscriptionEnds)
	}
	if asked.Load() != told.Load() {
		t.Errorf("%d calls were pending, %d answers came", asked.Load(), told.Load())
	}
}

// subscribed returns the number of channels that the links are subscribed to.
func (e *fakeEngine) subscribed() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.links {
		n += len(l.channels)
	}
	return n
}
