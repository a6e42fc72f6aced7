package redis

import (
	"errors"
	"strings"
	"testing"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/redistest"
)

// durableServer runs a server that loses nothing when it is killed.
func durableServer(t *testing.T) *redistest.Server {
	return redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
}

// restarted kills the server, starts it again, and waits for the nodes.
func restarted(s *redistest.Server, nodes ...*brokertest.Node) {
	s.Stop()
	for _, n := range nodes {
		n.Until("the node has noticed", func() bool { return !n.Broker.Up() })
	}
	s.Restart()
	for _, n := range nodes {
		n.WaitUp()
	}
}

func TestADurableServerGoesOnWithItsPositions(t *testing.T) {
	s := durableServer(t)
	n := upNode(t, keeping(s.DSN()+"?durable=true"))
	first := n.Place("h", "1")
	second := n.Place("h", "2")
	empty := n.Read("hempty", broker.Position{}, 0).Tail
	for range 2 {
		restarted(s, n)
		if page := n.Read("h", first, 0); !page.Complete || len(page.Entries) != 1 || page.Tail != second {
			t.Fatalf("after %q, %+v is read", first, page)
		}
		if page := n.Read("hempty", empty, 0); !page.Complete || page.Tail != empty {
			t.Fatalf("after %q, %+v is read", empty, page)
		}
	}
	third := n.Place("h", "3")
	if third != (broker.Position{Epoch: first.Epoch, Offset: 3}) {
		t.Errorf("%q is the position of a publication behind %q", third, second)
	}
	s.CLI("FLUSHALL")
	if page := n.Read("h", third, 0); page.Complete || page.Tail.Epoch == first.Epoch {
		t.Errorf("without its keys, after %q %+v is read", third, page)
	}
	if logged := n.Logged(); strings.Contains(logged, "durable") {
		t.Errorf("there is a warning: %s", logged)
	}
}

// What a server has kept before anybody said that it loses nothing ends with its run.
func TestPositionsAreDurableOnceANodeHasSaidSo(t *testing.T) {
	s := durableServer(t)
	old := upNode(t, keeping(s.DSN()))
	var epochs [3]string
	for i, channel := range []string{"h0", "h1", "h2"} {
		epochs[i] = old.Place(channel, "1").Epoch
	}
	durable := upNode(t, keeping(s.DSN()+"?durable=true"))
	durable.Place("h1", "2")
	durable.Read("h2", broker.Position{}, 0)
	old.Broker.Close()
	restarted(s, durable)
	for i, channel := range []string{"h0", "h1", "h2"} {
		if tail := durable.Read(channel, broker.Position{}, 0).Tail; (tail.Epoch == epochs[i]) != (i > 0) {
			t.Errorf("%s goes on at %q, it had the epoch %q", channel, tail, epochs[i])
		}
	}
}

// While the DSN is changed on one node after the other, no channel changes its epoch with each
// publication.
func TestNodesMayDifferInWhatTheySayOfTheServer(t *testing.T) {
	s := durableServer(t)
	nodes := []*brokertest.Node{upNode(t, keeping(s.DSN())), upNode(t, keeping(s.DSN()+"?durable=true"))}
	for _, first := range []int{0, 1} {
		restarted(s, nodes...)
		at := nodes[first].Place("h", "1")
		for i := range 4 {
			next := nodes[i%2].Place("h", "2")
			if at.Offset++; next != at {
				t.Errorf("with node %d first, %q is followed by %q", first, at, next)
			}
		}
		if page := nodes[0].Read("h", broker.Position{Epoch: at.Epoch, Offset: at.Offset - 4}, 0); !page.Complete || len(page.Entries) != 4 {
			t.Errorf("with node %d first, %+v is read", first, page)
		}
	}
}

// A node that is told that a server loses nothing believes it, and warns once when the server says
// something else.
func TestAServerThatIsNotDurableIsWarnedOf(t *testing.T) {
	s := redistest.Start(t)
	n := upNode(t, keeping(s.DSN()+"?durable=true"))
	restarted(s, n)
	for _, words := range []string{"appendonly is no", "durable=true"} {
		if logged := n.Logged(); strings.Count(logged, words) != 1 {
			t.Errorf("%q is not logged once:\n%s", words, logged)
		}
	}
	s.CLI("CONFIG", "SET", "appendonly", "yes")
	brokertest.Says(t, upNode(t, keeping(s.DSN()+"?durable=true")).Logged(), "level=WARN", "appendfsync is everysec")
	s.Config("appendfsync", "always")
	for what, n := range map[string]*brokertest.Node{
		"a durable server":  upNode(t, keeping(s.DSN()+"?durable=true")),
		"the other setting": upNode(t, keeping(s.DSN()+"?durable=false")),
		"no history":        upNode(t, broker.Config{DSN: s.DSN() + "?durable=true"}),
	} {
		if logged := n.Logged(); strings.Contains(logged, "durable") {
			t.Errorf("with %s there is a warning: %s", what, logged)
		}
	}
}

func TestAClusterIsNotDurable(t *testing.T) {
	s := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf")
	brokertest.Says(t, openError(t, s.DSN()+"?durable=true"), "part of a cluster", "durable=true", "single server")
	if _, err := Driver.Examine(t.Context(), broker.Config{DSN: s.DSN() + "?durable=true"}); err == nil || !strings.Contains(err.Error(), "single server") {
		t.Errorf("the examination says %v", err)
	}
}

// TestNothingIsLostWhenADurableServerIsKilled in the middle of publications: what is acknowledged is
// kept, and what a subscriber has got is kept too, so no position comes twice.
func TestNothingIsLostWhenADurableServerIsKilled(t *testing.T) {
	s := durableServer(t)
	n := upNode(t, keeping(s.DSN()+"?durable=true"))
	n.Join("h")
	start := n.Read("h", broker.Position{}, 0).Tail
	type outcome struct {
		content string
		err     error
	}
	outcomes := make(chan outcome, 90)
	for i := range 90 {
		content := strings.Repeat("x", i+1)
		note := func(_ broker.Receipt, err error) { outcomes <- outcome{content, err} }
		if pending, r, err := n.Publish([]byte("h"), []byte(content), note); !pending {
			note(r, err)
		}
		if i == 45 {
			n.Until("some came", func() bool { return len(n.Contents("h")) > 5 })
			s.Stop()
		}
	}
	taken := map[string]error{}
	for range 90 {
		o := <-outcomes
		if taken[o.content] = o.err; !isOutcome(o.err) {
			t.Errorf("an outcome is %v", o.err)
		}
	}
	s.Restart()
	n.WaitUp()
	page := n.Read("h", start, 0)
	kept := map[string]broker.Position{}
	for _, e := range page.Entries {
		if kept[string(e.Content)] = e.Head.Position; taken[string(e.Content)] != nil && !errors.Is(taken[string(e.Content)], broker.ErrUnknown) {
			t.Errorf("one is kept whose outcome is %v", taken[string(e.Content)])
		}
	}
	for content, err := range taken {
		if _, ok := kept[content]; err == nil && !ok {
			t.Errorf("one of %d bytes is acknowledged, and lost", len(content))
		}
	}
	for _, e := range n.Heard("h") {
		if kept[string(e.Content)] != e.Head.Position {
			t.Errorf("one with %q was delivered, and is kept with %q", e.Head.Position, kept[string(e.Content)])
		}
	}
	if !page.Complete {
		t.Error("the history is not complete")
	}
}
