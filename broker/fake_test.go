package broker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"wsify/broker"
)

// fakeEngine is an engine in memory that a test controls. Any goroutine may call its methods.
type fakeEngine struct {
	mu          sync.Mutex
	unreachable error // the error of open
	held        bool  // subscriptions are not confirmed
	refused     map[string]error
	failing     error // the error of publish, which then publishes nothing
	links       map[*fakeLink]struct{}
	opens       int
	batches     []int // channels in each subscribe
	ended       int   // channels unsubscribed
	gate        chan struct{}
	hung        bool                    // subscribe blocks until its timeout
	asked       func(channels []string) // called by subscribe, unless nil
	ending      func()                  // called by unsubscribe, unless nil
}

func newFakeEngine() *fakeEngine {
	return &fakeEngine{links: map[*fakeLink]struct{}{}, refused: map[string]error{}}
}

// fakeLink is a node's link to a fakeEngine. Everything is guarded by the engine's mu.
type fakeLink struct {
	engine   *fakeEngine
	to       broker.Sink
	channels map[string]struct{}
	held     []string // asked for, and not confirmed
}

func (e *fakeEngine) String() string { return "fake" }

func (e *fakeEngine) Open(_ context.Context, to broker.Sink) (_ broker.Link, maxContent int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opens++
	if e.unreachable != nil {
		return nil, 0, e.unreachable
	}
	l := &fakeLink{engine: e, to: to, channels: map[string]struct{}{}}
	e.links[l] = struct{}{}
	return l, 0, nil
}

func (l *fakeLink) Subscribe(ctx context.Context, channels []string) error {
	e := l.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hung {
		e.mu.Unlock()
		<-ctx.Done()
		e.mu.Lock()
		return ctx.Err()
	}
	if e.asked != nil {
		e.asked(channels)
	}
	e.batches = append(e.batches, len(channels))
	for _, c := range channels {
		switch {
		case e.refused[c] != nil:
			l.to.Ended(c, e.refused[c])
		case e.held:
			l.held = append(l.held, c)
		default:
			l.confirm(c)
		}
	}
	return nil
}

func (l *fakeLink) confirm(channel string) {
	l.channels[channel] = struct{}{}
	l.to.Confirmed(channel)
}

func (l *fakeLink) Unsubscribe(_ context.Context, channels []string) error {
	e := l.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ending != nil {
		e.ending()
	}
	e.ended += len(channels)
	for _, c := range channels {
		delete(l.channels, c)
	}
	return nil
}

func (l *fakeLink) Flush(context.Context) error { return nil }

func (l *fakeLink) ReadHistory(context.Context, string, broker.Position, int) (broker.Page, error) {
	return broker.Page{Tail: broker.Position{Epoch: "fake"}, Complete: true}, nil
}

func (l *fakeLink) Publish(ctx context.Context, batch []broker.Publication) {
	e := l.engine
	e.mu.Lock()
	gate := e.gate
	e.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, open := e.links[l]
	for i := range batch {
		switch {
		case ctx.Err() != nil || !open:
			batch[i].Err = broker.ErrUnknown
		case e.failing != nil:
			batch[i].Err = e.failing
		default:
			e.publishLocked(batch[i].Channel, batch[i].Content)
		}
	}
}

func (e *fakeEngine) publishLocked(channel string, content []byte) {
	for l := range e.links {
		if _, ok := l.channels[channel]; ok {
			l.to.Received([]byte(channel), slices.Clone(content))
		}
	}
}

func (l *fakeLink) Close() {
	l.engine.mu.Lock()
	defer l.engine.mu.Unlock()
	delete(l.engine.links, l)
}

// publish publishes as another client of the engine would.
func (e *fakeEngine) publish(channel, content string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.publishLocked(channel, []byte(content))
}

// stop ends all links and lets no new one be opened.
func (e *fakeEngine) stop() {
	e.mu.Lock()
	e.unreachable = errors.New("stopped for the test")
	links := e.links
	e.links = map[*fakeLink]struct{}{}
	e.mu.Unlock()
	for l := range links {
		l.to.Lost(errors.New("stopped for the test"))
	}
}

func (e *fakeEngine) start() { e.set(func() { e.unreachable = nil }) }

// hold withholds confirmations, and release sends them.
func (e *fakeEngine) hold() { e.set(func() { e.held = true }) }

func (e *fakeEngine) release() {
	e.set(func() {
		e.held = false
		for l := range e.links {
			for _, c := range l.held {
				l.confirm(c)
			}
			l.held = nil
		}
	})
}

func (e *fakeEngine) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// openBroker returns a broker that uses the engine.
func (e *fakeEngine) openBroker(cfg broker.Config) (broker.Broker, error) {
	return broker.NewRemote(cfg, e), nil
}

// fakeRig is the rig of an engine in memory.
func fakeRig(testing.TB) *rig {
	e := newFakeEngine()
	return &rig{
		oneOrder: true, open: e.openBroker, stop: e.stop, start: e.start,
		publish: func(_ testing.TB, channel, content string) { e.publish(channel, content) },
	}
}
