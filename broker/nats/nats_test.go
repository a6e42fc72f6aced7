package nats

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/natstest"
)

// Publications of other clients of the servers are delivered, with headers or without, and these
// clients receive those of nodes.
func TestIsSharedWithOtherClients(t *testing.T) {
	s := natstest.Start(t, nil)
	n := upNode(t, broker.Config{DSN: s.URL})
	n.Join("chat.room.1")
	nc := natsClient(t, s.URL)
	heard, err := nc.SubscribeSync("chat.*.1")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("chat.room.1", []byte(`{"by":"hand"}`)); err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishMsg(&nats.Msg{Subject: "chat.room.1", Header: nats.Header{"A": {"b"}}, Data: []byte(`2`)}); err != nil {
		t.Fatal(err)
	}
	n.Expect("chat.room.1", `{"by":"hand"}`, `2`)
	n.MustPublish("chat.room.1", `3`)
	for _, want := range []string{`{"by":"hand"}`, `2`, `3`} {
		if m, err := heard.NextMsg(brokertest.Patience); err != nil || string(m.Data) != want {
			t.Fatalf("the other client heard %v, %v, want %q", m, err, want)
		}
	}
}

// natsClient returns a separate client.
func natsClient(t testing.TB, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatalf("nats.Connect: %v", err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestUnsubscribes(t *testing.T) {
	s := natstest.Start(t, nil)
	before := s.NATS.NumSubscriptions()
	n := upNode(t, broker.Config{DSN: s.URL})
	channels := make([]string, 2*broker.MaxBatch)
	for i := range channels {
		channels[i] = fmt.Sprint("c", i)
	}
	n.Join(channels...)
	if got := s.NATS.NumSubscriptions() - before; got != uint32(len(channels)) {
		t.Errorf("the server has %d subscriptions, want %d", got, len(channels))
	}
	for _, c := range channels[1:] {
		n.Unsubscribe(c)
	}
	n.Until("the server has one subscription", func() bool { return s.NATS.NumSubscriptions()-before == 1 })
	n.Join(channels[7])
	n.MustPublish(channels[7], "again")
	n.Expect(channels[7], "again")
}

func TestChannelsMayHaveAnyName(t *testing.T) {
	s := natstest.Start(t, nil)
	n := upNode(t, broker.Config{DSN: s.URL})
	names := append(unusualChannels(), strings.Repeat("x", maxSubject), strings.Repeat(" ", maxChannel("")))
	n.Join(names...)
	for _, name := range names {
		n.MustPublish(name, "to "+name)
	}
	for _, name := range names {
		n.Expect(name, "to "+name)
	}
	if st := n.Stats(); st.Connects != 1 || st.SubscriptionEnds != 0 {
		t.Errorf("%d connects, %d subscriptions ended; want 1 and 0", st.Connects, st.SubscriptionEnds)
	}
}

// A name that would make the server close the connection is refused before it is sent, and nothing
// else is affected.
func TestRefusesNamesThatAreTooLong(t *testing.T) {
	s := natstest.Start(t, nil)
	n := upNode(t, broker.Config{DSN: s.URL})
	for _, name := range []string{strings.Repeat("x", maxSubject+1), strings.Repeat(" ", maxChannel("")+1), strings.Repeat("x", 64<<10)} {
		n.Subscribe(name)
		if err := n.Awaited(name); !errors.Is(err, errTooLong) {
			t.Errorf("Await of %d bytes: %v, want %v", len(name), err, errTooLong)
		}
		if err := n.Published(name, "x"); !errors.Is(err, errTooLong) {
			t.Errorf("Publish to %d bytes: %v, want %v", len(name), err, errTooLong)
		}
		n.Unsubscribe(name)
	}
	n.Join("news")
	n.MustPublish("news", "x")
	n.Expect("news", "x")
	if got := n.Stats().Connects; got != 1 {
		t.Errorf("%d links were opened, want 1", got)
	}
}

func TestContentLargerThanTheServerTakesIsRefused(t *testing.T) {
	s := natstest.Start(t, &server.Options{MaxPayload: 1000})
	n := upNode(t, broker.Config{DSN: s.URL})
	if !strings.Contains(n.Logged(), "max_payload=1000 max_content=65536") {
		t.Errorf("no warning of the server's limit in the log: %s", n.Logged())
	}
	n.Join("news")
	if err := n.Published("news", strings.Repeat("x", 1001)); err != broker.ErrTooBig {
		t.Errorf("Publish of 1001 bytes: %v, want %v", err, broker.ErrTooBig)
	}
	n.MustPublish("news", strings.Repeat("x", 1000))
	n.Expect("news", strings.Repeat("x", 1000))
}

// A link without room makes the server wait; nothing is dropped.
func TestReadsNoMoreThanItHandsOn(t *testing.T) {
	s := natstest.Start(t, nil)
	slow := upNode(t, broker.Config{DSN: s.URL})
	slow.Join("flood")
	nc := natsClient(t, s.URL)
	const publications = 100_000 // far more than the queue holds; they take less time than the timeout of a link
	release := slow.Hold()       // deliver waits
	for range publications {
		if err := nc.Publish("flood", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(brokertest.Patience); err != nil {
		t.Fatal(err)
	}
	release()
	slow.Until("everything came", func() bool { return slow.Count() == publications })
	if got := slow.Stats().Connects; got != 1 {
		t.Errorf("%d links were opened, want 1", got)
	}
}
