package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"wsify/broker"
	"wsify/internal/testtool"
)

var errTest = errors.New("broken for the test")

// testBroker is a broker that can fail. If it is asynchronous, like a broker with an
// engine, it answers only when the test calls answer.
type testBroker struct {
	broker.Memory
	asynchronous bool
	settles      bool // Settle finds all answered; without it, Settle fails

	mu      sync.Mutex
	err     error    // guarded by mu
	waiting []func() // answers that are due; guarded by mu
	full    bool     // publications are limited to places; guarded by mu
	places  int      // how many more publications it accepts; guarded by mu
	tried   int      // calls of Publish; guarded by mu

	queue []*broker.Waiter        // those that wait for a place; guarded by mu
	told  map[*broker.Waiter]bool // those that have a reserved place; guarded by mu
}

var _ broker.Broker = (*testBroker)(nil)

func (b *testBroker) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *testBroker) Asynchronous() bool { return b.asynchronous }

func (b *testBroker) Settle(context.Context) error {
	if !b.settles {
		return errTest
	}
	b.answer()
	return nil
}

func (b *testBroker) Publish(w *broker.Waiter, channel, content []byte, done func(broker.Receipt, error)) (bool, broker.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tried++
	if !b.asynchronous {
		if b.err != nil {
			return false, broker.Receipt{}, b.err
		}
		return b.Memory.Publish(nil, channel, content, nil)
	}
	switch {
	case !b.full:
	case b.told[w]:
		delete(b.told, w)
	case b.places == 0 || len(b.queue) > 0:
		if w != nil {
			b.queue = append(b.queue, w)
		}
		return false, broker.Receipt{}, broker.ErrFull
	default:
		b.places--
	}
	channel, content = slices.Clone(channel), slices.Clone(content)
	b.waiting = append(b.waiting, func() {
		r, err := broker.Receipt{}, b.err
		if err == nil {
			_, r, err = b.Memory.Publish(nil, channel, content, nil)
		}
		if done != nil {
			done(r, err)
		}
	})
	return true, broker.Receipt{}, nil
}

// Forgo implements Broker. No other Waiter gets the place.
func (b *testBroker) Forgo(w *broker.Waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.told, w)
	b.queue = slices.DeleteFunc(b.queue, func(other *broker.Waiter) bool { return other == w })
}

// fill sets the number of places, without telling any Waiter.
func (b *testBroker) fill(places int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full, b.places, b.told = true, places, map[*broker.Waiter]bool{}
}

// tell reserves a place for each of the first n in the queue, and tells them.
func (b *testBroker) tell(srv *Server, n int) {
	b.mu.Lock()
	first := slices.Clone(b.queue[:n])
	b.queue = slices.Delete(b.queue, 0, n)
	for _, w := range first {
		b.told[w] = true
	}
	b.mu.Unlock()
	for _, w := range first {
		srv.roomInBroker(w)
	}
}

func (b *testBroker) Await(_ []byte, done func(error)) (bool, error) {
	if !b.asynchronous {
		return false, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, func() { done(b.err) })
	return true, nil
}

// answer sends all answers that are due, and returns their number.
func (b *testBroker) answer() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fn := range b.waiting {
		fn()
	}
	n := len(b.waiting)
	b.waiting = nil
	return n
}

// due returns how many answers are due.
func (b *testBroker) due() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

// queued returns how many wait for a place.
func (b *testBroker) queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue)
}

// await waits until so many answers are due, then sends them.
func (b *testBroker) await(t *testing.T, due int) {
	t.Helper()
	testtool.Until(t, fmt.Sprintf("%d answers are due", due), func() bool { return b.due() == due })
	b.answer()
}

// startWith is start with another broker, which must not have been used before.
func startWith(t *testing.T, cfg Config, b *testBroker) *Server {
	t.Helper()
	srv := start(t, cfg)
	if err := b.Start(srv.deliver, srv.roomInBroker); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	for _, l := range srv.loops {
		defer holdLoop(t, l)() // no loop may use the broker while the test changes it
	}
	srv.broker = b
	return srv
}

// TestAnswersOfAnAsynchronousBroker: acks and statuses follow the answer of the engine
// and depend on it. Commands without an id do not wait.
func TestAnswersOfAnAsynchronousBroker(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{}, b)
	p := connect(t, srv, "/ws")
	// Commands after a join wait until the subscription is confirmed.
	p.write(message(`{"command":"join","args":{"channel":"c"},"id":1}`) + message(`{"command":"broadcast","args":{"channel":"c","content":"first"}}`))
	b.await(t, 1)
	p.expectText(`{"id":1,"ok":true}`)
	b.await(t, 1)
	p.expectText(`"first"`)
	p.send(`{"command":"broadcast","args":{"channel":"c","content":"a"},"id":2}`)
	p.broadcast("c", `"b"`)
	p.send(`{"command":"leave","args":{"channel":"x"},"id":3}`)
	p.expectText(`{"id":3,"ok":true}`)
	p.expectNothing()
	b.answer()
	got := readTexts(t, p, 3)
	slices.Sort(got)
	if want := []string{`"a"`, `"b"`, `{"id":2,"ok":true}`}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	b.fail(errTest)
	p.send(`{"command":"broadcast","args":{"channel":"c"},"id":4}`)
	p.send(`{"command":"join","args":{"channel":"d"},"id":5}`)
	b.await(t, 2)
	p.expectText(
		`{"id":4,"ok":false,"error":{"code":"broker_down","message":"the broker refused the publication"}}`,
		`{"id":5,"ok":false,"error":{"code":"broker_down","message":"joined, but the broker does not confirm the subscription: messages may be missed"}}`)

	b.fail(fmt.Errorf("the engine at 10.0.0.1: %w", broker.ErrTooBig))
	p.send(`{"command":"broadcast","args":{"channel":"c"},"id":6}`)
	b.await(t, 1)
	p.expectText(`{"id":6,"ok":false,"error":{"code":"limit","message":"the content is larger than the broker takes: not published"}}`)

	for _, c := range []struct {
		err   error
		want  int
		again bool // a retry may succeed
	}{{errTest, 503, true}, {broker.ErrTooBig, 413, false}, {nil, 201, false}} {
		b.fail(c.err)
		backend := dial(t, srv)
		backend.write(postRequest("/broadcast", `{"channel":"c","content":"http"}`))
		testtool.Until(t, "the broker has the publication", func() bool { return b.answer() == 1 })
		if res := backend.expectStatus(c.want); (res.header.Get("Retry-After") != "") != c.again {
			t.Errorf("%d with Retry-After %q", res.status, res.header.Get("Retry-After"))
		}
		_ = backend.Close()
	}
	p.expectText(`"http"`)

	// A connection that has ended gets no answer.
	p.send(`{"command":"broadcast","args":{"channel":"c"},"id":6}`)
	p.expectNothing()
	p.reset()
	testtool.Until(t, "the connection is gone", func() bool { return srv.Stats().Net.Connections == 0 })
	b.answer()
}
