package session

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// idOf returns the id of the connection of a client.
func idOf(t *testing.T, srv *Server, p *peer) string {
	t.Helper()
	for _, c := range listed(t, srv, ConnFilter{}, 1000) {
		if c.Address == p.LocalAddr().String() {
			return c.ID
		}
	}
	t.Fatal("the connection is not listed")
	return ""
}

// carried gives an order and checks its outcome.
func carried(t *testing.T, srv *Server, o Order, here int) {
	t.Helper()
	done, err := srv.Order(t.Context(), o)
	if err != nil || done.Here != here {
		t.Errorf("%+v: %+v, %v; want %d here", o, done, err, here)
	}
}

func TestAKickClosesWhatItNames(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	all := make([]*peer, 6)
	for i := range all {
		all[i] = connect(t, srv, "/ws")
		all[i].join("everybody", fmt.Sprint("odd ", i%2 == 1))
	}
	kicked := Order{Code: 4003, Reason: "go away"}
	first := kicked
	first.ID = idOf(t, srv, all[0])
	carried(t, srv, first, 1)
	all[0].expect(opClose, "\x0f\xa3go away")
	testtool.Until(t, "it has ended", func() bool { return srv.members(t, "everybody") == 5 })
	odd := kicked
	odd.Channel, odd.Code, odd.Reason = "odd true", 4999, ""
	carried(t, srv, odd, 3)
	for _, i := range []int{1, 3, 5} {
		all[i].expectClose(4999)
	}
	elsewhere := kicked
	elsewhere.Address = netip.MustParsePrefix("127.0.0.2/32")
	carried(t, srv, elsewhere, 0)
	here := kicked
	here.Address = netip.MustParsePrefix("127.0.0.0/8")
	all[2].usable()
	carried(t, srv, here, 2)
	all[2].expectClose(4003)
	all[4].expectClose(4003)
	carried(t, srv, first, 0) // it has ended
	carried(t, srv, Order{ID: "0123456789abcdef-100000001", Code: 4003}, 0)
	if got := srv.Stats().Closed["kicked"]; got != 6 {
		testtool.Until(t, "all are counted", func() bool { return srv.Stats().Closed["kicked"] == 6 })
	}
}

// What was queued for a client leaves before the Close frame.
func TestAKickComesBehindWhatWasSentBefore(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 1})
	p := connect(t, srv, "/ws")
	p.join("c")
	content := `"` + strings.Repeat("x", 60_000) + `"`
	const many = 12 // less than the outbound queue
	for range many {
		post201(t, srv, "c", content)
	}
	settle(t, srv)
	carried(t, srv, Order{Channel: "c", Code: 4003}, 1)
	for range many {
		p.expectText(content)
	}
	p.expectClose(4003)
}

// A client whose upgrade or command waits for the authorizer is kicked too. Others that are no
// clients yet, or backends, are not.
func TestAKickReachesThoseThatWait(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	hook := newWebhook(t, func(q question) int {
		if !strings.Contains(q.body, "pass") {
			<-gate
		}
		return 200
	})
	defer close(gate)
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerTimeout: time.Minute})
	asking := dial(t, srv)
	asking.write(upgradeHead("/ws"))
	parked := connect(t, srv, "/ws?pass")
	parked.send(`{"command":"join","args":{"channel":"c"},"id":1}`)
	testtool.Until(t, "it waits", func() bool { return sessionsIn(t, srv, parkedState) == 1 && sessionsIn(t, srv, connecting) == 1 })
	half := dial(t, srv)
	half.write("GET /ws HTTP/1.1\r\n")
	backend := dial(t, srv)
	backend.write(postRequest("/broadcast", `{"channel":"c","content":1}`))
	backend.expectStatus(201)
	carried(t, srv, Order{Address: netip.MustParsePrefix("127.0.0.1/32"), Code: 4003}, 2)
	asking.expectStatus(403)
	parked.expectClose(4003)
	backend.write(postRequest("/broadcast", `{"channel":"c","content":1}`))
	backend.expectStatus(201)
	half.write("Host: a\r\n\r\n")
	half.expectStatus(426)
	if got := srv.Stats().Rejected["kicked"]; got != 1 {
		t.Errorf("%d upgrades rejected, want 1", got)
	}
}

const parkedState = parked

func TestAMembershipIsTakenAwayWithoutAReconnect(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{})
	a, b, c := connect(t, srv, "/ws"), connect(t, srv, "/ws"), connect(t, srv, "/ws")
	for _, p := range []*peer{a, b, c} {
		p.join("secret", "news")
	}
	carried(t, srv, Order{Unsubscribe: true, Channel: "secret", ID: idOf(t, srv, a)}, 1)
	carried(t, srv, Order{Unsubscribe: true, Channel: "secret", ID: idOf(t, srv, a)}, 0) // it is none
	post201(t, srv, "secret", `"for b and c"`)
	post201(t, srv, "news", `"for all"`)
	for _, p := range []*peer{b, c} {
		p.expectText(`"for b and c"`, `"for all"`)
	}
	a.expectText(`"for all"`) // and no other frame before it
	carried(t, srv, Order{Unsubscribe: true, Channel: "secret"}, 2)
	carried(t, srv, Order{Unsubscribe: true, Channel: "secret"}, 0)
	post201(t, srv, "secret", `"for nobody"`)
	post201(t, srv, "news", `"still"`)
	for _, p := range []*peer{a, b, c} {
		p.expectText(`"still"`)
		p.usable()
	}
	a.join("secret") // nothing forbids it but the authorizer
	post201(t, srv, "secret", `"again"`)
	a.expectText(`"again"`)
}

// As with a leave: what was published before is for the member.
func TestARevocationComesBehindWhatWasPublishedBefore(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 1})
	p := connect(t, srv, "/ws")
	p.join("c")
	release := holdLoop(t, srv.loops[0])
	for i := range 3 {
		if _, _, err := srv.broker.Publish(nil, []byte("c"), fmt.Append(nil, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := srv.Order(context.Background(), Order{Unsubscribe: true, Channel: "c"})
		done <- err
	}()
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.expectText("0", "1", "2")
	p.expectNothing()
}

// The authorizer's decision may be older than the revocation.
func TestAJoinThatWaitsForTheAuthorizerIsRevokedToo(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	hook := newWebhook(t, func(q question) int {
		if strings.Contains(q.body, `"wait"`) {
			<-gate
		}
		return 200
	})
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerTimeout: time.Minute})
	p, q := connect(t, srv, "/ws"), connect(t, srv, "/ws")
	p.send(`{"command":"join","args":{"channel":"secret","token":"wait"},"id":1}`)
	q.send(`{"command":"join","args":{"channel":"other","token":"wait"},"id":1}`)
	testtool.Until(t, "both wait", func() bool { return sessionsIn(t, srv, parkedState) == 2 })
	carried(t, srv, Order{Unsubscribe: true, Channel: "secret"}, 0)
	close(gate)
	p.expectText(`{"id":1,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`)
	q.expectText(`{"id":1,"ok":true}`)
	p.join("secret") // the authorizer is asked again
}

// What an order cannot do in time goes on, and the answer says which loop is late.
func TestAnOrderNamesTheLoopThatHangs(t *testing.T) {
	t.Parallel()
	srv := start(t, Config{Loops: 2})
	var peers []*peer
	for srv.loops[0].counts.upgraded.Load() == 0 || srv.loops[1].counts.upgraded.Load() == 0 {
		p := connect(t, srv, "/ws")
		p.join("c")
		peers = append(peers, p)
	}
	release := holdLoop(t, srv.loops[1])
	untilLoop1IsNamed(t, func(ctx context.Context) error {
		done, err := srv.Order(ctx, Order{Channel: "c", Code: 4003})
		if done.Here > len(peers)-1 {
			t.Errorf("%+v, although loop 1 hangs", done)
		}
		return err
	})
	release()
	for _, p := range peers {
		p.expectClose(4003)
	}
}

// TestAnOrderForAUserReachesAllConnectionsOfTheUser, and nobody else's, on every node. The others go on.
func TestAnOrderForAUserReachesAllConnectionsOfTheUser(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		hook := newNamingWebhook(t)
		cfg := Config{AuthorizerURL: hook.URL, AuthorizerEvents: []string{"connect"}, AdminKey: "k3y"}
		a, b := e.node(t, cfg), e.node(t, cfg)
		var anns, others []*peer
		for _, srv := range []*Server{a, b} {
			for range 2 {
				anns = append(anns, connect(t, srv, "/ws?user=ann"))
			}
			others = append(others, connect(t, srv, "/ws?user=bob"), connect(t, srv, "/ws"))
		}
		stream := openStream(t, b, "/sse?channel=c&user=ann")
		for _, p := range slices.Concat(anns, others) {
			p.join("c")
		}
		if done, err := a.Order(t.Context(), Order{Unsubscribe: true, Channel: "c", User: "ann"}); err != nil || done != (Carried{2, NodesTold}) {
			t.Errorf("unsubscribe: %+v, %v; want 2 here", done, err)
		}
		for _, srv := range []*Server{a, b} {
			testtool.Until(t, "the others are members", func() bool { return srv.Members("c") == 2 })
		}
		if done, err := a.Order(t.Context(), Order{User: "ann", Code: 4003}); err != nil || done != (Carried{2, NodesTold}) {
			t.Errorf("kick: %+v, %v; want 2 here", done, err)
		}
		for _, p := range anns {
			p.expectClose(4003)
		}
		stream.expectClose(`{"code":4003,"reason":""}`)
		for _, p := range others {
			p.leave("c")
		}
		for _, srv := range []*Server{a, b} {
			testtool.Until(t, "ann's have ended", func() bool { return srv.Connections() == 2 })
			if found := listed(t, srv, ConnFilter{User: "bob"}, 10); len(found) != 1 || found[0].User != "bob" {
				t.Errorf("the connections of bob are %+v, want one", found)
			}
		}
	})
}

// TestAKickedUserIsAskedAboutAgain: what is kept of the authorizer's answers does not let the user in.
func TestAKickedUserIsAskedAboutAgain(t *testing.T) {
	hook := newCachingWebhook(t, "public, max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL})
	ann, bob := connect(t, srv, "/ws?user=ann"), connect(t, srv, "/ws?user=bob")
	hook.answerWith(func(w http.ResponseWriter, _ question) { w.WriteHeader(403) })
	carried(t, srv, Order{User: "ann", Code: 4003}, 1)
	ann.expectClose(4003)
	again := dial(t, srv)
	again.write(upgradeHead("/ws?user=ann"))
	again.expectStatus(403)
	connect(t, srv, "/ws?user=bob") // that answer is kept
	bob.expectNothing()
}

// TestAUserIsKickedWhileTheAuthorizerIsAsked: an answer of before the kick lets nobody in, and is not
// kept for others.
func TestAUserIsKickedWhileTheAuthorizerIsAsked(t *testing.T) {
	hook := newCachingWebhook(t, "public, max-age=60")
	srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerTimeout: patience})
	release := hook.hold(is("connect"))
	ann, stream, bob := dial(t, srv), dial(t, srv), dial(t, srv)
	ann.write(upgradeHead("/ws?user=ann"))
	stream.write("GET /sse?channel=c&user=ann HTTP/1.1\r\nHost: x\r\n\r\n")
	bob.write(upgradeHead("/ws?user=bob"))
	hook.awaitQuestions(3, "connect")
	carried(t, srv, Order{User: "ann", Code: 4003}, 0)
	release()
	for _, p := range []*peer{ann, stream} {
		if res := p.expectStatus(403); res.body != kickedText {
			t.Errorf("the body is %q", res.body)
		}
	}
	bob.expectStatus(101)
	if n := srv.Stats().Rejected["kicked"]; n != 2 {
		t.Errorf("%d are counted as kicked, want 2", n)
	}
	connect(t, srv, "/ws?user=ann") // the authorizer is asked again, and allows it
	if n := len(hook.questions("connect")); n != 4 {
		t.Errorf("%d questions, want 4", n)
	}
}
