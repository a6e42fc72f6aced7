package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
	"wsify/netpoll"
)

// TestSilentConnectionIsPinged: the server sends an empty ping. It sends nothing else
// before or after the pong.
func TestSilentConnectionIsPinged(t *testing.T) {
	p := connect(t, start(t, Config{PingInterval: 20 * time.Millisecond, PongTimeout: time.Hour}), "/ws")
	p.expect(opPing, "")
	p.write(masked(0x80|opPong, ""))
}

// TestNoPong: if the peer does not answer a ping, the connection closes with 4002.
func TestNoPong(t *testing.T) {
	srv := start(t, Config{PingInterval: 20 * time.Millisecond, PongTimeout: 20 * time.Millisecond})
	p := connect(t, srv, "/ws")
	p.expect(opPing, "")
	p.expectClose(4002)
	testtool.Until(t, "counted as no_pong", func() bool { return srv.Stats().Closed["no_pong"] == 1 })
}

// TestPongsOfOneReadLeaveTogether: pongs to the pings of one read take one send. Pongs and
// the answers between them leave in the order of the input.
func TestPongsOfOneReadLeaveTogether(t *testing.T) {
	srv := start(t, Config{Loops: 1})
	p := connect(t, srv, "/ws")
	l := srv.loops[0]
	onLoop(t, l, func() {
		l.net.Each(func(c *netpoll.Conn) {
			s := l.session(c)
			l.startCork(c)
			l.pong(c, s, []byte("1"))
			l.pong(c, s, []byte("2"))
			if len(l.cork) != 2*len("..1") {
				t.Errorf("%q is corked, want two pongs", l.cork)
			}
			l.ok(c, []byte("3"))
			l.pong(c, s, []byte("4"))
			l.uncork()
		})
	})
	p.expect(opPong, "1")
	p.expect(opPong, "2")
	p.expectText(`{"id":3,"ok":true}`)
	p.expect(opPong, "4")
}

// TestVanishedPeer is TestNoPong for a peer that does not even read.
func TestVanishedPeer(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{PingInterval: 20 * time.Millisecond, PongTimeout: 20 * time.Millisecond})
	connect(t, srv, "/ws").send(`{"command":"join","args":{"channel":"c"}}`) // an answer might come after a ping
	testtool.Until(t, "it is a member, or was", func() bool { return srv.Stats().Received["join"] == 1 })
	testtool.Until(t, "the membership is gone", func() bool { return srv.Stats().Subscriptions == 0 })
	testtool.Until(t, "the connection is gone", func() bool { return srv.Stats().Closed["no_pong"] == 1 })
}

// silence makes the only session look silent for d, and lets its deadline pass. Real
// intervals are hours in these tests, so they also pass on a slow machine.
func silence(t *testing.T, srv *Server, d time.Duration) {
	t.Helper()
	found := 0
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			l.net.Each(func(c *netpoll.Conn) {
				found++
				l.session(c).seen = l.net.Tick() - uint32(d/srv.tick)
				l.Expired(c)
			})
		})
	}
	if found != 1 {
		t.Fatalf("%d connections, want 1", found)
	}
}

// TestAnyTrafficCountsAsAlive: a pong, a message, a ping, or part of a frame answers a
// ping.
func TestAnyTrafficCountsAsAlive(t *testing.T) {
	for name, traffic := range map[string]string{
		"pong":                masked(0x80|opPong, ""),
		"pong with a payload": masked(0x80|opPong, "unasked"),
		"message":             message(`{}`),
		"ping":                masked(0x80|opPing, "x"),
		"half a frame":        message(`{}`)[:3],
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, Config{PingInterval: time.Hour, PongTimeout: time.Hour})
			p := connect(t, srv, "/ws")
			silence(t, srv, time.Hour)
			p.expect(opPing, "")
			before := srv.Stats().Net.BytesReceived
			p.write(traffic)
			testtool.Until(t, "it is read", func() bool { return srv.Stats().Net.BytesReceived == before+uint64(len(traffic)) })
			silence(t, srv, time.Minute) // the pong timeout, with traffic a minute ago
			silence(t, srv, time.Hour)   // silent again: another ping, no close
			if name == "ping" {
				p.expect(opPong, "x")
			}
			p.expect(opPing, "")
			silence(t, srv, time.Hour)
			p.expectClose(4002)
		})
	}
}

// TestPongTimeoutLongerThanTheInterval: an answered ping does not end a connection that
// is silent after its answer.
func TestPongTimeoutLongerThanTheInterval(t *testing.T) {
	srv := start(t, Config{PingInterval: time.Hour, PongTimeout: 10 * time.Hour})
	p := connect(t, srv, "/ws")
	for range 3 {
		silence(t, srv, time.Hour)
		p.expect(opPing, "")
		p.write(masked(0x80|opPong, ""))
		p.expectNothing()
		silence(t, srv, 9*time.Hour)
		p.expect(opPing, "")
		p.write(masked(0x80|opPong, ""))
		p.expectNothing()
	}
}

// TestDeliveriesAreNoSignOfLife: only bytes from the peer show that it is alive.
func TestDeliveriesAreNoSignOfLife(t *testing.T) {
	srv := start(t, Config{PingInterval: time.Hour, PongTimeout: time.Hour})
	p := connect(t, srv, "/ws")
	p.join("c")
	silence(t, srv, time.Hour)
	post201(t, srv, "c", "1")
	p.expect(opPing, "")
	p.expectText("1")
	silence(t, srv, time.Hour)
	p.expectClose(4002)
}

// TestParkedSessionIsNotTimedOut: when a parked session has kept its maximum of input, the
// server does not read, so it must not treat silence as a dead peer.
func TestParkedSessionIsNotTimedOut(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{PingInterval: time.Hour, PongTimeout: time.Hour, AuthorizerURL: hook.URL, AuthorizerTimeout: patience})
	p := connect(t, srv, "/ws")
	silence(t, srv, time.Hour)
	p.expect(opPing, "")
	release := hook.hold(nil)
	p.send(`{"command":"join","args":{"channel":"c"},"id":1}`)
	hook.awaitQuestions(1, "join")
	for range 2 {
		p.send(fmt.Sprintf(`{"command":"leave","args":{"channel":"c","x":%q}}`, strings.Repeat("x", maxKept/2)))
	}
	testtool.Until(t, "nothing is read any more", func() (paused bool) {
		for _, l := range srv.loops {
			onLoop(t, l, func() { l.net.Each(func(c *netpoll.Conn) { paused = c.Paused() }) })
		}
		return paused
	})
	silence(t, srv, 10*time.Hour)
	silence(t, srv, 10*time.Hour)
	release()
	p.expectText(`{"id":1,"ok":true}`)
	p.expectNothing()
}

// TestPingsOff: with a negative interval there is no ping, and silence does not end a session.
func TestPingsOff(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{PingInterval: -1, PongTimeout: 10 * time.Millisecond, HandshakeTimeout: time.Second})
	p := connect(t, srv, "/ws")
	for range 2 { // time passes: each takes a second to time out
		q := dial(t, srv)
		q.expectStatus(408)
	}
	p.expectNothing()
}

// TestPingsAreSpread: clients that connected and joined together are not pinged
// together, but over half the interval. If the machine stalls, the pings may still come
// together, so one good try of several is enough.
func TestPingsAreSpread(t *testing.T) {
	t.Parallel()
	const interval = 800 * time.Millisecond
	spread := func() time.Duration {
		srv := start(t, Config{PingInterval: interval, PongTimeout: time.Hour})
		peers := make([]*peer, 32)
		for i := range peers {
			peers[i] = connect(t, srv, "/ws")
			peers[i].send(`{"command":"join","args":{"channel":"c"}}`)
		}
		came := make(chan time.Time, len(peers))
		for _, p := range peers {
			go func() {
				for f, err := p.next(); err == nil && f.op != opPing; f, err = p.next() {
				}
				came <- time.Now()
			}()
		}
		first := <-came
		last := first
		for range len(peers) - 1 {
			last = <-came
		}
		return last.Sub(first)
	}
	for range 5 {
		if spread() > interval/4 {
			return
		}
	}
	t.Errorf("32 connections were pinged within %v, in 5 tries", interval/4)
}
