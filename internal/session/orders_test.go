package session

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

func TestAKickReachesAllNodes(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		cfg := Config{AdminKey: "k3y"}
		a, b, deaf := e.node(t, cfg), e.node(t, cfg), e.node(t, Config{})
		alice, bob, carol := connect(t, a, "/ws"), connect(t, b, "/ws"), connect(t, deaf, "/ws")
		for _, p := range []*peer{alice, bob, carol} {
			p.join("c", "d")
		}
		done, err := a.Order(t.Context(), Order{Unsubscribe: true, Channel: "d"})
		if err != nil || done != (Carried{1, NodesTold}) {
			t.Fatalf("%+v, %v; want 1 here and the others told", done, err)
		}
		testtool.Until(t, "bob has lost his membership", func() bool { return b.members(t, "d") == 0 })
		bob.usable()
		done, err = a.Order(t.Context(), Order{Channel: "c", Code: 4321, Reason: "bye"})
		if err != nil || done != (Carried{1, NodesTold}) {
			t.Fatalf("%+v, %v; want 1 here and the others told", done, err)
		}
		alice.expectClose(4321)
		bob.expect(opClose, "\x10\xe1bye")
		carol.usable() // a node without the key does not hear orders

		bob = connect(t, b, "/ws")
		if done, err = a.Order(t.Context(), Order{ID: idOf(t, b, bob), Code: 4003}); err != nil || done != (Carried{0, NodesTold}) {
			t.Fatalf("by an id of another node: %+v, %v", done, err)
		}
		bob.expectClose(4003)
		bob = connect(t, b, "/ws")
		if done, err = a.Order(t.Context(), Order{Address: netip.MustParsePrefix("127.0.0.1/32"), Code: 4003}); err != nil || done != (Carried{0, NodesTold}) {
			t.Fatalf("by address: %+v, %v", done, err)
		}
		bob.expectClose(4003)
	})
}

// An order that not all nodes heard must not look like one that they did.
func TestAnOrderSaysThatTheEngineIsUnreachable(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		srv := e.node(t, Config{AdminKey: "k3y"})
		p := connect(t, srv, "/ws")
		p.join("c")
		e.stop()
		testtool.Until(t, "the broker is down", func() bool { return !srv.broker.Up() })
		done, err := srv.Order(t.Context(), Order{Channel: "c", Code: 4003})
		if err != nil || done != (Carried{1, NodesUnreachable}) {
			t.Errorf("%+v, %v; want 1 here and the others unreachable", done, err)
		}
		p.expectClose(4003)
		e.restart()
		testtool.Until(t, "the broker is up", srv.broker.Up)
		other := e.node(t, Config{AdminKey: "k3y"})
		p = connect(t, other, "/ws")
		p.join("c")
		if done, err = srv.Order(t.Context(), Order{Channel: "c", Code: 4003}); err != nil || done != (Carried{0, NodesTold}) {
			t.Errorf("after its return: %+v, %v", done, err)
		}
		p.expectClose(4003)
	})
}

func TestWithoutAnEngineThereAreNoOtherNodes(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{AdminKey: "k3y"})
	done, err := srv.Order(t.Context(), Order{Channel: "c", Code: 4003})
	if err != nil || done != (Carried{0, NodesNone}) {
		t.Errorf("%+v, %v; want none", done, err)
	}
}

func TestAnEngineThatDoesNotAnswerLeavesItUnknown(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{AdminKey: "k3y", Broker: &testBroker{asynchronous: true}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if done, _ := srv.Order(ctx, Order{Channel: "c", Code: 4003}); done.Nodes != NodesUnknown {
		t.Errorf("%+v, want unknown", done)
	}
}

// newTestOrders returns orders of a node with this name, and what it is told to obey.
func newTestOrders(node, key string) (s *orders, obeyed *[]Order) {
	obeyed = new([]Order)
	n := &Node{cfg: Settings{AdminKey: key}, name: node, broker: &testBroker{asynchronous: true}, faults: slog.New(slog.DiscardHandler)}
	s = newOrders(n)
	s.obey = func(o Order) { *obeyed = append(*obeyed, o) }
	return s, obeyed
}

// Whoever may publish to the engine must not be able to give orders.
func TestOnlyThoseWithTheKeyGiveOrders(t *testing.T) {
	s, obeyed := newTestOrders("a-", "k3y")
	other, _ := newTestOrders("b-", "k3y")
	stranger, _ := newTestOrders("b-", "another")
	o := Order{Unsubscribe: true, ID: "x", Channel: "\x00 \u2028", Code: 4003, Reason: "why", Address: netip.MustParsePrefix("2001:db8::/64"), User: "ann"}
	now := time.Now()
	good := string(other.seal(o, now))
	for name, content := range map[string]string{
		"another key":        string(stranger.seal(o, now)),
		"one's own":          string(s.seal(o, now)),
		"too old":            string(other.seal(o, now.Add(-orderAge-time.Second))),
		"from the future":    string(other.seal(o, now.Add(orderAge+10*time.Second))),
		"nothing":            "",
		"no signature":       good[65:],
		"a cut signature":    good[1:],
		"an empty signature": good[64:],
		"another body":       strings.Replace(good, "4003", "4004", 1),
		"a cut body":         good[:len(good)-1],
		"more body":          good + " ",
		"upper case":         strings.ToUpper(good[:64]) + good[64:len(good)-1],
	} {
		if s.received([]byte(content)); len(*obeyed) != 0 {
			t.Errorf("%s: obeyed %+v", name, *obeyed)
			*obeyed = nil
		}
	}
	if s.received([]byte(good)); len(*obeyed) != 1 || (*obeyed)[0] != o {
		t.Errorf("obeyed %+v, want %+v", *obeyed, o)
	}
	*obeyed = nil
	if s.received(other.seal(o, now.Add(-orderAge+10*time.Second))); len(*obeyed) != 1 {
		t.Error("an order that is not too old is ignored")
	}
}

func FuzzOrders(f *testing.F) {
	s, obeyed := newTestOrders("a-", "k3y")
	other, _ := newTestOrders("b-", "k3y")
	good := other.seal(Order{Channel: "c", Code: 4003}, time.Unix(0, 0))
	f.Add(good)
	f.Add(good[:64])
	f.Add([]byte(" {}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if s.received(content); len(*obeyed) != 0 {
			t.Fatalf("obeyed %+v", *obeyed)
		}
	})
}

// Clients and backends cannot use the channel for orders, so they cannot hear or replay them.
func TestNobodyElseUsesTheChannelForOrders(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		book := &testtool.Log{}
		a, b := e.node(t, Config{AdminKey: "k3y", Logger: book.Logger()}), e.node(t, Config{AdminKey: "k3y"})
		p := connect(t, a, "/ws")
		const name = `" \u0000wsify/orders"`
		for _, command := range []string{"join", "broadcast", "leave"} {
			p.send(`{"command":"` + command + `","args":{"channel":` + name + `,"content":"0 {}"},"id":1}`)
			p.expectText(`{"id":1,"ok":false,"error":{"code":"bad_request","message":"a channel's name must not begin with U+0000"}}`)
		}
		if res := post(t, a, "/broadcast", `{"channel":`+name+`,"content":1}`); res.status != 400 {
			t.Errorf("POST /broadcast: %d %s, want 400", res.status, res.body)
		}
		// Somebody who may publish to the engine.
		p.join("c")
		if _, _, err := b.broker.Publish(nil, orderChannel, []byte("forged"), nil); err != nil {
			t.Fatal(err)
		}
		testtool.Until(t, "the forgery is in the log", func() bool { return strings.Contains(book.String(), "an order of another node is ignored") })
		p.usable()
	})
}

// Whoever looks for the reason of many lost clients finds the order, on each node.
func TestAnOrderIsLoggedAndCountedWhereItIsCarriedOut(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		var books [2]testtool.Log
		var nodes [2]*Server
		for i := range nodes {
			nodes[i] = e.node(t, Config{AdminKey: "k3y", Logger: books[i].Logger()})
			connect(t, nodes[i], "/ws").join("news")
		}
		for _, tc := range []struct {
			o          Order
			own, other string
		}{
			{Order{Unsubscribe: true, ID: "7-1", Channel: "news"}, "order=unsubscribe conn=7-1 channel=news here=0 nodes=told", "order=unsubscribe conn=7-1 channel=news here=0"},
			{Order{Unsubscribe: true, Channel: "old"}, "order=unsubscribe channel=old here=0 nodes=told", "order=unsubscribe channel=old here=0"},
			{Order{Address: netip.MustParsePrefix("192.0.2.0/24"), Code: 4010}, "order=kick address=192.0.2.0/24 code=4010 here=0 nodes=told", "order=kick address=192.0.2.0/24 code=4010 here=0"},
			{Order{User: "ann", Code: 4003}, "order=kick user=ann code=4003 here=0 nodes=told", "order=kick user=ann code=4003 here=0"},
			{Order{Channel: "news", Code: 4003}, "order=kick channel=news code=4003 here=1 nodes=told", "order=kick channel=news code=4003 here=1"},
		} {
			if _, err := nodes[0].Order(t.Context(), tc.o); err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{`msg="an order of the operator was carried out" ` + tc.own, `msg="an order of another node was carried out" ` + tc.other} {
				testtool.Until(t, want, func() bool { return strings.Contains(books[i].String(), "level=INFO "+want+"\n") })
			}
		}
		for i, n := range nodes {
			if got := n.Stats().Orders; got["kick"] != 3 || got["unsubscribe"] != 2 {
				t.Errorf("node %d counted %v, want 3 and 2", i, got)
			}
		}
	})
}
