package session

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/broker/nats"
	"wsify/broker/redis"
	"wsify/internal/natstest"
	"wsify/internal/redistest"
	"wsify/internal/testtool"
)

// testEngine is a real engine that several nodes share.
type testEngine struct {
	driver, dsn   string
	stop, restart func()
	pause, resume func() // nil if the engine cannot be paused
}

// withEngines runs a test with Debian's Redis server and with a NATS server in this
// process.
func withEngines(t *testing.T, test func(t *testing.T, e testEngine)) {
	t.Run("redis", func(t *testing.T) {
		s := redistest.Start(t)
		test(t, testEngine{"redis", s.DSN(), s.Stop, s.Restart, s.Pause, s.Resume})
	})
	t.Run("nats", func(t *testing.T) {
		s := natstest.Start(t, nil)
		test(t, testEngine{driver: "nats", dsn: s.URL, stop: s.Stop, restart: s.Restart})
	})
}

// node starts a server that uses the engine, and waits until it is up.
func (e testEngine) node(t *testing.T, cfg Config) *Server {
	t.Helper()
	return e.nodeWith(t, 16<<20, cfg)
}

// nodeWith is node with a broker buffer of the given size in bytes.
func (e testEngine) nodeWith(t *testing.T, buffer int, cfg Config) *Server {
	t.Helper()
	driver := redis.Driver
	if e.driver == "nats" {
		driver = nats.Driver
	}
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	var err error
	cfg.Broker, err = driver.Open(broker.Config{
		DSN: e.dsn, BufferSize: buffer, MaxContent: 64 << 10, MaxChannel: 255, Logger: logger, PublishTook: func(time.Duration) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := start(t, cfg)
	testtool.Until(t, "the broker is up", srv.broker.Up)
	return srv
}

// TestNodesShareChannels: members on all nodes get each publication once. A connection
// gets all publications after the answer to its join.
func TestNodesShareChannels(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		a, b := e.node(t, Config{}), e.node(t, Config{})
		alice, bob := connect(t, a, "/ws"), connect(t, b, "/ws")
		alice.join("news")
		bob.join("news", "news")
		alice.broadcast("news", `"from alice"`)
		alice.expectText(`"from alice"`)
		bob.expectText(`"from alice"`)
		post201(t, b, "news", `{"b":1,"a":12345678901234567890}`)
		for _, p := range []*peer{alice, bob} {
			p.expectText(`{"b":1,"a":12345678901234567890}`)
		}
		bob.leave("news")
		post201(t, a, "news", `"last"`)
		alice.expectText(`"last"`)
		bob.expectNothing()
	})
}

// TestWhatFollowsAJoinIsHeardByItsSender: as with the memory broker, a client receives its
// broadcast that follows its join, without waiting for an answer in between.
func TestWhatFollowsAJoinIsHeardByItsSender(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		srv := e.node(t, Config{})
		p := connect(t, srv, "/ws")
		var all strings.Builder
		for i := range 100 {
			all.WriteString(message(fmt.Sprintf(`{"command":"join","args":{"channel":"c%d"}}`, i)))
			all.WriteString(message(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c%d","content":%d}}`, i, i)))
		}
		p.write(all.String())
		for i := range 100 {
			p.expectText(fmt.Sprint(i))
		}
	})
}

// TestEngineUnreachable: clients stay connected, publications and joins get errors, and
// service resumes when the engine is back.
func TestEngineUnreachable(t *testing.T) {
	t.Parallel()
	withEngines(t, func(t *testing.T, e testEngine) {
		a, b := e.node(t, Config{}), e.node(t, Config{})
		alice, bob := connect(t, a, "/ws"), connect(t, b, "/ws")
		alice.join("news")
		bob.join("news")
		e.stop()
		for _, srv := range []*Server{a, b} {
			testtool.Until(t, "the node has noticed", func() bool { return !srv.broker.Up() })
		}
		alice.send(`{"command":"broadcast","args":{"channel":"news","content":1},"id":1}`)
		alice.expectText(`{"id":1,"ok":false,"error":{"code":"broker_down","message":"the broker is unreachable: not published"}}`)
		alice.broadcast("news", "2") // without an id there is no error, but it is counted
		alice.send(`{"command":"join","args":{"channel":"more"},"id":3}`)
		alice.expectText(`{"id":3,"ok":false,"error":{"code":"broker_down","message":"joined, but the broker is unreachable: nothing is received until it is back"}}`)
		res := post(t, b, "/broadcast", `{"channel":"news","content":4}`)
		if res.status != 503 || !strings.Contains(res.body, "not published: the broker is unreachable") {
			t.Errorf("POST /broadcast: %d %q, want 503", res.status, res.body)
		}
		if n := a.Stats().Dropped["broker_down"]; n != 2 {
			t.Errorf("%d publications are counted as dropped, want 2", n)
		}
		alice.expectNothing()
		e.restart()
		for _, srv := range []*Server{a, b} {
			testtool.Until(t, "the broker is up again", srv.broker.Up)
		}
		post201(t, b, "more", `5`)
		alice.expectText(`5`)
		bob.broadcast("news", `6`)
		alice.expectText(`6`)
		bob.expectText(`6`)
	})
}

// TestPublisherWaitsForASlowEngine: when the outbox is full, a client is not read and a
// backend is refused. No publication of the client is lost.
func TestPublisherWaitsForASlowEngine(t *testing.T) {
	const count, size = 300, 1 << 10
	s := redistest.Start(t)
	e := testEngine{driver: "redis", dsn: s.DSN()}
	srv := e.nodeWith(t, 256<<10, Config{})
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	q.join("c")
	s.Pause()
	send := func(i int) {
		p.send(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","content":[%d,%q]}}`, i, strings.Repeat("x", size)))
	}
	send(0)
	testtool.Until(t, "the first one is read", func() bool { return srv.Stats().Received["broadcast"] == 1 })
	settle(t, srv)
	testtool.Until(t, "the engine has the first one, and takes no more", func() bool { return srv.broker.(*broker.Remote).Stats().Waiting == 0 })
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := 1; i < count; i++ {
			send(i)
		}
	}()
	testtool.Until(t, "the client waits", func() bool { return sessionsIn(t, srv, parked) == 1 })
	if res := post(t, srv, "/broadcast", fmt.Sprintf(`{"channel":"c","content":%q}`, strings.Repeat("x", size))); res.status != 503 || res.header.Get("Retry-After") == "" {
		t.Errorf("POST /broadcast: %d %q, want 503 with Retry-After", res.status, res.body)
	}
	s.Resume()
	for i := range count {
		q.expectText(fmt.Sprintf("[%d,%q]", i, strings.Repeat("x", size)))
	}
	<-written
	testtool.Until(t, "every outcome is known", func() bool { // a delivery may come before its outcome
		st := srv.Stats()
		return st.Broadcasts["client"]+st.Dropped["broker_down"] == count
	})
	if st := srv.Stats(); st.Dropped["broker_full"] != 1 || st.Dropped["broker_down"] != 0 {
		t.Errorf("dropped %v; want one of the backend's and none of the client's", st.Dropped)
	}
}

// TestPublicationsOfOtherNodesWaitForRoom: publications of another node wait while their
// channel has no room. Later they are delivered in order.
func TestPublicationsOfOtherNodesWaitForRoom(t *testing.T) {
	t.Parallel()
	const count = 1000
	withEngines(t, func(t *testing.T, e testEngine) {
		a, b := e.node(t, Config{}), e.nodeWith(t, 64<<20, Config{Loops: 1, WriteQueueSize: 16 << 20})
		bob, alice := connect(t, b, "/ws"), connect(t, a, "/ws")
		bob.join("c")
		release := holdLoop(t, b.loops[0]) // so that publications stay pending
		for i := range count {
			alice.broadcast("c", numbered(i)) // 8 MB: more than the 4 MiB that may be pending
		}
		remote := b.broker.(*broker.Remote)
		testtool.Until(t, "everything came, and some of it waits", func() bool {
			st := remote.Stats()
			return st.Received == count && st.BacklogBytes > 0
		})
		release()
		for i := range count {
			bob.expectText(numbered(i))
		}
		if st := remote.Stats(); st.BacklogBytes != 0 || st.Dropped["channel_busy"] != 0 {
			t.Errorf("%d bytes still wait, %v were dropped", st.BacklogBytes, st.Dropped)
		}
	})
}

// TestPublisherOfASlowChannelIsSlowedDown: a client that publishes faster than its node
// delivers is paused, so that nothing is lost.
func TestPublisherOfASlowChannelIsSlowedDown(t *testing.T) {
	t.Parallel()
	const count = 6000 // 48 MB: more than may be pending and in flight
	withEngines(t, func(t *testing.T, e testEngine) {
		srv := e.node(t, Config{WriteQueueSize: 64 << 20})
		bob := connect(t, srv, "/ws")
		bob.join("c")
		his := loopOf(t, srv, bob)
		alice := connectTo(t, srv, other(srv, his))
		hers := loopOf(t, srv, alice)
		release := holdLoop(t, his)
		written := make(chan struct{})
		go func() {
			defer close(written)
			for i := range count {
				alice.broadcast("c", numbered(i))
			}
		}()
		testtool.Until(t, "she waits", func() bool { return hers.sessionsIn(t, parked) == 1 })
		release()
		for i := range count {
			bob.expectText(numbered(i))
		}
		<-written
		if dropped := srv.broker.(*broker.Remote).Stats().Dropped["channel_busy"]; dropped != 0 {
			t.Errorf("%d were dropped", dropped)
		}
	})
}
