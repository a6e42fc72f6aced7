package session

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// newJoiningWebhook answers connect with these headers, and denies every join that it is asked about.
func newJoiningWebhook(t *testing.T, headers ...string) *webhook {
	hook := newWebhook(t, nil)
	hook.answerWith(func(w http.ResponseWriter, q question) {
		if q.command == "connect" {
			for _, h := range headers {
				name, value, _ := strings.Cut(h, ": ")
				w.Header().Add(name, value)
			}
		}
		if q.command == "join" {
			w.WriteHeader(403)
		}
	})
	return hook
}

// TestTheAuthorizerJoinsChannelsAtConnect, without a question each, before anything that the client
// sends, whatever brings publications to the node.
func TestTheAuthorizerJoinsChannelsAtConnect(t *testing.T) {
	check := func(t *testing.T, srv *Server, hook *webhook) {
		p := dial(t, srv)
		p.write(upgradeHead("/ws") + message(`{"command":"broadcast","args":{"channel":"a b","content":1},"id":1}`))
		p.expectStatus(101)
		expectInAnyOrder(p, `{"id":1,"ok":true}`, `1`)
		post201(t, srv, "é,", "2")
		p.expectText("2")
		page, _ := srv.ListChannels("", "", 10)
		if len(page) != 2 {
			t.Errorf("the channels are %v, want the two that the authorizer has named", page)
		}
		if n := len(hook.questions("join")); n != 0 {
			t.Errorf("%d questions about joins, want none", n)
		}
		p.leave("a b") // as with any membership
		post201(t, srv, "a b", "3")
		p.expectNothing()
	}
	headers := []string{"X-Wsify-Join: a%20b, %C3%A9%2C ,", "X-Wsify-User: ann"}
	t.Run("memory", func(t *testing.T) {
		hook := newJoiningWebhook(t, headers...)
		check(t, start(t, Config{AuthorizerURL: hook.URL}), hook)
	})
	withEngines(t, func(t *testing.T, e testEngine) {
		hook := newJoiningWebhook(t, headers...)
		check(t, e.node(t, Config{AuthorizerURL: hook.URL}), hook)
	})
}

// expectInAnyOrder reads as many text messages, which are these.
func expectInAnyOrder(p *peer, want ...string) {
	p.t.Helper()
	var got []string
	for range want {
		f, err := p.next()
		if err != nil {
			p.t.Fatalf("%v, want the messages %q", err, want)
		}
		got = append(got, string(f.payload))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Fatalf("got %q, want %q", got, want)
	}
}

// TestAReplyTellsOfEachJoin to a client of the subprotocol, in order, before any other message. A raw
// client is told nothing that it could take for content.
func TestAReplyTellsOfEachJoin(t *testing.T) {
	check := func(t *testing.T, srv *Server) {
		p := dial(t, srv)
		p.write(upgradeHead("/ws", offer) + message(`{"command":"leave","args":{"channel":"x"},"id":"first"}`))
		p.expectStatus(101)
		p.expectText(
			`{"type":"reply","channel":"a","ok":true}`,
			`{"type":"reply","channel":"\"q\"","ok":true}`,
			`{"type":"reply","id":"first","ok":true}`)
		raw := connect(t, srv, "/ws")
		raw.send(`{"command":"leave","args":{"channel":"x"},"id":"first"}`)
		raw.expectText(`{"id":"first","ok":true}`)
	}
	const join = "X-Wsify-Join: a,%22q%22"
	t.Run("memory", func(t *testing.T) { check(t, start(t, Config{AuthorizerURL: newJoiningWebhook(t, join).URL})) })
	withEngines(t, func(t *testing.T, e testEngine) {
		check(t, e.node(t, Config{AuthorizerURL: newJoiningWebhook(t, join, "X-Wsify-User: ann").URL}))
	})
}

// TestLimitsHoldForJoinsOfTheAuthorizer: 1,000 names, names that are too long, and names that no channel
// has. What is left out is told to a client of the subprotocol, counted, and logged once.
func TestLimitsHoldForJoinsOfTheAuthorizer(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprint("c", i))
	}
	join := "X-Wsify-Join: %00wsify%2Fuser%2Fann, %20, " + strings.Repeat("x", 21) + ", " + strings.Join(names, ",") + ", c0"
	hook := newJoiningWebhook(t, join)
	srv, log := startLogged(t, Config{AuthorizerURL: hook.URL, MaxChannelLength: 20})
	for range 2 {
		p := dial(t, srv)
		p.write(upgradeHead("/ws", offer))
		p.expectStatus(101)
		p.expectText(
			`{"type":"reply","channel":"\u0000wsify/user/ann","ok":false,"error":{"code":"bad_request","message":"a channel's name must not begin with U+0000"}}`,
			`{"type":"reply","channel":"","ok":false,"error":{"code":"bad_request","message":"channel is missing or empty"}}`,
			`{"type":"reply","channel":"xxxxxxxxxxxxxxxxxxxxx","ok":false,"error":{"code":"limit","message":"the channel name is too long"}}`)
		for i := range 1000 {
			if want := fmt.Sprintf(`{"type":"reply","channel":"c%d","ok":true}`, i); i < 128 {
				p.expectText(want)
			} else {
				p.expectText(fmt.Sprintf(`{"type":"reply","channel":"c%d","ok":false,"error":{"code":"limit","message":"this connection is a member of too many channels"}}`, i))
			}
		}
		p.expectText(`{"type":"reply","channel":"c0","ok":true}`) // it is a member already
		p.usableTyped()
		p.Close()
		testtool.Until(t, "it has ended", func() bool { return srv.Stats().Channels == 0 })
	}
	if n := srv.Stats().Ignored["X-Wsify-Join"]; n != 2*(1000-128+3) {
		t.Errorf("%d names are counted, want %d", n, 2*(1000-128+3))
	}
	if n := strings.Count(log.String(), "a header of the authorizer's answer is ignored"); n != 1 {
		t.Errorf("%d lines in the log, want 1", n)
	}
}

// usableTyped checks that a connection of the subprotocol is open.
func (p *peer) usableTyped() {
	p.t.Helper()
	p.send(`{"command":"leave","args":{"channel":"?"},"id":"usable"}`)
	p.expectText(`{"type":"reply","id":"usable","ok":true}`)
}

// TestAListThatCannotBeReadJoinsNothing: what is wrong in one name spoils all, and the connection opens.
func TestAListThatCannotBeReadJoinsNothing(t *testing.T) {
	hook := newJoiningWebhook(t, "X-Wsify-Join: a,b%2", "X-Wsify-User: ann")
	srv := start(t, Config{AuthorizerURL: hook.URL})
	connect(t, srv, "/ws").leave("x")
	if st := srv.Stats(); st.Channels != 0 || st.Ignored["X-Wsify-Join"] != 1 {
		t.Errorf("%d channels, %d headers are counted; want none, and 1", st.Channels, st.Ignored["X-Wsify-Join"])
	}
}

// TestAnOperatorEndsAJoinOfTheAuthorizer that the broker has not confirmed: it does not come back.
// What the client has sent waits for the broker's answers, however many there are.
func TestAnOperatorEndsAJoinOfTheAuthorizer(t *testing.T) {
	hook := newJoiningWebhook(t, "X-Wsify-Join: a,b,c,d")
	b := &testBroker{asynchronous: true}
	srv := startWith(t, Config{AuthorizerURL: hook.URL}, b)
	p := dial(t, srv)
	p.write(upgradeHead("/ws", offer) + message(`{"command":"leave","args":{"channel":"x"},"id":1}`))
	p.expectStatus(101)
	due(t, b)
	p.send(`{"command":"leave","args":{"channel":"x"},"id":2}`)
	carried(t, srv, Order{Unsubscribe: true, Channel: "b"}, 1)
	b.await(t, 1)
	p.expectText(`{"type":"reply","channel":"a","ok":true}`,
		`{"type":"reply","channel":"b","ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`)
	due(t, b)
	b.fail(errTest)
	b.await(t, 1)
	p.expectText(`{"type":"reply","channel":"c","ok":false,"error":{"code":"broker_down","message":"` + joinError(errTest).Message + `"}}`)
	due(t, b)
	b.fail(nil)
	b.await(t, 1)
	p.expectText(`{"type":"reply","channel":"d","ok":true}`, `{"type":"reply","id":1,"ok":true}`, `{"type":"reply","id":2,"ok":true}`)
	if n := srv.members(t, "b"); n != 0 {
		t.Errorf("%d members of b, want none", n)
	}
	p.usableTyped()
	p.write(message(`{"command":"leave","args":{"channel":"x"},"id":3}`))
	p.expectText(`{"type":"reply","id":3,"ok":true}`)
}

// due waits until the broker has been asked to confirm a channel.
func due(t *testing.T, b *testBroker) {
	t.Helper()
	testtool.Until(t, "the broker is asked", func() bool { return b.due() == 1 })
}

// TestAConnectionMayEndWhileItsJoinsWait, or be closed by the operator.
func TestAConnectionMayEndWhileItsJoinsWait(t *testing.T) {
	hook := newJoiningWebhook(t, "X-Wsify-Join: a,b", "X-Wsify-User: ann")
	for name, end := range map[string]func(p *peer, srv *Server){
		"reset": func(p *peer, _ *Server) { p.reset() },
		"kick":  func(p *peer, srv *Server) { carried(t, srv, Order{Channel: "a", Code: 4003}, 1); p.expectClose(4003) },
	} {
		t.Run(name, func(t *testing.T) {
			b := &testBroker{asynchronous: true}
			srv := startWith(t, Config{AuthorizerURL: hook.URL}, b)
			p := connect(t, srv, "/ws")
			due(t, b)
			end(p, srv)
			testtool.Until(t, "it has ended", func() bool { return srv.Stats().Channels == 0 })
			b.answer()
		})
	}
}

// TestAJoinOfTheAuthorizerHasAPosition, where the channel keeps history: the client can come back to it.
func TestAJoinOfTheAuthorizerHasAPosition(t *testing.T) {
	hook := newJoiningWebhook(t, "X-Wsify-Join: h1,a,h2,h3")
	cfg := keepHistory(Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect"}, MaxChannelsPerConnection: 3}, 10, 1<<20)
	srv := start(t, cfg)
	post201(t, srv, "h1", "1")
	p := dial(t, srv)
	p.write(upgradeHead("/ws", offer))
	p.expectStatus(101)
	position := ""
	for _, want := range []string{`"h1","ok":true,"position"`, `"a","ok":true}`, `"h2","ok":true,"position"`, `"h3","ok":false,"error":{"code":"limit"`} {
		f, err := p.next()
		if err != nil || !strings.HasPrefix(string(f.payload), `{"type":"reply","channel":`+want) {
			t.Fatalf("got %q, %v; want a reply with %s", f.payload, err, want)
		}
		if position == "" {
			_, position, _ = strings.Cut(string(f.payload), `"position":"`)
			position = strings.TrimSuffix(position, `"}`)
		}
	}
	if n := srv.Stats().Ignored["X-Wsify-Join"]; n != 1 {
		t.Errorf("%d names are counted, want h3", n)
	}
	post201(t, srv, "h1", "2")
	f, err := p.next()
	if err != nil || !strings.Contains(string(f.payload), `"content":2`) {
		t.Fatalf("got %q, %v; want the publication", f.payload, err)
	}
	raw := connect(t, srv, "/ws") // a raw client is a member, too, and is told nothing
	post201(t, srv, "h1", "3")
	raw.expectText("3")
	raw.expectJoin("h1", sincePosition(position), "2 3", "recovered true")
}

// TestThe101ComesWhenChannelsWithHistoryAreJoined: until then it waits for the engine, so a raw client, which
// is told nothing of its joins, hears all that is published after its 101.
func TestThe101ComesWhenChannelsWithHistoryAreJoined(t *testing.T) {
	hook, b, gate := newJoiningWebhook(t, "X-Wsify-Join: a,h"), newScripted(), make(chan struct{})
	cfg := keepHistory(Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect"}}, 10, 1<<20)
	cfg.Broker, b.gate = b, gate
	srv := start(t, cfg)
	p := dial(t, srv)
	p.write(upgradeHead("/ws"))
	testtool.Until(t, "the engine is asked", func() bool { return b.reads() != "" })
	if n := srv.Stats().Net.BytesSent; n != 0 {
		t.Errorf("%d bytes are sent before the channel is joined", n)
	}
	b.receive(b.publish("1"))
	close(gate)
	p.expectStatus(101)
	b.receive(b.publish("2"))
	p.expectText("2")
}

// TestAStreamHearsWhatTheAuthorizerJoins, before the channels of its query, and counts all for the limit.
func TestAStreamHearsWhatTheAuthorizerJoins(t *testing.T) {
	hook := newWebhook(t, nil)
	hook.answerWith(func(w http.ResponseWriter, q question) { w.Header().Set("X-Wsify-Join", "a,%00,b") })
	srv := start(t, Config{AuthorizerURL: hook.URL, MaxChannelsPerConnection: 3})
	for target, want := range map[string][]string{
		"/sse":                     {"connect"},
		"/sse?channel=b":           {"connect"},
		"/sse?channel=b&channel=c": {"connect", "join c"},
	} {
		before := len(asked(hook))
		s := openStream(t, srv, target)
		post201(t, srv, "a", "1")
		post201(t, srv, "b", "2")
		s.expectEvents(`{"channel":"a","content":1}`, `{"channel":"b","content":2}`)
		if got := asked(hook)[before:]; !slices.Equal(got, want) {
			t.Errorf("%s: asked %q, want %q", target, got, want)
		}
	}
	p := dial(t, srv)
	p.write("GET /sse?channel=c&channel=d HTTP/1.1\r\nHost: x\r\n\r\n")
	p.expectStatus(400)
}

// TestAMembershipThatAnOrderEndsIsNotJoinedAtConnect, where the authorizer was asked before the order. The
// others are joined.
func TestAMembershipThatAnOrderEndsIsNotJoinedAtConnect(t *testing.T) {
	for _, tc := range []struct {
		name  string
		order Order
		ends  bool
	}{
		{"of the user", Order{User: "ann"}, true},
		{"of all", Order{}, true},
		{"of the connection", Order{ID: "its"}, true},
		{"of another user", Order{User: "bob"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hook := newJoiningWebhook(t, "X-Wsify-Join: %20c,d", "X-Wsify-User: ann")
			srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerTimeout: patience})
			for i, head := range []string{upgradeHead("/ws", "Sec-WebSocket-Protocol: wsify.v1"), "GET /sse HTTP/1.1\r\nHost: x\r\n\r\n"} {
				release := hook.hold(is("connect"))
				p := dial(t, srv)
				p.write(head)
				hook.awaitQuestions(i+1, "connect")
				order := tc.order
				order.Unsubscribe, order.Channel = true, "c"
				if order.ID != "" {
					order.ID = hook.questions("connect")[i].header.Get("X-Wsify-Connection")
				}
				carried(t, srv, order, 0)
				release()
				testtool.Until(t, "it is a member of the other channel", func() bool { return srv.Members("d") == 1 })
				if joined := srv.Members("c") == 1; joined == tc.ends {
					t.Errorf("%.8s: it is a member of the order's channel: %t", head, joined)
				}
				p.reset()
				testtool.Until(t, "the connection has ended", func() bool { return srv.Members("d") == 0 })
			}
		})
	}
}
