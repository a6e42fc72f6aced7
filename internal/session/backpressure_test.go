package session

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"wsify/internal/testtool"
	"wsify/netpoll"
)

// slowPeer returns a member of "c" that does not read. Its socket buffer has a fixed
// size; a buffer smaller than a few segments would make later reading slow. The other
// member, quick, reads each publication before the next is made, so it is never slow.
func slowPeer(t *testing.T, srv *Server) (slow, quick *peer) {
	t.Helper()
	slow = dial(t, srv)
	_ = slow.Conn.(*net.TCPConn).SetReadBuffer(256 << 10)
	slow.write(upgradeHead("/ws"))
	slow.expectUpgrade()
	slow.join("c")
	quick = connect(t, srv, "/ws")
	quick.join("c")
	return slow, quick
}

// fill publishes until a message is dropped, and returns the number of publications.
// They are numbered from 0.
func fill(t *testing.T, srv *Server, quick *peer) (n int) {
	t.Helper()
	for ; srv.Stats().Dropped["slow_consumer"] == 0; n++ {
		if n == 5000 {
			t.Fatal("the queue is never full")
		}
		quick.broadcast("c", numbered(n))
		quick.expectText(numbered(n))
		settle(t, srv)
	}
	return n
}

// numbered is content of some 8 KiB.
func numbered(n int) string { return fmt.Sprintf(`[%d,"%s"]`, n, strings.Repeat("x", 8<<10)) }

// TestSlowConsumerIsClosed: with the policy close, a member that does not read gets
// 4001 after the messages that the kernel holds. Other members are not affected.
func TestSlowConsumerIsClosed(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 64 << 10})
	slow, quick := slowPeer(t, srv)
	n := fill(t, srv, quick)
	testtool.Until(t, "its queue is gone", func() bool { return srv.Stats().Net.QueuedBytes < 32<<10 })
	quick.broadcast("c", `"later"`)
	quick.expectText(`"later"`)
	for i := 0; ; i++ {
		f, err := slow.next()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if f.op == opClose {
			if closeCode(f) != 4001 || i >= n {
				t.Errorf("%v after %d of %d messages, want close 4001 before all", f, i, n)
			}
			break
		}
		if f.payload != numbered(i) {
			t.Fatalf("got %v, want number %d", f, i)
		}
	}
	slow.expectEnd()
	testtool.Until(t, "counted as a slow consumer", func() bool { return srv.Stats().Closed["slow_consumer"] == 1 })
	if st := srv.Stats(); st.Subscriptions != 1 {
		t.Errorf("%d subscriptions, want 1", st.Subscriptions)
	}
	quick.usable()
}

// TestSlowConsumerThatNeverReads: it also ends, although its Close frame cannot be delivered.
func TestSlowConsumerThatNeverReads(t *testing.T) {
	long(t)
	srv := start(t, Config{WriteQueueSize: 64 << 10})
	_, quick := slowPeer(t, srv)
	fill(t, srv, quick)
	testtool.Until(t, "its connection is gone", func() bool {
		st := srv.Stats()
		return st.Closed["slow_consumer"] == 1 && st.Net.Connections == 1 && st.Net.QueuedBytes == 0
	})
	quick.usable()
}

// TestSlowConsumerDrops: with the policy drop, the newest messages are dropped and
// counted, and the member stays: it gets the queued messages, then later ones.
func TestSlowConsumerDrops(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 64 << 10, DropSlow: true})
	slow, quick := slowPeer(t, srv)
	n := fill(t, srv, quick)
	for range 10 {
		quick.broadcast("c", numbered(n))
		quick.expectText(numbered(n))
		n++
	}
	settle(t, srv)
	dropped := int(srv.Stats().Dropped["slow_consumer"])
	for i := range n - dropped {
		f, err := slow.next()
		if err != nil || f.op != opText {
			t.Fatalf("message %d of %d, %d dropped: got %v, error %v", i, n, dropped, f, err)
		}
		if i < n-11 && f.payload != numbered(i) {
			t.Fatalf("got %v, want number %d", f, i)
		}
	}
	slow.expectNothing()
	quick.broadcast("c", `"later"`)
	slow.expectText(`"later"`)
	quick.expectText(`"later"`)
	settle(t, srv)                                             // messages are counted at the end of a turn
	if st := srv.Stats(); st.Sent != uint64(2*n+2-dropped+2) { // and two acks
		t.Errorf("%d sent, want %d", st.Sent, 2*n+2-dropped+2)
	}
	slow.usable()
}

// TestControlFramesPassTheMark: a full queue accepts pongs, up to a separate bound.
func TestControlFramesPassTheMark(t *testing.T) {
	long(t)
	srv := start(t, Config{WriteQueueSize: 64 << 10, DropSlow: true})
	slow, quick := slowPeer(t, srv)
	fill(t, srv, quick)
	slow.write(masked(0x80|opPing, "are you there"))
	for {
		f, err := slow.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.op == opPong {
			if f.payload != "are you there" {
				t.Errorf("got %v", f)
			}
			break
		}
	}
	slow.expectNothing()

	srv = start(t, Config{WriteQueueSize: 64 << 10, DropSlow: true})
	slow, quick = slowPeer(t, srv)
	fill(t, srv, quick)
	ping := strings.Repeat(masked(0x80|opPing, strings.Repeat("p", 125)), 16_000) // 2 MB of pongs: more than queue and kernel keep
	if err := slow.tryWrite(ping); err != nil && !isEnd(err) {
		t.Fatal(err)
	}
	testtool.Until(t, "who makes us queue without end is a slow consumer", func() bool { return srv.Stats().Closed["slow_consumer"] == 1 })
	quick.usable()
}

// loopOf finds the loop that owns the other end of p.
func loopOf(t *testing.T, srv *Server, p *peer) (found *loop) {
	t.Helper()
	addr := p.LocalAddr().String()
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			l.net.Each(func(c *netpoll.Conn) {
				if c.RemoteAddr().String() == addr {
					found = l
				}
			})
		})
	}
	if found == nil {
		t.Fatal("no loop has the connection of ", addr)
	}
	return found
}

// other returns a loop that is not this one.
func other(srv *Server, not *loop) *loop {
	if srv.loops[0] != not {
		return srv.loops[0]
	}
	return srv.loops[1]
}

// connectTo connects, repeatedly, until a connection is on a loop.
func connectTo(t *testing.T, srv *Server, to *loop) *peer {
	t.Helper()
	for range 100 {
		if p := connect(t, srv, "/ws"); loopOf(t, srv, p) == to {
			return p
		}
	}
	t.Fatal("no connection was given to the wanted loop")
	return nil
}

// TestPublisherIsSlowedDown: a client that publishes faster than a loop delivers is
// paused. No publication is lost, reordered, or asked about twice.
func TestPublisherIsSlowedDown(t *testing.T) {
	const count = 90 // 730 KB, in 1.5 MB of memory: over the bound of undelivered bytes, under that of a queue
	hook := newWebhook(t, nil)
	for _, authorized := range []bool{false, true} {
		t.Run(fmt.Sprintf("authorizer %v", authorized), func(t *testing.T) {
			cfg := Config{WriteQueueSize: 2 << 20}
			if authorized {
				cfg.AuthorizerURL, cfg.AuthorizerEvents = hook.URL, []string{"broadcast"}
			}
			srv := start(t, cfg)
			publisher := connect(t, srv, "/ws")
			here := loopOf(t, srv, publisher)
			member := connectTo(t, srv, other(srv, here))
			near := connectTo(t, srv, here)
			member.join("c")
			near.join("c")
			release := holdLoop(t, loopOf(t, srv, member))
			sent := make(chan error, 1)
			go func() {
				for i := range count {
					text := fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","content":%s},"id":%d}`, numbered(i), i)
					if err := publisher.tryWrite(message(text)); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			testtool.Until(t, "the publisher waits for room", func() bool {
				waiting := false
				onLoop(t, here, func() {
					here.net.Each(func(c *netpoll.Conn) {
						s := here.session(c)
						waiting = waiting || s.state == parked && here.more(s).why == whyRoom
					})
				})
				return waiting
			})
			release()
			for i := range count {
				publisher.expectText(fmt.Sprintf(`{"id":%d,"ok":true}`, i))
				near.expectText(numbered(i))
				member.expectText(numbered(i))
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
			publisher.expectNothing()
			if n := len(hook.questions("broadcast")); authorized && n != count {
				t.Errorf("the authorizer was asked %d times about %d broadcasts", n, count)
			}
			if st := srv.Stats(); st.Broadcasts["client"] != count || len(notZero(st.Dropped)) > 0 {
				t.Errorf("%v broadcasts, %v dropped; want %d and none", st.Broadcasts, st.Dropped, count)
			}
		})
	}
}

// TestPublisherGoesOnWhenTheMemberLeaves: a publisher that waits for room goes on
// when the slow member ends.
func TestPublisherGoesOnWhenTheMemberLeaves(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 64 << 10})
	publisher := connect(t, srv, "/ws")
	here := loopOf(t, srv, publisher)
	member := connectTo(t, srv, other(srv, here))
	member.join("c")
	release := holdLoop(t, loopOf(t, srv, member))
	const count = 5
	for i := range count {
		publisher.send(fmt.Sprintf(`{"command":"broadcast","args":{"channel":"c","content":%s},"id":%d}`, numbered(i), i))
	}
	testtool.Until(t, "the publisher waits for room", func() bool { return here.sessionsIn(t, parked) == 1 })
	member.reset()
	release()
	for i := range count {
		publisher.expectText(fmt.Sprintf(`{"id":%d,"ok":true}`, i))
	}
	testtool.Until(t, "the member is gone", func() bool { return srv.Stats().Subscriptions == 0 })
}
