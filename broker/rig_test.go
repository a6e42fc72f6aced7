package broker

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// anyBroker is a broker as a server uses it.
type anyBroker interface {
	Start(deliver func(channel, content []byte) error, room func(w *Waiter)) error
	Publish(channel, content []byte, done func(error)) (pending bool, err error)
	Subscribe(channel string)
	Unsubscribe(channel string)
	PublishFor(w *Waiter, channel, content []byte, done func(error)) (pending bool, err error)
	Await(channel []byte, done func(error)) (pending bool, err error)
	Room(channel string)
	Asynchronous() bool
	Up() bool
	Close() error
}

// rig is an engine and how nodes get a broker of it.
type rig struct {
	open func(t testing.TB, cfg Config) anyBroker
	// oneOrder says that publications of different nodes have one order everywhere.
	oneOrder bool

	// What follows is nil for a broker without an engine. stop ends the engine
	// without a warning, start brings it back under the same address, and publish is
	// what another client of it does.
	stop    func(t testing.TB)
	start   func(t testing.TB)
	publish func(t testing.TB, channel, content string)
}

// forEach runs a test with every broker; withEngine leaves out those without one.
func forEach(t *testing.T, test func(t *testing.T, r *rig)) {
	for name, open := range rigs {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func withEngine(t *testing.T, test func(t *testing.T, r *rig)) {
	forEach(t, func(t *testing.T, r *rig) {
		if r.stop == nil {
			t.Skip("it has no engine")
		}
		test(t, r)
	})
}

// member is a node with a log of what it was given to deliver.
type member struct {
	anyBroker
	t *testing.T

	mu       sync.Mutex
	got      map[string][]string // contents by channel
	total    int
	changed  chan struct{} // closed and made anew with every delivery
	refusing error         // what deliver answers
	rooms    int           // calls of room
}

// join starts a node, and waits until it is up.
func (r *rig) join(t *testing.T, cfg Config) *member {
	t.Helper()
	m := r.begin(t, cfg)
	m.waitUp()
	return m
}

// begin starts a node.
func (r *rig) begin(t *testing.T, cfg Config) *member {
	t.Helper()
	m := &member{anyBroker: r.open(t, cfg), t: t, got: map[string][]string{}, changed: make(chan struct{})}
	if err := m.Start(m.deliver, m.room); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return m
}

func (m *member) deliver(channel, content []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusing != nil {
		return m.refusing
	}
	m.got[string(channel)] = append(m.got[string(channel)], string(content))
	m.total++
	close(m.changed)
	m.changed = make(chan struct{})
	return nil
}

func (m *member) room(*Waiter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rooms++
}

// contents returns what was delivered of a channel.
func (m *member) contents(channel string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got[channel]
}

func (m *member) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

// refuse makes deliver answer err, or deliver again.
func (m *member) refuse(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusing = err
}

// waitFor waits until the condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %s: still not that %s", patience, what)
		}
	}
}

func (m *member) waitUp() {
	m.t.Helper()
	waitFor(m.t, "the broker is up", m.Up)
}

// expect waits until exactly these contents were delivered of a channel.
func (m *member) expect(channel string, want ...string) {
	m.t.Helper()
	waitFor(m.t, fmt.Sprintf("%d publications of %.40q came", len(want), channel), func() bool { return len(m.contents(channel)) >= len(want) })
	got := m.contents(channel)
	if len(got) != len(want) {
		m.t.Fatalf("%.40q: got %d publications, want %d: %.200q", channel, len(got), len(want), got)
	}
	for i := range got {
		if got[i] != want[i] {
			m.t.Fatalf("%.40q: publication %d is %.80q, want %.80q", channel, i, got[i], want[i])
		}
	}
}

// subscribe makes the node a member of channels and waits until that is in force.
func (m *member) subscribe(channels ...string) {
	m.t.Helper()
	for _, c := range channels {
		m.Subscribe(c)
	}
	for _, c := range channels {
		if err := m.await(c); err != nil {
			m.t.Fatalf("Await %.40q: %v", c, err)
		}
	}
}

// await waits for the outcome of Await.
func (m *member) await(channel string) error {
	m.t.Helper()
	outcome := make(chan error, 1)
	pending, err := m.Await([]byte(channel), func(err error) { outcome <- err })
	if !pending {
		return err
	}
	return m.outcome("Await", outcome)
}

// publish publishes and waits for the outcome.
func (m *member) publish(channel, content string) error {
	m.t.Helper()
	outcome := make(chan error, 1)
	pending, err := m.Publish([]byte(channel), []byte(content), func(err error) { outcome <- err })
	if !pending {
		return err
	}
	return m.outcome("Publish", outcome)
}

func (m *member) outcome(what string, outcome <-chan error) error {
	m.t.Helper()
	select {
	case err := <-outcome:
		return err
	case <-time.After(patience):
		m.t.Fatalf("%s has no outcome after %s", what, patience)
		return nil
	}
}

// mustPublish publishes what the engine has to take.
func (m *member) mustPublish(channel, content string) {
	m.t.Helper()
	if err := m.publish(channel, content); err != nil {
		m.t.Fatalf("Publish to %.40q: %v", channel, err)
	}
}

var errBusy = errors.New("busy for the test")

// listen opens a port on loopback until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serveConns serves each connection in a goroutine of its own until l is closed.
func serveConns(l net.Listener, serve func(net.Conn)) {
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
}
