package brokertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wsify/broker"
)

// cutOff: the network of one node fails, several times, while another one publishes. What the node
// hears, and what it reads where it has missed something, is what was acknowledged.
func cutOff(t *testing.T, r *HistoryRig) {
	if r.OpenAt == nil {
		t.Skip("it has no engine")
	}
	network := NewProxy(t, r.Server)
	cfg := Keeping(1000, time.Hour)
	publisher, n := Up(t, r.Open, cfg), Up(t, r.OpenAt(network.Listen), cfg)
	n.Join("h")
	began := n.Read("h", broker.Position{}, 0).Tail
	var acked []string
	for i := range 300 {
		switch i % 100 {
		case 30:
			network.Stop()
		case 50:
			n.Until("the link is lost", func() bool { return !n.Up() })
			network.Restart()
		case 70:
			n.WaitUp()
		}
		content := fmt.Sprint(i)
		publisher.MustPublish("h", content)
		acked = append(acked, content)
	}
	n.WaitUp()
	got := n.follow("h", began)
	if !slices.Equal(got, acked) {
		t.Errorf("%d publications are followed, of %d: %.300q", len(got), len(acked), got)
	}
	if len(n.Contents("h")) == len(acked) {
		t.Error("the node has missed nothing, so this test says nothing")
	}
	if told := n.Resumed(); len(told) < 3 {
		t.Errorf("publications may have been missed: %q, want three times", told)
	}
}

// follow returns the contents of a channel after a position: those that were delivered and, where one
// does not follow the one before, those that history has.
func (n *Node) follow(channel string, at broker.Position) (contents []string) {
	n.T.Helper()
	read := func() {
		n.T.Helper()
		page := n.Read(channel, at, 0)
		if !page.Complete {
			n.T.Fatalf("after %q, history has a gap", at)
		}
		contents = append(contents, contentsOf(page.Entries)...)
		at = page.Tail
	}
	for _, e := range n.Heard(channel) {
		if e.Head.Position.Offset > at.Offset && e.Head.Prev != at.Offset {
			read()
		}
		if e.Head.Position.Offset > at.Offset {
			contents = append(contents, string(e.Content))
			at = e.Head.Position
		}
	}
	read()
	return contents
}
