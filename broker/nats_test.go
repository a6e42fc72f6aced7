package broker

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"wsify/internal/natstest"
)

func TestNATSCarriesPublicationsToEveryNode(t *testing.T) {
	s := natstest.Start(t, nil)
	a, b := joinNATS(t, Config{DSN: s.URL}), joinNATS(t, Config{DSN: s.URL})
	a.subscribe("news", "other")
	b.subscribe("news")
	a.mustPublish("news", `"from a"`)
	b.mustPublish("news", `"from b"`)
	a.mustPublish("nobody", `"x"`)
	a.mustPublish("other", `"only a"`)
	for _, n := range []*natsNode{a, b} {
		n.expect("news", `"from a"`, `"from b"`)
	}
	a.expect("other", `"only a"`)
	if got := b.received(); got != 2 {
		t.Errorf("b received %d publications, want 2", got)
	}
}

// What other clients of the servers publish is delivered, with headers or without,
// and they hear what nodes publish.
func TestNATSIsSharedWithOtherClients(t *testing.T) {
	s := natstest.Start(t, nil)
	n := joinNATS(t, Config{DSN: s.URL})
	n.subscribe("chat.room.1")
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
	n.expect("chat.room.1", `{"by":"hand"}`, `2`)
	n.mustPublish("chat.room.1", `3`)
	for _, want := range []string{`{"by":"hand"}`, `2`, `3`} {
		if m, err := heard.NextMsg(natsPatience); err != nil || string(m.Data) != want {
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

func TestNATSUnsubscribes(t *testing.T) {
	s := natstest.Start(t, nil)
	before := s.NATS.NumSubscriptions()
	n := joinNATS(t, Config{DSN: s.URL})
	channels := make([]string, 2*maxBatch)
	for i := range channels {
		channels[i] = fmt.Sprint("c", i)
	}
	n.subscribe(channels...)
	if got := s.NATS.NumSubscriptions() - before; got != uint32(len(channels)) {
		t.Errorf("the server has %d subscriptions, want %d", got, len(channels))
	}
	for _, c := range channels[1:] {
		n.Unsubscribe(c)
	}
	n.until("the server has one subscription", func() bool { return s.NATS.NumSubscriptions()-before == 1 })
	n.subscribe(channels[7])
	n.mustPublish(channels[7], "again")
	n.expect(channels[7], "again")
}

// 100,000 publications of each of two nodes to one channel: every node hears all of
// them once, and those of each node in its order.
func TestNATSKeepsThePublishersOrder(t *testing.T) {
	const each = 100_000
	s := natstest.Start(t, nil)
	nodes := []*natsNode{joinNATS(t, Config{DSN: s.URL, BufferSize: 64 << 20}), joinNATS(t, Config{DSN: s.URL, BufferSize: 64 << 20})}
	for _, n := range nodes {
		n.subscribe("order")
	}
	var publishing sync.WaitGroup
	for i, n := range nodes {
		publishing.Go(func() { publishNumbers(n, "order", i, each) })
	}
	publishing.Wait()
	for _, n := range nodes {
		n.until("everything came", func() bool { return n.received() >= len(nodes)*each })
		next := make([]int, len(nodes))
		for _, c := range n.contents("order") {
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
func publishNumbers(n *natsNode, channel string, from, count int) {
	var done sync.WaitGroup
	for i := range count {
		done.Add(1)
		for {
			pending, err := n.Publish([]byte(channel), fmt.Appendf(nil, "%d %d", from, i), func(err error) {
				if err != nil {
					n.t.Errorf("publication %d: %v", i, err)
				}
				done.Done()
			})
			if pending {
				break
			}
			if err != ErrFull {
				n.t.Errorf("Publish %d: %v", i, err)
				done.Done()
				break
			}
		}
	}
	done.Wait()
}

func TestNATSPrefixesKeepServicesApart(t *testing.T) {
	s := natstest.Start(t, nil)
	a := joinNATS(t, Config{DSN: s.URL, Prefix: "team.app."})
	b := joinNATS(t, Config{DSN: s.URL})
	a.subscribe("news", ".x")
	b.subscribe("news", "team.app.news")
	a.mustPublish("news", "1")
	a.mustPublish(".x", "2")
	b.mustPublish("news", "3")
	a.expect("news", "1")
	a.expect(".x", "2")
	b.expect("news", "3")
	b.expect("team.app.news", "1")
}

func TestNATSChannelsMayHaveAnyName(t *testing.T) {
	s := natstest.Start(t, nil)
	n := joinNATS(t, Config{DSN: s.URL})
	names := append(unusualNATSChannels(), strings.Repeat("x", maxNATSSubject), strings.Repeat(" ", maxNATSChannel("")))
	n.subscribe(names...)
	for _, name := range names {
		n.mustPublish(name, name)
	}
	for _, name := range names {
		n.expect(name, name)
	}
	if st := n.Stats(); st.Connects != 1 || st.SubscriptionEnds != 0 {
		t.Errorf("%d connects, %d subscriptions ended; want 1 and 0", st.Connects, st.SubscriptionEnds)
	}
}

// A name that would make the server end the connection is refused before, and
// nothing else is touched.
func TestNATSRefusesNamesThatAreTooLong(t *testing.T) {
	s := natstest.Start(t, nil)
	n := joinNATS(t, Config{DSN: s.URL})
	for _, name := range []string{strings.Repeat("x", maxNATSSubject+1), strings.Repeat(" ", maxNATSChannel("")+1), strings.Repeat("x", 64<<10)} {
		n.Subscribe(name)
		if err := n.await(name); !errors.Is(err, errNATSTooLong) {
			t.Errorf("Await of %d bytes: %v, want %v", len(name), err, errNATSTooLong)
		}
		if err := n.publish(name, "x"); !errors.Is(err, errNATSTooLong) {
			t.Errorf("Publish to %d bytes: %v, want %v", len(name), err, errNATSTooLong)
		}
		n.Unsubscribe(name)
	}
	n.subscribe("news")
	n.mustPublish("news", "x")
	n.expect("news", "x")
	if got := n.Stats().Connects; got != 1 {
		t.Errorf("%d links were opened, want 1", got)
	}
}

func TestNATSContentLargerThanTheServerTakesIsRefused(t *testing.T) {
	s := natstest.Start(t, &server.Options{MaxPayload: 1000})
	n := joinNATS(t, Config{DSN: s.URL})
	if !strings.Contains(n.logged(), "max_payload=1000 max_content=65536") {
		t.Errorf("no warning of the server's limit in the log: %s", n.logged())
	}
	n.subscribe("news")
	if err := n.publish("news", strings.Repeat("x", 1001)); err != ErrTooBig {
		t.Errorf("Publish of 1001 bytes: %v, want %v", err, ErrTooBig)
	}
	n.mustPublish("news", strings.Repeat("x", 1000))
	n.expect("news", strings.Repeat("x", 1000))
}

// A link that has no room for what comes makes the server wait; nothing is dropped.
func TestNATSReadsNoMoreThanItHandsOn(t *testing.T) {
	s := natstest.Start(t, nil)
	slow := joinNATS(t, Config{DSN: s.URL})
	slow.subscribe("flood")
	nc := natsClient(t, s.URL)
	const publications = 300_000
	slow.mu.Lock() // deliver waits
	for range publications {
		if err := nc.Publish("flood", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(natsPatience); err != nil {
		t.Fatal(err)
	}
	slow.mu.Unlock()
	slow.until("everything came", func() bool { return slow.received() == publications })
	if got := slow.Stats().Connects; got != 1 {
		t.Errorf("%d links were opened, want 1", got)
	}
}
