package session

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// The defects of version 3, one test each; CONTRACT, section 9. Two are tested elsewhere:
// the Redis broker's in its package, the container image's in the release.

// Members that closed during a publication to their channel crashed the process.
func TestV3MembersClosingWhilePublishedTo(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	steady := connect(t, srv, "/ws")
	steady.join("c")
	publisher := connect(t, srv, "/ws")
	rounds := 20
	if raceEnabled {
		rounds = 5
	}
	n := 0
	say := func() {
		publisher.broadcast("c", fmt.Sprint(n))
		steady.expectText(fmt.Sprint(n))
		n++
	}
	for range rounds {
		members := make([]*peer, 40)
		for i := range members {
			members[i] = connect(t, srv, "/ws")
			members[i].join("c")
		}
		for i, m := range members {
			m.endSomehow(i)
			say()
		}
		for _, m := range members {
			_ = m.Close()
		}
	}
	testtool.Until(t, "only the steady member is left", func() bool { return srv.members(t, "c") == 1 })
	say()
}

// Args of a message were merged with those of the message before.
func TestV3ArgsWereMergedBetweenMessages(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"join", "broadcast"}})
	p := connect(t, srv, "/ws")
	p.send(`{"command":"join","args":{"channel":"c","token":"t","content":"old"},"id":1}`)
	p.expectText(`{"id":1,"ok":true}`)
	p.send(`{"command":"broadcast","args":{"channel":"c"},"id":2}`)
	p.expectText(`{"id":2,"ok":true}`, `null`)
	p.send(`{"command":"join","args":{},"id":3}`)
	p.expectText(`{"id":3,"ok":false,"error":{"code":"bad_request","message":"channel is missing or empty"}}`)
	p.send(`{"command":"join","id":4}`)
	p.expectText(`{"id":4,"ok":false,"error":{"code":"bad_request","message":"channel is missing or empty"}}`)
	p.send(`{"command":"broadcast","args":{"channel":"c","content":2}}`)
	p.expectText(`2`)
	asked := hook.questions()
	if got, want := asked[1].body, `{"command":"broadcast","args":{"channel":"c"}}`; got != want {
		t.Errorf("the authorizer was asked %s, want %s", got, want)
	}
	if len(asked) != 3 {
		t.Errorf("the authorizer was asked %d times, want 3", len(asked))
	}
}

// An empty object ran the previous command again.
func TestV3EmptyObjectRanThePreviousCommandAgain(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.join("c")
	p.broadcast("c", `"once"`)
	p.expectText(`"once"`)
	p.send(`{}`)
	p.send(`{"args":{}}`)
	p.send(`{"args":{"channel":"c"}}`)
	settle(t, srv)
	p.expectNothing()
}

// A leave of a channel that was never joined blocked the session for ever.
func TestV3LeavingAChannelNeverJoined(t *testing.T) {
	p := connect(t, start(t, Config{}), "/ws")
	for range 3 {
		p.leave("never", "joined")
	}
	p.usable()
	p.leave("usable") // already left
	p.usable()
}

// Joining twice delivered twice, and one leave was not enough.
func TestV3JoiningTwice(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.join("c", "c", " c ", "c")
	post201(t, srv, "c", `"once"`)
	p.expectText(`"once"`)
	settle(t, srv)
	p.expectNothing()
	p.leave("c")
	post201(t, srv, "c", `"to nobody"`)
	settle(t, srv)
	p.expectNothing()
}

// With one slow reader, every publication started a goroutine. Order was lost, and memory
// had no bound.
func TestV3OneSlowReader(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 256 << 10, DropSlow: true})
	slow, quick := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	slow.join("c")
	quick.join("c")
	goroutines := runtime.NumGoroutine()
	padding := strings.Repeat("x", 32<<10)
	for i := range 600 { // 19 MB
		quick.broadcast("c", fmt.Sprintf(`[%d,%q]`, i, padding))
		quick.expectText(fmt.Sprintf(`[%d,%q]`, i, padding)) // in order, while the slow member reads nothing
	}
	if n := runtime.NumGoroutine(); n > goroutines+8 {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	if n := srv.Stats().Net.QueuedBytes; n > 256<<10 {
		t.Errorf("%d bytes are queued, want at most -write-queue-size", n)
	}
	if srv.Stats().Dropped["slow_consumer"] == 0 {
		t.Error("nothing was dropped: the reader was not slow enough for this test")
	}
}

// The server waited without limit for an authorizer that did not answer.
func TestV3NoTimeoutOnTheAuthorizer(t *testing.T) {
	hook := newWebhook(t, nil)
	open := func(event string) *Server {
		return start(t, Config{AuthorizerURL: hook.URL, AuthorizerTimeout: 50 * time.Millisecond, AuthorizerEvents: []string{event}})
	}
	joins, connects := open("join"), open("connect")
	hook.hold(nil)
	p := connect(t, joins, "/ws")
	p.send(`{"command":"join","args":{"channel":"c"}}`)
	p.expectClose(1013)
	q := dial(t, connects)
	q.write(upgradeHead("/ws"))
	q.expectStatus(503)
}

// After an error of the broker, clients received nothing any more.
func TestV3ABrokerErrorLeftClientsDeaf(t *testing.T) {
	broker := &testBroker{}
	srv := startWith(t, Config{}, broker)
	p := connect(t, srv, "/ws")
	p.join("c")
	broker.fail(errTest)
	p.send(`{"command":"broadcast","args":{"channel":"c","content":1},"id":1}`)
	p.expectText(`{"id":1,"ok":false,"error":{"code":"broker_down","message":"the broker refused the publication"}}`)
	if res := post(t, srv, "/broadcast", `{"channel":"c","content":2}`); res.status != 503 {
		t.Errorf("POST /broadcast: %d, want 503", res.status)
	}
	broker.fail(nil)
	p.usable()
	post201(t, srv, "c", `3`)
	p.expectText(`3`)
}

// SIGTERM ended connections without a Close frame.
func TestV3NoCloseFrameAtTheEnd(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.join("c")
	ended := shutdown(srv)
	p.expectClose(1012)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A media type with a charset was refused.
func TestV3CharsetWasRefused(t *testing.T) {
	srv := start(t, Config{})
	for _, media := range []string{"application/json; charset=utf-8", "application/json;charset=UTF-8", `Application/JSON; charset="utf-8"; x=y`} {
		if res := post(t, srv, "/broadcast", `{"channel":"c","content":1}`, "Content-Type: "+media); res.status != 201 {
			t.Errorf("%s: %d %q, want 201", media, res.status, res.body)
		}
	}
}

// The body that the README showed delivered null.
func TestV3TheBodyOfTheREADMEDeliveredNull(t *testing.T) {
	srv := start(t, Config{})
	p := connect(t, srv, "/ws")
	p.join("c")
	if res := post(t, srv, "/broadcast", `{"channel":"c","args":{"content":{"hello":"world"}}}`); res.status != 201 {
		t.Fatalf("%d %q, want 201", res.status, res.body)
	}
	p.expectText(`{"hello":"world"}`)
}

// Integers of 64 bits were rounded on their way through a float.
func TestV3IntegersWereRounded(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"broadcast"}})
	p := connect(t, srv, "/ws")
	p.join("c")
	const content = `{"id":9223372036854775807,"more":[18446744073709551615,-9007199254740993,0.1,1e100,123456789012345678901234567890]}`
	p.broadcast("c", content)
	p.expectText(content)
	post201(t, srv, "c", content)
	p.expectText(content)
	if q := hook.questions("broadcast"); !strings.Contains(q[0].body, content) {
		t.Errorf("the authorizer was asked %s, want the content as sent", q[0].body)
	}
	p.send(`{"command":"leave","args":{"channel":"c"},"id":9223372036854775807}`)
	p.expectText(`{"id":9223372036854775807,"ok":true}`)
}
