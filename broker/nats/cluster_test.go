package nats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"wsify/broker"
	"wsify/broker/brokertest"
	"wsify/internal/natstest"
)

// hearSoon publishes to a channel until the others receive it, which takes a moment in a cluster.
func hearSoon(from *brokertest.Node, channel string, to ...*brokertest.Node) {
	from.T.Helper()
	from.Until("everybody hears "+channel, func() bool {
		if from.Up() {
			_ = from.Published(channel, "are you there?")
		}
		for _, n := range to {
			if len(n.Contents(channel)) == 0 {
				return false
			}
		}
		return true
	})
}

// Nodes on three servers receive each other's publications. When one server is killed, its node
// connects to another, which the DSN need not name.
func TestClusterLosesAServer(t *testing.T) {
	servers := natstest.Cluster(t, 3)
	var nodes []*brokertest.Node
	for _, s := range servers {
		n := upNode(t, broker.Config{DSN: s.URL})
		n.Join("before", "after")
		nodes = append(nodes, n)
	}
	hearSoon(nodes[0], "before", nodes...)
	servers[0].Stop()
	nodes[0].Until("it has another server", func() bool { return nodes[0].Up() && nodes[0].Stats().Connects == 2 })
	hearSoon(nodes[0], "after", nodes...)
	if st := nodes[1].Stats(); st.Connects != 1 {
		t.Errorf("the node of another server opened %d links, want 1", st.Connects)
	}
}

// A node leaves a server in lame duck mode before the server disconnects it, and every publication
// under way has its true outcome.
func TestLameDuck(t *testing.T) {
	servers := natstest.Cluster(t, 2)
	n := upNode(t, broker.Config{DSN: servers[0].URL})
	n.Join("news")
	load := n.Load("news", "n")
	n.Until("it receives", func() bool { return n.Count() > 1000 })
	var shutdown sync.WaitGroup
	shutdown.Go(servers[0].NATS.LameDuckShutdown) // ten seconds of grace
	n.Until("it has another server", func() bool { return n.Up() && n.Stats().Connects == 2 })
	brokertest.CheckHeard(t, n.Contents("news"), load.End())
	if !strings.Contains(n.Logged(), errLeaving.Error()) {
		t.Errorf("it was thrown out: %s", n.Logged())
	}
	if got := n.Stats().Publications["unknown"]; got != 0 {
		t.Errorf("%d publications have an unknown outcome, want 0", got)
	}
	servers[0].Stop()
	shutdown.Wait()
}

// Without another server, a node stays with a server in lame duck mode to the end.
func TestLameDuckWithoutOthers(t *testing.T) {
	s := natstest.Start(t, &server.Options{LameDuckGracePeriod: 500 * time.Millisecond, LameDuckDuration: time.Second})
	n := upNode(t, broker.Config{DSN: s.URL})
	n.Join("news")
	var shutdown sync.WaitGroup
	shutdown.Go(s.NATS.LameDuckShutdown)
	n.Until("the server left", func() bool { return !n.Up() })
	shutdown.Wait()
	if strings.Contains(n.Logged(), errLeaving.Error()) {
		t.Errorf("it did not stay: %s", n.Logged())
	}
	s.Restart()
	n.Until("it is up", n.Up)
	n.MustPublish("news", "x")
	n.Expect("news", "x")
}

// After a subscription was confirmed, nothing published on the same server is missed.
func TestNothingIsMissedOnTheSameServer(t *testing.T) {
	servers := natstest.Cluster(t, 2)
	joiner, publisher := upNode(t, broker.Config{DSN: servers[0].URL}), upNode(t, broker.Config{DSN: servers[0].URL})
	for i := range 500 {
		channel := fmt.Sprint("c", i)
		joiner.Join(channel)
		publisher.MustPublish(channel, "first")
	}
	for i := range 500 {
		joiner.Expect(fmt.Sprint("c", i), "first")
	}
}

// On another server, publications are missed until that server has learned of the subscription. It
// learns on the same route as publications take. So once a member there has received something that
// the joining node published after the confirmation, the joining node receives what is published
// there.
func TestWhatIsMissedOnAnotherServer(t *testing.T) {
	const rounds = 500
	servers := natstest.Cluster(t, 2)
	joiner, publisher := upNode(t, broker.Config{DSN: servers[0].URL}), upNode(t, broker.Config{DSN: servers[1].URL})
	publisher.Join("joined")
	hearSoon(joiner, "joined", publisher)
	for i := range rounds {
		channel := fmt.Sprint("c", i)
		joiner.Join(channel)
		publisher.MustPublish(channel, "at once")
		heard := len(publisher.Contents("joined"))
		joiner.MustPublish("joined", channel)
		publisher.Until("it heard of the join", func() bool { return len(publisher.Contents("joined")) > heard })
		publisher.MustPublish(channel, "after hearing")
	}
	missed := 0
	for i := range rounds {
		channel := fmt.Sprint("c", i)
		joiner.Until("what was published after hearing came", func() bool {
			got := joiner.Contents(channel)
			return len(got) > 0 && got[len(got)-1] == "after hearing"
		})
		if joiner.Contents(channel)[0] != "at once" {
			missed++
		}
	}
	t.Logf("of %d publications at once, %d were missed", rounds, missed)
}

// Before TLS begins, anyone on the route can pose as the server, and name another. The node does
// not send its credentials there, unless the servers are checked against ca.
func TestServersToldOfBeforeTLSAreNotTrusted(t *testing.T) {
	reached := listenAnd(t, func(net.Conn) {})
	middle := listenAnd(t, func(conn net.Conn) {
		fmt.Fprintf(conn, "INFO {\"server_id\":\"x\",\"proto\":1,\"max_payload\":1048576,\"tls_required\":true,\"connect_urls\":[%q]}\r\n", reached.addr)
	})
	_, files := newCA(t).issue(t, "other")
	for _, c := range []struct {
		dsn  string
		want bool
	}{
		{"tls://user:s3cr3t@" + middle.addr, false},
		{"tls://user:s3cr3t@" + middle.addr + "?cert=" + files[0] + "&key=" + files[1], false},
		{"tls://user:s3cr3t@" + middle.addr + "?ca=" + files[0], true},
	} {
		reached.times.Store(0)
		e, err := newEngine(broker.Config{DSN: c.dsn})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := withTimeout(t)
		if _, _, err := e.Open(ctx, brokertest.Nowhere{}); err == nil {
			t.Error("a link to nothing")
		}
		cancel()
		if got := reached.times.Load() > 0; got != c.want {
			t.Errorf("%s: the server told of was reached: %t, want %t", strings.Replace(c.dsn, middle.addr, "middle", 1), got, c.want)
		}
	}
}

// listening is a fake server.
type listening struct {
	addr  string
	times atomic.Int32 // number of connections
}

// listenAnd calls do with each connection, and closes it.
func listenAnd(t *testing.T, do func(net.Conn)) *listening {
	t.Helper()
	l := brokertest.Listen(t)
	s := &listening{addr: l.Addr().String()}
	brokertest.Serve(l, func(conn net.Conn) {
		s.times.Add(1)
		do(conn)
		_ = conn.Close()
	})
	return s
}

// told is a sink that keeps the cause of Lost.
type told struct {
	brokertest.Nowhere
	lost atomic.Pointer[string]
}

// Lost keeps the first cause.
func (s *told) Lost(cause error) {
	text := cause.Error()
	s.lost.CompareAndSwap(nil, &text)
}

// When a subscription fails, the cause of the loss has already been reported: the error itself may
// only say that the link is closed.
func TestAFailedSubscriptionComesAfterTheCause(t *testing.T) {
	middle := listenAnd(t, func(conn net.Conn) {
		fmt.Fprint(conn, "INFO {\"server_id\":\"x\",\"proto\":1,\"max_payload\":1048576}\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			switch word, _, _ := strings.Cut(lines.Text(), " "); word {
			case "PING":
				fmt.Fprint(conn, "PONG\r\n")
			case "SUB":
				fmt.Fprint(conn, "-ERR 'too late in the day'\r\n")
				return
			}
		}
	})
	e, err := newEngine(broker.Config{DSN: middle.addr})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		ctx, cancel := withTimeout(t)
		to := &told{}
		l, _, err := e.Open(ctx, to)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Subscribe(ctx, []string{"news"}); err == nil {
			t.Error("subscribed")
		}
		if lost := to.lost.Load(); lost == nil || !strings.Contains(*lost, "too late in the day") {
			t.Errorf("when it had failed, Lost had been told %v", lost)
		}
		l.Close()
		cancel()
	}
}

// A name server that does not answer does not delay Close.
func TestOpenEndsWithItsContextDuringALookup(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked <- struct{}{}
		<-release
		return nil, errors.New("no name server")
	}}
	defer func() { net.DefaultResolver = before }()
	defer close(release)
	e, err := newEngine(broker.Config{DSN: "nats://nowhere.test:4222"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := withTimeout(t)
	defer cancel()
	opened := make(chan error, 1)
	go func() {
		_, _, err := e.Open(ctx, brokertest.Nowhere{})
		opened <- err
	}()
	<-asked
	cancel()
	select {
	case err := <-opened:
		if err == nil {
			t.Error("opened")
		}
	case <-time.After(brokertest.Patience):
		t.Error("open goes on after its context")
	}
}
