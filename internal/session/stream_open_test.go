package session

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// TestTheHeadOfAStreamFollowsTheBroker: what is published after a channel is confirmed and
// before the head is sent follows the head.
func TestTheHeadOfAStreamFollowsTheBroker(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{}, b)
	p := dial(t, srv)
	p.write(streamHead("/sse?channel=a&channel=b"))
	b.await(t, 1)
	for i := range 10 {
		if err := srv.deliver([]byte("a"), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, srv)
	_ = p.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if got, err := p.r.ReadByte(); err == nil {
		t.Errorf("byte %q was sent before the second channel was confirmed", got)
	}
	b.await(t, 1)
	s := p.followed(srv)
	for i := range 10 {
		s.expectEvents(fmt.Sprintf(`{"channel":"a","content":%d}`, i))
	}
}

// TestAStreamOpensWithoutTheBroker, as a membership stands without it.
func TestAStreamOpensWithoutTheBroker(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{}, b)
	b.fail(errTest)
	p := dial(t, srv)
	p.write(streamHead("/sse?channel=a&channel=b"))
	b.await(t, 1) // it does not wait for the second one
	s := p.followed(srv)
	if err := srv.deliver([]byte("b"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	s.expectEvents(`{"channel":"b","content":1}`)
}

// TestAStreamCanEndBeforeItsHead is sent: it gets the head, what was published, and the end.
func TestAStreamCanEndBeforeItsHead(t *testing.T) {
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{WriteQueueSize: 64 << 10}, b)
	full, kicked, gone := dial(t, srv), dial(t, srv), dial(t, srv)
	for i, p := range []*peer{full, kicked, gone} {
		p.write(streamHead(fmt.Sprintf("/sse?channel=%d", i)))
		testtool.Until(t, "it has joined", func() bool { return srv.members(t, fmt.Sprint(i)) == 1 })
	}
	for srv.Stats().Dropped["slow_consumer"] == 0 {
		if err := srv.deliver([]byte("0"), []byte(`"`+strings.Repeat("x", 10_000)+`"`)); err != nil {
			t.Fatal(err)
		}
		settle(t, srv)
	}
	full.followed(srv).expectClose(`{"code":4001,"reason":"too slow: outbound queue is full"}`)
	if err := srv.deliver([]byte("1"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	settle(t, srv)
	if done, err := srv.Order(t.Context(), Order{Channel: "1", Code: 4003}); done.Here != 1 || err != nil {
		t.Fatal(done, err)
	}
	s := kicked.followed(srv)
	s.expectEvents(`{"channel":"1","content":1}`)
	s.expectClose(`{"code":4003,"reason":""}`)
	gone.reset()
	testtool.Until(t, "all are gone", func() bool { return srv.Stats().Net.Connections == 0 })
	b.answer() // for connections that have ended
	if n := sessionsIn(t, srv, streaming); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

// TestAnIdleStreamIsSmall: the memory of the process for each, with what the loops keep.
func TestAnIdleStreamIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's memory counts, too")
	}
	const streams, parts, most = 4000, 32 + 16 + 16 + 8, 250
	hook := newWebhook(t, nil)
	srv := startOn(t, anyAddr, Config{AuthorizerURL: hook.URL, Limits: Limits{MaxConnections: streams + 100}})
	open := func(n int) []rawClient {
		clients := make([]rawClient, n)
		inParallel(t, 8, n, func(worker, i int) (err error) {
			if clients[i], err = dialRaw(srv.Addr(), worker+1); err != nil {
				return err
			}
			if err = clients[i].write(streamHead("/sse?channel=news&token=" + strings.Repeat("x", 100))); err != nil {
				return err
			}
			_, err = clients[i].readUntil("\n\n")
			return err
		})
		return clients
	}
	end := func(clients []rawClient) {
		for _, c := range clients {
			c.close()
		}
		idle(t, srv, 0, 0, 0)
		hook.forget()
	}
	end(open(100)) // so that the workers, the webhook and the pools have what they keep
	each := int64(0)
	for try := 0; try < 5 && each < parts; try++ { // less when memory of earlier tests became free meanwhile
		becomeQuiet(t, srv)
		before := testtool.Heap()
		clients := open(streams)
		hook.forget()
		each = (testtool.Heap() - before) / streams
		end(clients)
	}
	t.Logf("%d bytes each", each)
	if each < parts || each > most {
		t.Errorf("an idle stream takes %d bytes, want more than its parts and at most %d", each, most)
	}
}

// TestTheTimeOfAStreamIsBound by the authorizer, with heartbeats or without.
func TestTheTimeOfAStreamIsBound(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{-1, time.Hour, 20 * time.Millisecond} {
		srv := start(t, Config{AuthorizerURL: newExpiringWebhook(t, "0.2").URL, PingInterval: interval, PongTimeout: time.Hour})
		s := openStream(t, srv, "/sse?channel=a")
		got := s.next()
		for ; got == (sent{comment: "comment"}); got = s.next() {
		}
		if got.event != "close" || !strings.HasPrefix(got.data, `{"code":4004,`) {
			t.Errorf("got %+v, want close 4004", got)
		}
		s.expectEnd()
	}
}

// TestTheAccessLogHasStreams: with the status of their head, and the code of the last event.
func TestTheAccessLogHasStreams(t *testing.T) {
	srv, book := startAccess(t, Config{AccessLogSample: 1})
	s := openStream(t, srv, "/sse?channel=a&channel=b", "User-Agent: a page")
	if err := srv.deliver([]byte("a"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	s.expectEvents(`{"channel":"a","content":1}`)
	_ = s.Close()
	expectRecord(t, ended(t, book, 1)[0], map[string]any{
		"status": 200.0, "code": 1006.0, "reason": "peer_closed", "channels": 2.0, "messages_out": 1.0, "messages_in": 0.0, "user_agent": "a page",
	})
	openStream(t, srv, "/sse?channel=a")
	if _, err := srv.Order(t.Context(), Order{Channel: "a", Code: 4003}); err != nil {
		t.Fatal(err)
	}
	expectRecord(t, ended(t, book, 2)[1], map[string]any{"status": 200.0, "code": 4003.0, "reason": "kicked", "channels": 1.0})
}
