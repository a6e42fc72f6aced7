package brokertest

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"wsify/broker"
)

// Open makes a broker, as the Open of a broker.Driver does.
type Open func(broker.Config) (broker.Broker, error)

// Node is a broker, used as a server uses it. Any goroutine may call its methods.
type Node struct {
	broker.Broker
	T testing.TB

	mu       sync.Mutex
	got      map[string][]string // contents by channel
	total    int
	last     string
	refusing error // the error of deliver
	rooms    int   // calls of room
	resumed  []string
	log      bytes.Buffer
}

// Start starts a node, which is closed at the end of the test.
func Start(t testing.TB, open Open, cfg broker.Config) *Node {
	t.Helper()
	n := &Node{T: t, got: map[string][]string{}}
	cfg.Logger = slog.New(slog.NewTextHandler(n, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b, err := open(cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	n.Broker = b
	if h, ok := b.(broker.Historian); ok {
		h.WhenResumed(n.noteResumed)
	}
	if err := n.Start(n.deliver, n.room); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if t.Failed() {
			t.Logf("the log of a node:\n%s", n.Logged())
		}
	})
	return n
}

// Up starts a node, and waits until it is up.
func Up(t testing.TB, open Open, cfg broker.Config) *Node {
	t.Helper()
	n := Start(t, open, cfg)
	n.WaitUp()
	return n
}

// Publish publishes as a publisher that cannot wait.
func (n *Node) Publish(channel, content []byte, done func(broker.Receipt, error)) (pending bool, r broker.Receipt, err error) {
	return n.Broker.Publish(nil, channel, content, done)
}

// Stats returns the Stats of a broker with an engine.
func (n *Node) Stats() broker.Stats { return n.Broker.(*broker.Remote).Stats() }

func (n *Node) deliver(channel, content []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refusing != nil {
		return n.refusing
	}
	if _, _, ok := broker.SplitHead(content); !ok {
		return broker.ErrHead
	}
	n.last = string(content)
	n.got[string(channel)] = append(n.got[string(channel)], n.last)
	n.total++
	return nil
}

func (n *Node) room(*broker.Waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rooms++
}

// Write takes a record of the log.
func (n *Node) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(b)
}

// Logged returns the log.
func (n *Node) Logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// Contents returns the contents delivered to a channel.
func (n *Node) Contents(channel string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got[channel])
}

// Count returns how many publications were delivered, and Last the last one's content.
func (n *Node) Count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.total
}

// Last returns the last delivered content.
func (n *Node) Last() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

// noteResumed notes the channel, and what had been delivered to it before.
func (n *Node) noteResumed(channel string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resumed = append(n.resumed, fmt.Sprintf("%s after %d", channel, len(n.got[channel])))
}

// Resumed returns the channels whose publications may have been missed, each with the number of
// publications that were delivered to it before, as in "news after 3".
func (n *Node) Resumed() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.resumed)
}

// Rooms returns how often the broker has called room.
func (n *Node) Rooms() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rooms
}

// Forget forgets all delivered contents.
func (n *Node) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got, n.total, n.last = map[string][]string{}, 0, ""
}

// Refuse makes deliver return err, or deliver again when err is nil.
func (n *Node) Refuse(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refusing = err
}

// Hold makes deliver wait until release is called.
func (n *Node) Hold() (release func()) {
	n.mu.Lock()
	return n.mu.Unlock
}

// WaitUp waits until the broker is up.
func (n *Node) WaitUp() {
	n.T.Helper()
	n.Until("the broker is up", n.Up)
}

// Until waits until a condition holds.
func (n *Node) Until(what string, holds func() bool) {
	n.T.Helper()
	Until(n.T, what, holds)
}

// Join makes the node a member of channels, and waits until the subscriptions are in force.
func (n *Node) Join(channels ...string) {
	n.T.Helper()
	for _, c := range channels {
		n.Subscribe(c)
	}
	for _, c := range channels {
		if err := n.Awaited(c); err != nil {
			n.T.Fatalf("Await %.40q: %v", c, err)
		}
	}
}

// Awaited returns the outcome of Await.
func (n *Node) Awaited(channel string) error {
	n.T.Helper()
	outcome := make(chan error, 1)
	pending, err := n.Await([]byte(channel), func(err error) { outcome <- err })
	if !pending {
		return err
	}
	return n.Outcome("Await", outcome)
}

// Published returns the outcome of Publish.
func (n *Node) Published(channel, content string) error {
	n.T.Helper()
	outcome := make(chan error, 1)
	pending, _, err := n.Publish([]byte(channel), []byte(content), func(_ broker.Receipt, err error) { outcome <- err })
	if !pending {
		return err
	}
	return n.Outcome("Publish", outcome)
}

// MustPublish publishes, and fails the test unless the engine takes it.
func (n *Node) MustPublish(channel, content string) {
	n.T.Helper()
	if err := n.Published(channel, content); err != nil {
		n.T.Fatalf("Publish to %.40q: %v", channel, err)
	}
}

// Outcome waits for the answer to a call.
func (n *Node) Outcome(what string, outcome <-chan error) error {
	n.T.Helper()
	select {
	case err := <-outcome:
		return err
	case <-time.After(Patience):
		n.T.Fatalf("%s has no outcome after %s", what, Patience)
		return nil
	}
}

// Expect waits until exactly these contents were delivered to a channel.
func (n *Node) Expect(channel string, want ...string) {
	n.T.Helper()
	n.Until(fmt.Sprintf("%d publications of %.40q came", len(want), channel), func() bool { return len(n.Contents(channel)) >= len(want) })
	if got := n.Contents(channel); !slices.Equal(got, want) {
		n.T.Fatalf("%.40q: %.200q was delivered, want %.200q", channel, got, want)
	}
}
