package session

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/broker/nats"
	"wsify/broker/redis"
	"wsify/internal/natstest"
	"wsify/internal/redistest"
	"wsify/internal/testtool"
)

// keeper is a real engine that keeps history.
type keeper struct {
	t             *testing.T
	driver        broker.Driver
	scheme, addr  string
	query         string // of the DSN
	stop, restart func()
	forgets       bool // a restart loses the history
}

// withKeepers runs a test with Redis and with NATS.
func withKeepers(t *testing.T, test func(t *testing.T, e keeper)) {
	t.Run("redis", func(t *testing.T) {
		s := redistest.Start(t)
		test(t, keeper{t: t, driver: redis.Driver, scheme: "redis://", addr: s.Addr, stop: s.Stop, restart: s.Restart, forgets: true})
	})
	t.Run("nats", func(t *testing.T) {
		s := natstest.Start(t, &server.Options{JetStream: true, StoreDir: t.TempDir()})
		test(t, keeper{t: t, driver: nats.Driver, scheme: "nats://", addr: strings.TrimPrefix(s.URL, "nats://"), stop: s.Stop, restart: s.Restart})
	})
}

// node starts a node behind a network of its own.
func (e keeper) node(size int) (*Server, *brokertest.Proxy) {
	e.t.Helper()
	proxy := brokertest.NewProxy(e.t, e.addr)
	cfg := keepHistory(Config{}, size, 64<<20)
	var err error
	cfg.Broker, err = e.driver.Open(broker.Config{DSN: e.scheme + proxy.Listen + e.query, Prefix: "t.", BufferSize: 16 << 20, MaxContent: 64 << 10, MaxChannel: 255, History: cfg.History})
	if err != nil {
		e.t.Fatal(err)
	}
	srv := start(e.t, cfg)
	e.up(srv)
	return srv, proxy
}

func (e keeper) up(srv *Server) {
	e.t.Helper()
	testtool.Until(e.t, "the broker is up", srv.broker.Up)
}

// cut ends the link of a node.
func cut(t *testing.T, srv *Server, proxy *brokertest.Proxy) {
	t.Helper()
	proxy.Stop()
	testtool.Until(t, "the node has noticed", func() bool { return !srv.broker.Up() })
}

// TestANodeGivesItsMembersWhatTheyMissed: the link of one node is cut while others publish. Its
// members get the sequence, and so do clients that move between the nodes.
func TestANodeGivesItsMembersWhatTheyMissed(t *testing.T) {
	t.Parallel()
	withKeepers(t, func(t *testing.T, e keeper) {
		a, _ := e.node(100)
		b, network := e.node(100)
		alice, bob := connect(t, a, "/ws"), connect(t, b, "/ws", "Sec-WebSocket-Protocol: wsify.v1")
		alice.expectJoin("h", "", "", "joined")
		first := bob.expectJoin("h", "", "", "joined")
		next := 0
		publish := func(n int) {
			for range n {
				next++
				post201(t, a, "h", strconv.Itoa(next))
				alice.expectText(strconv.Itoa(next))
			}
		}
		heard := 0
		bobHears := func() {
			t.Helper()
			for ; heard < next; heard++ {
				f, err := bob.next()
				if err != nil || !strings.Contains(f.payload, fmt.Sprintf(`"content":%d}`, heard+1)) {
					t.Fatalf("got %v, %v, want the content %d", f, err, heard+1)
				}
			}
		}
		publish(3)
		bobHears()
		for range 3 {
			cut(t, b, network)
			publish(5)
			network.Restart()
			bobHears() // without another publication
			publish(2)
			bobHears()
		}
		carol := connect(t, b, "/ws")
		got, r := carol.joinFrom("h", sincePosition(first.Position))
		if len(got) != next || r.String() != "recovered true" {
			t.Fatalf("from the first position of the other node: %d of %d publications, %s", len(got), next, r)
		}
		dave := connect(t, a, "/ws")
		dave.expectJoin("h", sincePosition(r.Position), "", "recovered true")
		for _, srv := range []*Server{a, b} {
			if st := srv.Stats(); st.HistoryGaps != 0 {
				t.Errorf("%d gaps", st.HistoryGaps)
			}
		}
	})
}

// TestAnEngineThatIsRestartedGoesOnOrIsAGap: it depends on whether it is known to have
// kept the history.
func TestAnEngineThatIsRestartedGoesOnOrIsAGap(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, e keeper) {
		a, _ := e.node(100)
		alice := connect(t, a, "/ws", "Sec-WebSocket-Protocol: wsify.v1")
		first := alice.expectJoin("h", "", "", "joined")
		post201(t, a, "h", `1`)
		alice.expectPrefix(`{"type":"message"`)
		e.stop()
		testtool.Until(t, "the node has noticed", func() bool { return !a.broker.Up() })
		e.restart()
		e.up(a)
		post201(t, a, "h", `2`)
		outcome := "recovered true"
		if e.forgets {
			alice.expectPrefix(`{"type":"gap"`)
			outcome = "recovered false"
		}
		alice.expectPrefix(`{"type":"message"`)
		bob := connect(t, a, "/ws")
		if _, r := bob.joinFrom("h", sincePosition(first.Position)); r.String() != outcome {
			t.Errorf("the position from before: %s, want %s", r, outcome)
		}
	}
	withKeepers(t, test)
	for _, query := range []string{"", "?durable=true"} {
		t.Run("redis with all data"+query, func(t *testing.T) { test(t, durableRedis(t, query)) })
	}
}

func (p *peer) expectPrefix(want string) {
	p.t.Helper()
	if f, err := p.next(); err != nil || !strings.HasPrefix(f.payload, want) {
		p.t.Fatalf("got %v, %v, want %s", f, err, want)
	}
}

// TestEveryClientOfTwoNodesGetsTheSequence: clients drop and move between two nodes, whose links
// are cut now and then, while numbers are published. Each gets all of them in order.
func TestEveryClientOfTwoNodesGetsTheSequence(t *testing.T) {
	t.Parallel()
	withKeepers(t, func(t *testing.T, e keeper) {
		const clients, last = 10, 300
		a, networkA := e.node(last)
		b, networkB := e.node(last)
		c, _ := e.node(last) // publishes
		nodes := []*Server{a, b}
		var running sync.WaitGroup
		for n := range clients {
			f := &wanderer{t: t, nodes: nodes, random: newRandom(n)}
			f.begin(n % 2)
			running.Go(func() { f.wander(last) })
		}
		for n := 1; n <= last; n++ {
			post201(t, c, "h", strconv.Itoa(n))
			switch n % 100 {
			case 30:
				networkA.Stop()
			case 40:
				networkA.Restart()
			case 60:
				networkB.Stop()
			case 70:
				networkB.Restart()
			}
			time.Sleep(time.Millisecond) // so that cuts and drops meet publications; nothing depends on it
		}
		running.Wait()
	})
}
