package broker

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wsify/internal/natstest"
)

// natsPatience is how long a test waits for what has to happen.
const natsPatience = 30 * time.Second

// natsNode is a broker with NATS, and what it was given to deliver.
type natsNode struct {
	*Remote
	t testing.TB

	mu    sync.Mutex
	got   map[string][]string // contents by channel
	total int
	log   bytes.Buffer
}

// beginNATS starts a node.
func beginNATS(t testing.TB, cfg Config) *natsNode {
	t.Helper()
	n := &natsNode{t: t, got: map[string][]string{}}
	cfg.Logger = slog.New(slog.NewTextHandler(n, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r, err := NewNATS(cfg)
	if err != nil {
		t.Fatalf("NewNATS: %v", err)
	}
	n.Remote = r
	if err := n.Start(n.deliver, nil); err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// joinNATS starts a node and waits until it is up.
func joinNATS(t testing.TB, cfg Config) *natsNode {
	t.Helper()
	n := beginNATS(t, cfg)
	n.until("it is up", n.Up)
	return n
}

func (n *natsNode) deliver(channel, content []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got[string(channel)] = append(n.got[string(channel)], string(content))
	n.total++
	return nil
}

// Write takes what is logged.
func (n *natsNode) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

func (n *natsNode) logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// until waits for a condition.
func (n *natsNode) until(what string, ok func() bool) {
	n.t.Helper()
	for end := time.Now().Add(natsPatience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatalf("after %v: %s: no; the log: %s", natsPatience, what, n.logged())
		}
	}
}

// contents returns what was delivered for a channel.
func (n *natsNode) contents(channel string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got[channel])
}

func (n *natsNode) received() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.total
}

// await returns the outcome of Await for a channel with a member.
func (n *natsNode) await(channel string) error {
	n.t.Helper()
	done := make(chan error, 1)
	pending, err := n.Await([]byte(channel), func(err error) { done <- err })
	if !pending {
		return err
	}
	return n.outcome("Await", done)
}

func (n *natsNode) outcome(what string, done <-chan error) error {
	n.t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(natsPatience):
		n.t.Fatalf("%s has no outcome after %v; the log: %s", what, natsPatience, n.logged())
		return nil
	}
}

// subscribe makes channels have a member, and waits until that is in force.
func (n *natsNode) subscribe(channels ...string) {
	n.t.Helper()
	for _, c := range channels {
		n.Subscribe(c)
	}
	for _, c := range channels {
		if err := n.await(c); err != nil {
			n.t.Fatalf("Await %.40q: %v", c, err)
		}
	}
}

// publish returns the outcome of a publication.
func (n *natsNode) publish(channel, content string) error {
	n.t.Helper()
	done := make(chan error, 1)
	pending, err := n.Publish([]byte(channel), []byte(content), func(err error) { done <- err })
	if !pending {
		return err
	}
	return n.outcome("Publish", done)
}

func (n *natsNode) mustPublish(channel, content string) {
	n.t.Helper()
	if err := n.publish(channel, content); err != nil {
		n.t.Fatalf("Publish to %.40q: %v", channel, err)
	}
}

// expect waits for exactly these contents.
func (n *natsNode) expect(channel string, want ...string) {
	n.t.Helper()
	n.until(fmt.Sprintf("%d publications of %.40q", len(want), channel), func() bool { return len(n.contents(channel)) >= len(want) })
	if got := n.contents(channel); !slices.Equal(got, want) {
		n.t.Fatalf("%.40q: got %.200q, want %.200q", channel, got, want)
	}
}

// nowhere is a sink that nothing is made of.
type nowhere struct{}

func (nowhere) received(_, _ []byte) {}
func (nowhere) confirmed(string)     {}
func (nowhere) ended(string, error)  {}
func (nowhere) returned()            {}
func (nowhere) lost(error)           {}
func (nowhere) deaf(string) bool     { return false }

var discard = slog.New(slog.DiscardHandler)

func withTimeout(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), natsPatience)
}

func mustNATSDSN(t testing.TB, dsn string) *natsDSN {
	t.Helper()
	d, err := parseNATSDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dialRaw returns a connection to a server that nats.go has no part in.
func dialRaw(t testing.TB, s *natstest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(natsPatience))
	if _, err := conn.Write([]byte("CONNECT {\"verbose\":false}\r\n")); err != nil {
		t.Fatal(err)
	}
	return conn
}

// readUntil reads what the server says until it says a word.
func readUntil(t testing.TB, conn net.Conn, word string) {
	t.Helper()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), word) {
			return
		}
	}
	t.Fatalf("the server never said %s: %v", word, lines.Err())
}
