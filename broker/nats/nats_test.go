package nats

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/natstest"
)

func TestCarriesPublicationsToEveryNode(t *testing.T) {
	s := natstest.Start(t, nil)
	a, b := upNode(t, broker.Config{DSN: s.URL}), upNode(t, broker.Config{DSN: s.URL})
	a.Join("news", "other")
	b.Join("news")
	a.MustPublish("news", `"from a"`)
	b.MustPublish("news", `"from b"`)
	a.MustPublish("nobody", `"x"`)
	a.MustPublish("other", `"only a"`)
	for _, n := range []*brokertest.Node{a, b} {
		n.Expect("news", `"from a"`, `"from b"`)
	}
	a.Expect("other", `"only a"`)
	if got := b.Count(); got != 2 {
		t.Errorf("b received %d publications, want 2", got)
	}
}

// What other clients of the servers publish is delivered, with headers or without,
// and they hear what nodes publish.
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

// natsClient returns a client of its own.
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

// 100,000 publications of each of two nodes to one channel: every node hears all of
// them once, and those of each node in its order.
func TestKeepsThePublishersOrder(t *testing.T) {
	const each = 100_000
	s := natstest.Start(t, nil)
	nodes := []*brokertest.Node{upNode(t, broker.Config{DSN: s.URL, BufferSize: 64 << 20}), upNode(t, broker.Config{DSN: s.URL, BufferSize: 64 << 20})}
	for _, n := range nodes {
		n.Join("order")
	}
	var publishing sync.WaitGroup
	for i, n := range nodes {
		publishing.Go(func() { publishNumbers(n, "order", i, each) })
	}
	publishing.Wait()
	for _, n := range nodes {
		n.Until("everything came", func() bool { return n.Count() >= len(nodes)*each })
		next := make([]int, len(nodes))
		for _, c := range n.Contents("order") {
			var from, number int
			if _, err := fmt.Sscanf(c, "%d %d", &from, &number); err != nil || number != next[from] {
				t.Fatalf("got %q (%v), want number %d of that node", c, err, next[from])
			}
			next[from]++
		}
		if n.Stats().Received != uint64(len(nodes)*each) {
			t.Errorf("received %d, want %d", n.Stats().Received, len(nodes)*each)
		}
	}
}

// publishNumbers publishes "from 0", "from 1", and so on, and returns when all have
// their outcome, which has to be none but nil.
func publishNumbers(n *brokertest.Node, channel string, from, count int) {
	var done sync.WaitGroup
	for i := range count {
		done.Add(1)
		for {
			pending, err := n.Publish([]byte(channel), fmt.Appendf(nil, "%d %d", from, i), func(err error) {
				if err != nil {
					n.T.Errorf("publication %d: %v", i, err)
				}
				done.Done()
			})
			if pending {
				break
			}
			if err != broker.ErrFull {
				n.T.Errorf("Publish %d: %v", i, err)
				done.Done()
				break
			}
		}
	}
	done.Wait()
}

func TestPrefixesKeepServicesApart(t *testing.T) {
	s := natstest.Start(t, nil)
	a := upNode(t, broker.Config{DSN: s.URL, Prefix: "team.app."})
	b := upNode(t, broker.Config{DSN: s.URL})
	a.Join("news", ".x")
	b.Join("news", "team.app.news")
	a.MustPublish("news", "1")
	a.MustPublish(".x", "2")
	b.MustPublish("news", "3")
	a.Expect("news", "1")
	a.Expect(".x", "2")
	b.Expect("news", "3")
	b.Expect("team.app.news", "1")
}

func TestChannelsMayHaveAnyName(t *testing.T) {
	s := natstest.Start(t, nil)
	n := upNode(t, broker.Config{DSN: s.URL})
	names := append(unusualChannels(), strings.Repeat("x", maxSubject), strings.Repeat(" ", maxChannel("")))
	n.Join(names...)
	for _, name := range names {
		n.MustPublish(name, name)
	}
	for _, name := range names {
		n.Expect(name, name)
	}
	if st := n.Stats(); st.Connects != 1 || st.SubscriptionEnds != 0 {
		t.Errorf("%d connects, %d subscriptions ended; want 1 and 0", st.Connects, st.SubscriptionEnds)
	}
}

// A name that would make the server end the connection is refused before, and
// nothing else is touched.
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

// A link that has no room for what comes makes the server wait; nothing is dropped.
func TestReadsNoMoreThanItHandsOn(t *testing.T) {
	s := natstest.Start(t, nil)
	slow := upNode(t, broker.Config{DSN: s.URL})
	slow.Join("flood")
	nc := natsClient(t, s.URL)
	const publications = 300_000
	release := slow.Hold() // deliver waits
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
