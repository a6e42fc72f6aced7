package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come. It is no claim of speed.
const patience = 30 * time.Second

// node is a Remote with what it delivered and logged.
type node struct {
	*Remote
	t testing.TB

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew when something was delivered
	channels []string      // of what was delivered
	contents []string
	log      bytes.Buffer
}

// newNode starts a Remote, which the end of the test closes.
func newNode(t testing.TB, cfg Config) *node {
	t.Helper()
	n := &node{t: t, changed: make(chan struct{})}
	cfg.Logger = slog.New(slog.NewTextHandler(n, nil))
	r, err := NewRedis(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Remote = r
	if err := r.Start(n.deliver, func() {}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		if t.Failed() {
			t.Logf("log of a node:\n%s", n.said())
		}
	})
	return n
}

// upNode is a node that has reached its engine.
func upNode(t testing.TB, cfg Config) *node {
	t.Helper()
	n := newNode(t, cfg)
	n.waitUp()
	return n
}

func (n *node) deliver(channel, content []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.channels = append(n.channels, string(channel))
	n.contents = append(n.contents, string(content))
	close(n.changed)
	n.changed = make(chan struct{})
	return nil
}

// Write takes a record of the log.
func (n *node) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(b)
}

func (n *node) said() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

func (n *node) waitUp() {
	n.t.Helper()
	until(n.t, "the broker is up", n.Up)
}

// until waits for a condition that no event tells of.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long until %s", what)
		}
	}
}

// join subscribes and waits until the engine has confirmed it.
func (n *node) join(channels ...string) {
	n.t.Helper()
	for _, c := range channels {
		n.Subscribe(c)
	}
	for _, c := range channels {
		if err := n.await(c); err != nil {
			n.t.Fatalf("await %.40q: %v", c, err)
		}
	}
}

// await returns what Await tells.
func (n *node) await(channel string) error {
	n.t.Helper()
	done := make(chan error, 1)
	pending, err := n.Await([]byte(channel), func(err error) { done <- err })
	if !pending {
		return err
	}
	return n.result(done)
}

func (n *node) result(done chan error) error {
	n.t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		n.t.Fatal("no outcome")
		return nil
	}
}

// publish returns the outcome.
func (n *node) publish(channel, content string) error {
	n.t.Helper()
	done := make(chan error, 1)
	pending, err := n.Publish([]byte(channel), []byte(content), func(err error) { done <- err })
	if !pending {
		return err
	}
	return n.result(done)
}

// mustPublish publishes.
func (n *node) mustPublish(channel, content string) {
	n.t.Helper()
	if err := n.publish(channel, content); err != nil {
		n.t.Fatalf("publish to %.40q: %v", channel, err)
	}
}

// wants waits until exactly these contents were delivered of a channel.
func (n *node) wants(channel string, contents ...string) {
	n.t.Helper()
	n.wait(fmt.Sprintf("%d contents of %.40q", len(contents), channel), func() bool {
		return len(n.ofLocked(channel)) >= len(contents)
	})
	if got := n.of(channel); !slices.Equal(got, contents) {
		n.t.Fatalf("delivered of %.40q: %.200q, want %.200q", channel, got, contents)
	}
}

// wait waits for something about what was delivered; ok is called with mu held.
func (n *node) wait(what string, ok func() bool) {
	n.t.Helper()
	deadline := time.After(patience)
	for {
		n.mu.Lock()
		good, changed := ok(), n.changed
		n.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			n.t.Fatalf("waited too long for %s", what)
		}
	}
}

// of is what was delivered of a channel.
func (n *node) of(channel string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ofLocked(channel)
}

func (n *node) ofLocked(channel string) (contents []string) {
	for i, c := range n.channels {
		if c == channel {
			contents = append(contents, n.contents[i])
		}
	}
	return contents
}

// openError is what the engine of a DSN says when it cannot be opened.
func openError(t *testing.T, dsn string) string {
	t.Helper()
	r, err := NewRedis(Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := r.engine.open(ctx, &linkSink{r: r, gone: make(chan struct{}), cancel: func() {}})
	if err == nil {
		l.close()
		t.Fatalf("open succeeds")
	}
	return err.Error()
}

// isOutcome reports whether err is one that a publication may have while the engine
// comes and goes.
func isOutcome(err error) bool {
	return err == nil || errors.Is(err, ErrDown) || errors.Is(err, ErrUnknown) || errors.Is(err, ErrFull)
}

// contains fails the test unless text has all of these words.
func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}
