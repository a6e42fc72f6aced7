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

// redisPatience is how long a test waits for what must come. It is no claim of speed.
const redisPatience = 30 * time.Second

// redisNode is a Remote with what it delivered and logged.
type redisNode struct {
	*Remote
	t testing.TB

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew when something was delivered
	channels []string      // of what was delivered
	contents []string
	log      bytes.Buffer
}

// newRedisNode starts a Remote, which the end of the test closes.
func newRedisNode(t testing.TB, cfg Config) *redisNode {
	t.Helper()
	n := &redisNode{t: t, changed: make(chan struct{})}
	cfg.Logger = slog.New(slog.NewTextHandler(n, nil))
	r, err := NewRedis(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Remote = r
	if err := r.Start(n.deliver, nil); err != nil {
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

// upRedisNode is a node that has reached its engine.
func upRedisNode(t testing.TB, cfg Config) *redisNode {
	t.Helper()
	n := newRedisNode(t, cfg)
	n.waitUp()
	return n
}

func (n *redisNode) deliver(channel, content []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.channels = append(n.channels, string(channel))
	n.contents = append(n.contents, string(content))
	close(n.changed)
	n.changed = make(chan struct{})
	return nil
}

// Write takes a record of the log.
func (n *redisNode) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(b)
}

func (n *redisNode) said() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

func (n *redisNode) waitUp() {
	n.t.Helper()
	untilRedis(n.t, "the broker is up", n.Up)
}

// untilRedis waits for a condition that no event tells of.
func untilRedis(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(redisPatience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited too long untilRedis %s", what)
		}
	}
}

// join subscribes and waits until the engine has confirmed it.
func (n *redisNode) join(channels ...string) {
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
func (n *redisNode) await(channel string) error {
	n.t.Helper()
	done := make(chan error, 1)
	pending, err := n.Await([]byte(channel), func(err error) { done <- err })
	if !pending {
		return err
	}
	return n.result(done)
}

func (n *redisNode) result(done chan error) error {
	n.t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(redisPatience):
		n.t.Fatal("no outcome")
		return nil
	}
}

// publish returns the outcome.
func (n *redisNode) publish(channel, content string) error {
	n.t.Helper()
	done := make(chan error, 1)
	pending, err := n.Publish([]byte(channel), []byte(content), func(err error) { done <- err })
	if !pending {
		return err
	}
	return n.result(done)
}

// mustPublish publishes.
func (n *redisNode) mustPublish(channel, content string) {
	n.t.Helper()
	if err := n.publish(channel, content); err != nil {
		n.t.Fatalf("publish to %.40q: %v", channel, err)
	}
}

// wants waits until exactly these contents were delivered of a channel.
func (n *redisNode) wants(channel string, contents ...string) {
	n.t.Helper()
	n.wait(fmt.Sprintf("%d contents of %.40q", len(contents), channel), func() bool {
		return len(n.ofLocked(channel)) >= len(contents)
	})
	if got := n.of(channel); !slices.Equal(got, contents) {
		n.t.Fatalf("delivered of %.40q: %.200q, want %.200q", channel, got, contents)
	}
}

// wait waits for something about what was delivered; ok is called with mu held.
func (n *redisNode) wait(what string, ok func() bool) {
	n.t.Helper()
	deadline := time.After(redisPatience)
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
func (n *redisNode) of(channel string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ofLocked(channel)
}

func (n *redisNode) ofLocked(channel string) (contents []string) {
	for i, c := range n.channels {
		if c == channel {
			contents = append(contents, n.contents[i])
		}
	}
	return contents
}

// redisOpenError is what the engine of a DSN says when it cannot be opened.
func redisOpenError(t *testing.T, dsn string) string {
	t.Helper()
	r, err := NewRedis(Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), redisPatience)
	defer cancel()
	l, err := r.engine.open(ctx, &linkSink{r: r, gone: make(chan struct{}), cancel: func() {}})
	if err == nil {
		l.close()
		t.Fatalf("open succeeds")
	}
	return err.Error()
}

// isRedisOutcome reports whether err is one that a publication may have while the engine
// comes and goes.
func isRedisOutcome(err error) bool {
	return err == nil || errors.Is(err, ErrDown) || errors.Is(err, ErrUnknown) || errors.Is(err, ErrFull)
}

// saysAll fails the test unless text has all of these words.
func saysAll(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}
