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

// chaos is an engine that confirms late, refuses some, and is lost again and again.
// It does something with each of n steps that others make.
func chaos(e *fakeEngine, step int, rnd *rand.Rand) {
	switch {
	case step%700 == 0: // pauses grow with each
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

// endOne ends a subscription to one of the channels that it refuses now and then.
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

// visitor joins, waits, publishes and leaves. Channels are its own, as the calls for
// one channel come in order.
type visitor struct {
	n       *brokertest.Node
	t       *testing.T
	name    string
	joined  bool
	sent    int
	thanked []string      // contents that were published while it was a member in force
	all     *atomic.Int64 // what all visitors were thanked for
	asked   *atomic.Int64
	told    *atomic.Int64
}

// outcome waits for what a call has to say, later or at once, and sees that it says
// it once.
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
	err := v.outcome("Publish", func(done func(error)) (bool, error) { return v.n.Publish([]byte(v.name), []byte(content), done) })
	if inForce && err == nil {
		v.thanked = append(v.thanked, content)
		v.all.Add(1)
	}
	if err != nil && !errors.Is(err, broker.ErrDown) && !errors.Is(err, broker.ErrUnknown) {
		v.t.Errorf("Publish: %v", err)
	}
}

// check sees that the visitor heard what it was thanked for, in order and once. A
// channel that the engine refuses now and then may miss some.
func (v *visitor) check(complete bool) {
	heard := v.n.Contents(v.name)
	i := 0
	for _, content := range v.thanked {
		for i < len(heard) && heard[i] != content {
			i++
		}
		if i == len(heard) && complete {
			v.t.Errorf("%s: %s was published and not heard, or not in order", v.name, content)
			return
		}
	}
	seen := map[string]bool{}
	for _, content := range heard {
		if seen[content] {
			v.t.Errorf("%s: %s was heard twice", v.name, content)
		}
		seen[content] = true
	}
}

// Whatever the engine does, each call has one answer, what was published with thanks
// is heard, and in the end the engine has the subscriptions that there are members for.
func TestNothingIsLostInChaos(t *testing.T) {
	t.Parallel()
	const visitors, visits = 24, 120
	e := newFakeEngine()
	n := remote(t, e, broker.Config{})
	var steps, thanked, asked, told atomic.Int64
	enough := func() bool { // a loss may meet a link that is not up yet, and is none then
		st := n.Stats()
		return thanked.Load() >= visitors*visits/4 && st.Connects >= 3 && st.SubscriptionEnds > 0
	}
	end := time.Now().Add(brokertest.Patience)
	var all []*visitor
	var visiting sync.WaitGroup
	for i := range visitors {
		v := &visitor{n: n, t: t, name: fmt.Sprint("calm ", i), all: &thanked, asked: &asked, told: &told}
		times, goOn := visits, func() bool { return !enough() && time.Now().Before(end) }
		if i < 4 { // each refusal is followed by a rest
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
	keeping.Go(func() { // nothing is held back for ever, also when all wait for it
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
	e.stop() // what was refused by each link may rest for half a minute; the next one is asked at once
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
		t.Errorf("%d publications were thanked for, over %d links, and %d subscriptions ended: nothing was put to the test", thanked.Load(), st.Connects, st.SubscriptionEnds)
	}
	if asked.Load() != told.Load() {
		t.Errorf("%d calls were pending, %d answers came", asked.Load(), told.Load())
	}
}

// subscribed is how many channels the links are subscribed to.
func (e *fakeEngine) subscribed() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for l := range e.links {
		n += len(l.channels)
	}
	return n
}
