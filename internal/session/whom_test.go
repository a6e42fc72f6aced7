package session

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"wsify/internal/command"
	"wsify/internal/testtool"
)

// whomMessage is a broadcast of 1 with these args.
func whomMessage(args string, id int) string {
	return fmt.Sprintf(`{"command":"broadcast","args":{"content":1,%s},"id":%d}`, args, id)
}

const deniedUnasked = `{"id":%d,"ok":false,"error":{"code":"denied","message":"channels, user, users and except need an authorizer that is asked about broadcasts"}}`

// Not to me: with "echo":false a client does not get its own broadcast. Everybody may ask for that.
func TestAClientThatWantsNoEcho(t *testing.T) {
	srv := start(t, Config{})
	me, other := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	me.join("a")
	other.join("a")
	me.send(whomMessage(`"channel":"a","echo":false`, 1))
	me.expectText(fmt.Sprintf(okReply, 1))
	other.expectText("1")
	me.send(whomMessage(`"channel":"a","echo":true`, 2))
	settle(t, srv)
	if got := me.sync(); len(got) != 2 {
		t.Errorf("with an echo the sender got %v, want the answer and the message", got)
	}
	other.expectText("1")
}

// On every node, through every engine, exactly the excepted connections do not get a publication.
func TestWhomAcrossNodes(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		hook := newNamingWebhook(t)
		cfg := Config{AuthorizerURL: hook.URL}
		a, b := e.node(t, cfg), e.node(t, cfg)
		ann, ann2, bob, eve := connect(t, a, "/ws?user=ann"), connect(t, b, "/ws?user=ann"), connect(t, b, "/ws?user=bob"), connect(t, b, "/ws")
		for _, p := range []*peer{ann, ann2, bob, eve} {
			p.join("a")
		}
		eve.join("b")
		for srv, users := range map[*Server][]string{a: {"ann"}, b: {"ann", "bob"}} {
			for _, user := range users {
				awaitSubscribed(t, srv, []byte(userChannel(user)))
			}
		}
		for i, tc := range []struct {
			args string
			to   []*peer
		}{
			{`"channel":"a"`, []*peer{ann, ann2, bob, eve}},
			{`"channel":"a","echo":false`, []*peer{ann2, bob, eve}},
			{fmt.Sprintf(`"channel":"a","except":[%q,%q,"nobody"]`, idOf(t, a, ann), idOf(t, b, bob)), []*peer{ann2, eve}},
			{`"user":"ann"`, []*peer{ann, ann2}},
			{`"users":["ann","bob"],"echo":false`, []*peer{ann2, bob}},
			{fmt.Sprintf(`"user":"ann","except":[%q]`, idOf(t, b, ann2)), []*peer{ann}},
			{`"channels":["a","b"]`, []*peer{ann, ann2, bob, eve, eve}},
			{`"channels":["a","b"],"echo":false`, []*peer{ann2, bob, eve, eve}},
			{`"user":"nobody"`, nil},
		} {
			ann.send(whomMessage(tc.args, i))
			want := map[*peer]int{ann: 1} // the answer
			for _, p := range tc.to {
				want[p]++
			}
			for _, p := range []*peer{ann, ann2, bob, eve} {
				for range want[p] {
					f, err := p.next()
					if err != nil || f.payload != "1" && (p != ann || f.payload != fmt.Sprintf(okReply, i)) {
						t.Fatalf("%s: got %v, %v", tc.args, f, err)
					}
				}
			}
			for _, srv := range []*Server{a, b} {
				settle(t, srv)
			}
			for _, p := range []*peer{ann, ann2, bob, eve} {
				p.expectNothing()
			}
		}
	})
}

// Without an authorizer that is asked about broadcasts, a client is refused all but one channel.
func TestWhomNeedsAnAuthorizer(t *testing.T) {
	hook := newWebhook(t, nil)
	for _, cfg := range []Config{{}, {AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect", "join"}}} {
		srv := start(t, cfg)
		p, other := connect(t, srv, "/ws"), connect(t, srv, "/ws")
		other.join("a")
		for i, args := range []string{`"channels":["a"]`, `"user":"ann"`, `"users":["ann"]`, `"channel":"a","except":["x-1"]`} {
			p.send(whomMessage(args, i))
			p.expectText(fmt.Sprintf(deniedUnasked, i))
		}
		settle(t, srv)
		other.expectNothing()
		if n := srv.Stats().NotDone[command.Denied]; n != 4 {
			t.Errorf("%d commands are counted as denied, want 4", n)
		}
	}
}

// The authorizer sees all of args. Only a broadcast to one channel has a channel in a header.
func TestTheAuthorizerSeesWhom(t *testing.T) {
	hook := newWebhook(t, func(q question) int {
		if strings.Contains(q.body, `"user":"eve"`) {
			return 403
		}
		return 200
	})
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"broadcast"}})
	p := connect(t, srv, "/ws")
	p.send(whomMessage(`"user":"eve"`, 1))
	p.expectText(`{"id":1,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`)
	p.send(whomMessage(`"channel":"a","except":["x-1"],"members":true`, 2))
	p.expectText(`{"id":2,"ok":true,"members":0}`)
	questions := hook.questions("broadcast")
	if len(questions) != 2 {
		t.Fatalf("%d questions, want 2", len(questions))
	}
	for i, want := range []string{`{"content":1,"user":"eve"}`, `{"content":1,"channel":"a","except":["x-1"],"members":true}`} {
		q := questions[i]
		if q.body != `{"command":"broadcast","args":`+want+`}` || q.header.Get("X-Wsify-Channel") != []string{"", "a"}[i] {
			t.Errorf("the authorizer got %s with the channel %q", q.body, q.header.Get("X-Wsify-Channel"))
		}
	}
}

// The answer says how many members of this node a broadcast was given to, without the sender where it
// wants no echo.
func TestABroadcastThatAsksForMembers(t *testing.T) {
	for _, asynchronous := range []bool{false, true} {
		hook := newNamingWebhook(t)
		b := &testBroker{asynchronous: asynchronous}
		srv := startWith(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect", "broadcast"}}, b)
		ann := func() *peer {
			p := connect(t, srv, "/ws?user=ann")
			if asynchronous { // the user's channel
				b.await(t, 1)
			}
			return p
		}
		me, second := ann(), ann()
		join := func(p *peer, channel string) {
			p.send(fmt.Sprintf(`{"command":"join","args":{"channel":%q},"id":"join"}`, channel))
			if asynchronous {
				b.await(t, 1)
			}
			p.expectText(`{"id":"join","ok":true}`)
		}
		join(me, "a")
		join(second, "a")
		join(second, "b")
		for i, tc := range []struct {
			args          string
			publications  int
			members, mine int
		}{
			{`"channel":"a","members":true`, 1, 2, 1},
			{`"channel":"a","members":true,"echo":false`, 1, 1, 0},
			{`"channel":"nobody's","members":true`, 1, 0, 0},
			{`"channels":["a","b","c"],"members":true,"echo":false`, 3, 2, 0},
			{`"users":["ann","eve"],"members":true`, 2, 2, 1},
		} {
			me.send(whomMessage(tc.args, i))
			if asynchronous {
				b.await(t, tc.publications)
			}
			settle(t, srv)
			want := map[string]int{fmt.Sprintf(`{"id":%d,"ok":true,"members":%d}`, i, tc.members): 1, "1": tc.mine}
			for range 1 + tc.mine {
				f, err := me.next()
				if err != nil || want[f.payload] == 0 {
					t.Fatalf("%s: got %v, %v; want %v", tc.args, f, err, want)
				}
				want[f.payload]--
			}
			me.expectNothing()
		}
	}
}

// A client that publishes to several channels waits for room in each. It goes on where it has stopped,
// so no channel gets it twice.
func TestABroadcastToSeveralChannelsWaitsForEach(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"broadcast"}, WriteQueueSize: 64 << 10})
	publisher := connect(t, srv, "/ws")
	here := loopOf(t, srv, publisher)
	far, near := connectTo(t, srv, other(srv, here)), connectTo(t, srv, here)
	near.join("a", "c")
	far.join("b")
	release := holdLoop(t, loopOf(t, srv, far))
	const filling = 2 // 16 KiB, as much as may be undelivered
	for i := range filling {
		publishBut(t, srv, "b", numbered(i))
	}
	publisher.send(whomMessage(`"channels":["a","b","c"],"members":true`, 7))
	testtool.Until(t, "the publisher waits for room", func() (waits bool) {
		onLoop(t, here, func() { waits = here.countState(parked) == 1 && here.hub.Pending() == false })
		return waits && len(hook.questions("broadcast")) == 1
	})
	near.expectText("1") // of a
	near.expectNothing()
	release()
	for i := range filling {
		far.expectText(numbered(i))
	}
	far.expectText("1")
	near.expectText("1") // of c
	publisher.expectText(`{"id":7,"ok":true,"members":3}`)
	near.expectNothing()
	far.expectNothing()
	if st := srv.Stats(); st.Broadcasts["client"] != 3 || len(notZero(st.Dropped)) > 0 {
		t.Errorf("%v broadcasts, %v dropped; want 3 and none", st.Broadcasts, st.Dropped)
	}
}

// The same with a broker that has too much to publish. The answer comes after the last outcome.
func TestABroadcastToSeveralChannelsWaitsForTheBroker(t *testing.T) {
	hook := newWebhook(t, nil)
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"broadcast"}}, b)
	b.fill(1)
	p := connect(t, srv, "/ws")
	p.send(whomMessage(`"channels":["a","b","c"]`, 1))
	for range 2 {
		testtool.Until(t, "the publisher waits", func() bool { return b.queued() == 1 })
		b.tell(srv, 1)
	}
	b.await(t, 3)
	p.expectText(fmt.Sprintf(okReply, 1))
	p.expectNothing()
	if st := srv.Stats(); st.Broadcasts["client"] != 3 {
		t.Errorf("%v broadcasts, want 3", st.Broadcasts)
	}
}

// Each channel stands alone: the rate of one does not keep the others from getting it. The answer is
// the first error.
func TestTheRateHoldsForEachChannel(t *testing.T) {
	hook := newWebhook(t, nil)
	srv, _ := startRated(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"broadcast"}, Limits: Limits{PublishRate: 1}})
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	q.join("a", "b", "c")
	p.send(whomMessage(`"channel":"b"`, 1))
	p.expectText(fmt.Sprintf(okReply, 1))
	q.expectText("1")
	p.send(whomMessage(`"channels":["a","b","c"]`, 2))
	p.expectText(fmt.Sprintf(overPublishRate, 2))
	q.expectText("1", "1")
	q.expectNothing()
	if st := srv.Stats(); st.Dropped["publish_rate"] != 1 || st.Broadcasts["client"] != 3 {
		t.Errorf("%v dropped, %v broadcasts", st.Dropped, st.Broadcasts)
	}
}

// A name in a list is bounded as the name of one channel.
func TestTheLongestNameInAList(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"broadcast"}, MaxChannelLength: 10})
	p := connect(t, srv, "/ws")
	p.send(whomMessage(`"channels":["a","1234567890"]`, 1))
	p.expectText(fmt.Sprintf(okReply, 1))
	p.send(whomMessage(`"channels":["a","12345678901"]`, 2))
	p.expectText(`{"id":2,"ok":false,"error":{"code":"limit","message":"the channel name is too long"}}`)
}

// Sessions that end while they wait for room leave nothing behind.
func TestASpreadThatNobodyWaitsFor(t *testing.T) {
	hook := newWebhook(t, nil)
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"broadcast"}}, b)
	b.fill(1)
	p := connect(t, srv, "/ws")
	p.send(whomMessage(`"channels":["a","b"]`, 1))
	awaitParked(t, srv, 1)
	testtool.Until(t, "it waits for the broker", func() bool { return b.queued() == 1 })
	p.reset()
	idle(t, srv, 0, 0, 0)
	b.await(t, 1)
	testtool.Until(t, "the outcome is counted", func() bool { return srv.Stats().Broadcasts["client"] == 1 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) != 0 {
		t.Error("the broker still has its waiter")
	}
}

// An envelope says which user has published, where the authorizer has named one. What is for a user
// has no channel.
func TestAnEnvelopeSaysWhoPublished(t *testing.T) {
	hook := newNamingWebhook(t)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	ann, nobody := connectTyped(t, srv, "/ws?user=ann", "a"), connect(t, srv, "/ws")
	for _, tc := range []struct {
		p          *peer
		args, want string
	}{
		{nobody, `"channel":"a"`, `{"type":"message","channel":"a","content":1}`},
		{ann, `"channel":"a"`, `{"type":"message","channel":"a","content":1,"user":"ann"}`},
		{ann, `"user":"ann"`, `{"type":"message","content":1,"user":"ann"}`},
	} {
		tc.p.send(`{"command":"broadcast","args":{"content":1,` + tc.args + `}}`)
		f, err := ann.next()
		if err != nil || !sameObject(f.payload, tc.want) {
			t.Errorf("%s: got %v, %v; want %s", tc.args, f, err, tc.want)
		}
	}
	expectAnswer(t, srv, "/broadcast", `{"user":"ann","content":2}`, 201, "")
	if f, err := ann.next(); err != nil || !sameObject(f.payload, `{"type":"message","content":2}`) {
		t.Errorf("from a backend: %v, %v", f, err)
	}
	ann.send(whomMessage(`"channel":"a","members":true,"echo":false`, 3))
	ann.expectText(`{"type":"reply","id":3,"ok":true,"members":0}`)
}

// sameObject reports whether two JSON objects are equal, in whatever order.
func sameObject(a, b string) bool {
	var x, y map[string]any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
