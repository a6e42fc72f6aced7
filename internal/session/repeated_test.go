package session

import (
	"strings"
	"testing"
	"time"

	"wsify/broker"
	"wsify/internal/repeat"
	"wsify/internal/testtool"
)

// A request with the key of an earlier one is answered as that one, and not published again.
func TestARepeatedRequestIsPublishedOnce(t *testing.T) {
	srv, clock := startRated(t, Config{Limits: Limits{PublishRate: 5}})
	p := connect(t, srv, "/ws")
	p.join("a")
	const single, batch = `{"channel":"a","content":1}`, `[{"channel":"a","content":2},7]`
	const outcomes = `[{"ok":true,"members":1},{"ok":false,"error":{"code":"bad_request","message":"not a JSON object"}}]`
	for range 3 {
		expectAnswer(t, srv, "/broadcast", single, 201, "", "Idempotency-Key: one")
		expectAnswer(t, srv, "/broadcast?reply=1", single, 201, "", `idempotency-key: "one"`) // as the first time
		expectAnswer(t, srv, "/broadcast", batch, 200, outcomes, `Idempotency-Key: "two, with a comma"`)
	}
	expectAnswer(t, srv, "/broadcast", batch, 422, "this Idempotency-Key has come with another body\n", "Idempotency-Key: one")
	clock.move(repeat.For - time.Millisecond)
	expectAnswer(t, srv, "/broadcast", single, 201, "", "Idempotency-Key: one")
	p.expectText("1", "2")
	p.expectNothing()
	clock.move(time.Millisecond)
	expectAnswer(t, srv, "/broadcast", single, 201, "", "Idempotency-Key: one")
	p.expectText("1")
	p.expectNothing()
	if st := srv.Stats(); st.Broadcasts["http"] != 3 || st.Unpublished["repeated"] != 3*3-2+1 || st.Unpublished["key_reused"] != 1 {
		t.Errorf("%v broadcasts, %v unpublished", st.Broadcasts, notZero(st.Unpublished))
	}
}

// What has published nothing is not remembered: the same request may be tried again.
func TestWhatPublishedNothingIsNotRemembered(t *testing.T) {
	b := &testBroker{}
	srv := startWith(t, Config{}, b)
	p := connect(t, srv, "/ws")
	p.join("a")
	const body = `{"channel":"a","content":1}`
	b.fail(broker.ErrDown)
	for range 2 {
		expectAnswer(t, srv, "/broadcast", body, 503, "not published: the broker is unreachable\n", "Idempotency-Key: one")
		expectAnswer(t, srv, "/broadcast", `{"channel":7}`, 400, "channel must be a string\n", "Idempotency-Key: one")
	}
	b.fail(nil)
	expectAnswer(t, srv, "/broadcast", body, 201, "", "Idempotency-Key: one")
	p.expectText("1")
}

func TestKeysThatAreNone(t *testing.T) {
	srv := start(t, Config{})
	const body, no = `{"channel":"a","content":1}`, "Idempotency-Key must be there once, with 1 to 255 printable characters\n"
	expectAnswer(t, srv, "/broadcast", body, 201, "", "Idempotency-Key: "+strings.Repeat("x", 255))
	expectAnswer(t, srv, "/broadcast", body, 400, no, "Idempotency-Key: "+strings.Repeat("x", 256))
	expectAnswer(t, srv, "/broadcast", body, 400, no, "Idempotency-Key: ")
	expectAnswer(t, srv, "/broadcast", body, 400, no, `Idempotency-Key: ""`)
	expectAnswer(t, srv, "/broadcast", body, 400, no, "Idempotency-Key: \xc3\xa9")
	expectAnswer(t, srv, "/broadcast", body, 400, no, "Idempotency-Key: a", "Idempotency-Key: a")
}

// While the first request is under way, the second is refused. The first is remembered also when its
// client has gone: a retry learns what became of it.
func TestARequestThatIsRepeatedTooEarly(t *testing.T) {
	for _, gone := range []bool{false, true} {
		b := &testBroker{asynchronous: true}
		srv := startWith(t, Config{}, b)
		const body = `{"channel":"a","content":1}`
		first := dial(t, srv)
		first.write(postRequest("/broadcast?reply=1", body, "Idempotency-Key: one"))
		testtool.Until(t, "it is under way", func() bool { return b.due() == 1 })
		expectAnswer(t, srv, "/broadcast", body, 409, "a request with this Idempotency-Key is being answered\n", "Idempotency-Key: one")
		if gone {
			first.reset()
			testtool.Until(t, "its client has gone", func() bool { return srv.Stats().Net.Connections == 0 })
		}
		b.await(t, 1)
		if !gone {
			if res := first.response(); res.status != 201 || res.body != `{"ok":true,"members":0}` {
				t.Errorf("%d %q", res.status, res.body)
			}
		}
		testtool.Until(t, "its outcome is counted", func() bool { return srv.Stats().Broadcasts["http"] == 1 })
		expectAnswer(t, srv, "/broadcast", body, 201, `{"ok":true,"members":0}`, "Idempotency-Key: one")
		b.mu.Lock()
		tried := b.tried
		b.mu.Unlock()
		if tried != 1 {
			t.Errorf("%d publications, want 1", tried)
		}
	}
}

// A batch of which the client goes while it waits for room is not published any further.
func TestABatchOfWhichTheClientGoes(t *testing.T) {
	srv := start(t, Config{WriteQueueSize: 4 << 10})
	member := connectTo(t, srv, srv.loops[0])
	member.join("b")
	backend := dialTo(t, srv, srv.loops[1])
	release := holdLoop(t, srv.loops[0])
	publishBut(t, srv, "b", `"`+strings.Repeat("x", 2<<10)+`"`)
	const body = `[{"channel":"a"},{"channel":"b"}]`
	backend.write(postRequest("/broadcast", body, "Idempotency-Key: one"))
	waits := func() int { return srv.loops[1].sessionsIn(t, publishing) }
	testtool.Until(t, "it waits for room", func() bool { return waits() == 1 })
	backend.reset()
	testtool.Until(t, "it has gone", func() bool { return waits() == 0 })
	release()
	expectAnswer(t, srv, "/broadcast", body, 200,
		`[{"ok":true,"members":0},{"ok":false,"error":{"code":"limit","message":"not published: the publisher has disconnected"}}]`, "Idempotency-Key: one")
	member.expectText(`"` + strings.Repeat("x", 2<<10) + `"`)
	member.expectNothing()
}

// When the broker does not answer in time, the outcome is unknown, and is not remembered: also not when
// it comes later.
func TestAnUnknownOutcomeIsNotRemembered(t *testing.T) {
	long(t)
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{}, b)
	const body = `{"channel":"a","content":1}`
	expectAnswer(t, srv, "/broadcast", body, 503, broker.ErrUnknown.Error()+"\n", "Idempotency-Key: one")
	b.await(t, 1)
	p := dial(t, srv)
	p.write(postRequest("/broadcast?reply=1", body, "Idempotency-Key: one"))
	b.await(t, 1)
	if res := p.response(); res.status != 201 || res.body != `{"ok":true,"members":0}` {
		t.Errorf("%d %q", res.status, res.body)
	}
}
