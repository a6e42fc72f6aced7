package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wsify/internal/natstest"
)

// hearSoon publishes to a channel until the others hear it: within a cluster that
// takes a moment.
func hearSoon(from *natsNode, channel string, to ...*natsNode) {
	from.t.Helper()
	from.until("everybody hears "+channel, func() bool {
		if from.Up() {
			_ = from.publish(channel, "are you there?")
		}
		for _, n := range to {
			if len(n.contents(channel)) == 0 {
				return false
			}
		}
		return true
	})
}

// Nodes on three servers hear each other; when one server is killed, its node goes to
// another, which the DSN need not name.
func TestNATSClusterLosesAServer(t *testing.T) {
	servers := natstest.Cluster(t, 3)
	var nodes []*natsNode
	for _, s := range servers {
		n := joinNATS(t, Config{DSN: s.URL})
		n.subscribe("before", "after")
		nodes = append(nodes, n)
	}
	hearSoon(nodes[0], "before", nodes...)
	servers[0].Stop()
	nodes[0].until("it has another server", func() bool { return nodes[0].Up() && nodes[0].Stats().Connects == 2 })
	hearSoon(nodes[0], "after", nodes...)
	if st := nodes[1].Stats(); st.Connects != 1 {
		t.Errorf("the node of another server opened %d links, want 1", st.Connects)
	}
}

// A node leaves a server in lame duck mode before it is thrown out, and every
// publication under way has its true outcome.
func TestNATSLameDuck(t *testing.T) {
	servers := natstest.Cluster(t, 2)
	n := joinNATS(t, Config{DSN: servers[0].URL})
	n.subscribe("news")
	load := publishAllTheTime(n, "news")
	n.until("it receives", func() bool { return n.received() > 1000 })
	var shutdown sync.WaitGroup
	shutdown.Go(servers[0].NATS.LameDuckShutdown) // ten seconds of grace
	n.until("it has another server", func() bool { return n.Up() && n.Stats().Connects == 2 })
	outcomes := load.end()
	checkNumbers(t, n.contents("news"), outcomes)
	if !strings.Contains(n.logged(), errNATSLeaving.Error()) {
		t.Errorf("it was thrown out: %s", n.logged())
	}
	if got := n.Stats().Publications["unknown"]; got != 0 {
		t.Errorf("%d publications have an unknown outcome, want 0", got)
	}
	servers[0].Stop()
	shutdown.Wait()
}

// What is guaranteed after a subscription was confirmed. On the same server, nothing
// is missed.
func TestNATSNothingIsMissedOnTheSameServer(t *testing.T) {
	servers := natstest.Cluster(t, 2)
	joiner, publisher := joinNATS(t, Config{DSN: servers[0].URL}), joinNATS(t, Config{DSN: servers[0].URL})
	for i := range 500 {
		channel := fmt.Sprint("c", i)
		joiner.subscribe(channel)
		publisher.mustPublish(channel, "first")
	}
	for i := range 500 {
		joiner.expect(fmt.Sprint("c", i), "first")
	}
}

// On another server, what is published before that server has been told of the
// subscription is missed, and so may be the first. It is told on the way on which
// publications go from server to server: whoever has heard something that the joining
// node published after its join was confirmed is heard by it.
func TestNATSWhatIsMissedOnAnotherServer(t *testing.T) {
	const rounds = 500
	servers := natstest.Cluster(t, 2)
	joiner, publisher := joinNATS(t, Config{DSN: servers[0].URL}), joinNATS(t, Config{DSN: servers[1].URL})
	publisher.subscribe("joined")
	hearSoon(joiner, "joined", publisher)
	for i := range rounds {
		channel := fmt.Sprint("c", i)
		joiner.subscribe(channel)
		publisher.mustPublish(channel, "at once")
		heard := len(publisher.contents("joined"))
		joiner.mustPublish("joined", channel)
		publisher.until("it heard of the join", func() bool { return len(publisher.contents("joined")) > heard })
		publisher.mustPublish(channel, "after hearing")
	}
	missed := 0
	for i := range rounds {
		channel := fmt.Sprint("c", i)
		joiner.until("what was published after hearing came", func() bool {
			got := joiner.contents(channel)
			return len(got) > 0 && got[len(got)-1] == "after hearing"
		})
		if joiner.contents(channel)[0] != "at once" {
			missed++
		}
	}
	t.Logf("of %d publications at once, %d were missed", rounds, missed)
}

// Before TLS begins anybody on the way can speak for the server, and name another. Nobody
// is told who we are there, unless it is ca who signs for the servers.
func TestNATSServersToldOfBeforeTLSAreNotTrusted(t *testing.T) {
	reached := natsListener(t, func(net.Conn) {})
	middle := natsListener(t, func(conn net.Conn) {
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
		r, err := NewNATS(Config{DSN: c.dsn})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := withTimeout(t)
		if _, err := r.engine.open(ctx, nowhere{}); err == nil {
			t.Error("a link to nothing")
		}
		cancel()
		if got := reached.times.Load() > 0; got != c.want {
			t.Errorf("%s: the server told of was reached: %t, want %t", strings.Replace(c.dsn, middle.addr, "middle", 1), got, c.want)
		}
	}
}

// natsListening is a server that is none.
type natsListening struct {
	addr  string
	times atomic.Int32 // connections so far
}

// natsListener gives each connection to do, and closes it.
func natsListener(t *testing.T, do func(net.Conn)) *natsListening {
	t.Helper()
	l := listen(t)
	s := &natsListening{addr: l.Addr().String()}
	serveConns(l, func(conn net.Conn) {
		s.times.Add(1)
		do(conn)
		_ = conn.Close()
	})
	return s
}

// A name server that does not answer does not keep a node from being closed.
func TestNATSOpenEndsWithItsContextDuringALookup(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked <- struct{}{}
		<-release
		return nil, errors.New("no name server")
	}}
	defer func() { net.DefaultResolver = before }()
	defer close(release)
	r, err := NewNATS(Config{DSN: "nats://nowhere.test:4222"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := withTimeout(t)
	defer cancel()
	opened := make(chan error, 1)
	go func() {
		_, err := r.engine.open(ctx, nowhere{})
		opened <- err
	}()
	<-asked
	cancel()
	select {
	case err := <-opened:
		if err == nil {
			t.Error("opened")
		}
	case <-time.After(natsPatience):
		t.Error("open goes on after its context")
	}
}
