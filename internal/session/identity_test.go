package session

import (
	"net/http"
	"strings"
	"testing"

	"wsify/broker"
)

// naming is a webhook's answer that names the user of the query's first value, as sent, at connect.
func naming(w http.ResponseWriter, q question) {
	if q.command == "connect" {
		if _, user, ok := strings.Cut(q.header.Get("X-Wsify-Query"), "user="); ok {
			w.Header().Set("X-Wsify-User", user)
		}
	}
}

// newNamingWebhook runs a webhook that names users.
func newNamingWebhook(t *testing.T) *webhook {
	hook := newWebhook(t, nil)
	hook.answerWith(naming)
	return hook
}

// TestEachLaterQuestionHasTheUser that the answer to connect has named, and nobody else's has one.
func TestEachLaterQuestionHasTheUser(t *testing.T) {
	hook := newNamingWebhook(t)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for _, user := range []string{"ann%2C%C3%A9", ""} {
		asked := len(hook.questions())
		target := "/ws"
		if user != "" {
			target += "?user=" + user
		}
		p := connect(t, srv, target)
		p.join("c")
		p.leave("c")
		p.send(`{"command":"broadcast","args":{"channel":"c"},"id":1}`)
		p.expectText(`{"id":1,"ok":true}`)
		questions := hook.questions()[asked:]
		if len(questions) != 4 {
			t.Fatalf("%d questions, want 4", len(questions))
		}
		for _, q := range questions {
			want := user
			if q.command == "connect" {
				want = ""
			}
			if got := q.header.Get("X-Wsify-User"); got != want {
				t.Errorf("%s: X-Wsify-User is %q, want %q", q.command, got, want)
			}
		}
	}
}

// TestAUserIsAChannelThatNobodySees: each of the user's connections gets what is published to it, no
// limit or list counts it, and clients cannot name it.
func TestAUserIsAChannelThatNobodySees(t *testing.T) {
	hook := newNamingWebhook(t)
	srv := start(t, Config{AuthorizerURL: hook.URL, MaxChannelsPerConnection: 1})
	first, second, other := connect(t, srv, "/ws?user=ann"), connect(t, srv, "/ws?user=ann"), connect(t, srv, "/ws?user=bob")
	first.join("c")
	if err := srv.deliver([]byte(userChannel("ann")), []byte(`"to ann"`)); err != nil {
		t.Fatal(err)
	}
	first.expectText(`"to ann"`)
	second.expectText(`"to ann"`)
	other.expectNothing()
	if page, _ := srv.ListChannels("", "", 10); len(page) != 1 || page[0] != (ChannelInfo{"c", 1}) {
		t.Errorf("the channels are %v, want c alone", page)
	}
	if st := srv.Stats(); st.Channels != 1 || st.Subscriptions != 1 {
		t.Errorf("%d channels and %d subscriptions, want 1 of each", st.Channels, st.Subscriptions)
	}
	for _, info := range listed(t, srv, ConnFilter{Channel: "c"}, 10) {
		if info.User != "ann" || info.Channels != 1 {
			t.Errorf("the member of c is %+v, want it to be ann's and in one channel", info)
		}
		one, err := srv.Connection(t.Context(), info.ID)
		if err != nil || one.User != "ann" || len(one.Names) != 1 || one.Names[0] != "c" {
			t.Errorf("the connection is %+v, %v; want it to be ann's, and in c alone", one, err)
		}
	}
	for _, command := range []string{"join", "leave", "broadcast"} {
		other.send(`{"command":"` + command + `","args":{"channel":"\u0000wsify/user/ann"},"id":1}`)
		if f, err := other.next(); err != nil || !strings.Contains(string(f.payload), `"bad_request"`) {
			t.Errorf("%s of a user's channel: %q, %v", command, f.payload, err)
		}
	}
}

// TestAUserIsReachedOnEveryNode by what one node publishes.
func TestAUserIsReachedOnEveryNode(t *testing.T) {
	withEngines(t, func(t *testing.T, e testEngine) {
		hook := newNamingWebhook(t)
		a, b := e.node(t, Config{AuthorizerURL: hook.URL}), e.node(t, Config{AuthorizerURL: hook.URL})
		long := strings.Repeat("%C3%A9", 127) + "x"
		channel := []byte(userChannel(strings.Repeat("é", 127) + "x"))
		peers := []*peer{connect(t, a, "/ws?user="+long), connect(t, b, "/ws?user="+long)}
		for _, srv := range []*Server{a, b} {
			awaitSubscribed(t, srv, channel)
		}
		done := make(chan error, 1)
		if pending, _, err := a.broker.Publish(nil, channel, []byte("1"), func(_ broker.Receipt, err error) { done <- err }); err != nil || !pending {
			t.Fatalf("Publish: %t, %v", pending, err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		for _, p := range peers {
			p.expectText("1")
		}
	})
}

// awaitSubscribed waits until the broker has confirmed the subscription to a channel.
func awaitSubscribed(t *testing.T, srv *Server, channel []byte) {
	t.Helper()
	done := make(chan error, 1)
	pending, err := srv.broker.Await(channel, func(err error) { done <- err })
	if pending {
		err = <-done
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestAHeaderThatBreaksARuleIsIgnored: the connection opens without a user. All are counted, and the
// first is logged.
func TestAHeaderThatBreaksARuleIsIgnored(t *testing.T) {
	hook := newNamingWebhook(t)
	srv, log := startLogged(t, Config{AuthorizerURL: hook.URL})
	for range 3 {
		connect(t, srv, "/ws?user=%zz").usable()
	}
	for _, info := range listed(t, srv, ConnFilter{}, 10) {
		if info.User != "" {
			t.Errorf("the user is %q, want none", info.User)
		}
	}
	if n := srv.Stats().Ignored["X-Wsify-User"]; n != 3 {
		t.Errorf("%d headers are counted, want 3", n)
	}
	if n := strings.Count(log.String(), "a header of the authorizer's answer is ignored"); n != 1 {
		t.Errorf("%d lines in the log, want 1:\n%s", n, log)
	}
}

// TestWhiteSpaceAroundAUserIsPartOfTheName: what a client sends waits until the broker has confirmed that
// the node hears what is for this user.
func TestWhiteSpaceAroundAUserIsPartOfTheName(t *testing.T) {
	hook, b := newNamingWebhook(t), &testBroker{asynchronous: true}
	srv := startWith(t, Config{AuthorizerURL: hook.URL}, b)
	connect(t, srv, "/ws?user=%20ann%C2%A0")
	due(t, b)
	if n := srv.hub.Count(userChannel(" ann\u00a0")); n != 1 {
		t.Errorf("the user has %d connections, want 1", n)
	}
	b.answer()
}
