package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// asked returns what a webhook was asked: commands with the channel of the header.
func asked(h *webhook) (all []string) {
	for _, q := range h.questions() {
		all = append(all, strings.TrimSpace(q.command+" "+q.header.Get("X-Wsify-Channel")))
	}
	return all
}

// TestAStreamIsAskedAbout: the connection, then each channel in order, with what other
// questions have.
func TestAStreamIsAskedAbout(t *testing.T) {
	for _, c := range []struct {
		events []string
		want   []string
	}{
		{nil, []string{"connect", "join b%20c", "join a"}},
		{[]string{"connect"}, []string{"connect"}},
		{[]string{"join"}, []string{"join b%20c", "join a"}},
		{[]string{"leave"}, nil},
	} {
		hook := newNamingWebhook(t)
		srv := start(t, Config{AuthorizerURL: hook.URL, AuthorizerEvents: c.events})
		const query = "channel=b%20c&channel=a&channel=a&user=ann"
		s := openStream(t, srv, "/sse?"+query, "Cookie: k=v", "Authorization: Bearer t")
		if got := asked(hook); !slices.Equal(got, c.want) {
			t.Errorf("%v: asked %q, want %q", c.events, got, c.want)
		}
		for _, q := range hook.questions() {
			if got := q.header.Get("X-Wsify-Query"); got != query {
				t.Errorf("%s: the query is %q", q.command, got)
			}
			user := ""
			if q.command == "join" && slices.Contains(c.want, "connect") {
				user = "ann"
			}
			if got := q.header.Get("X-Wsify-User"); got != user {
				t.Errorf("%s: the user is %q, want %q", q.command, got, user)
			}
		}
		if q := hook.questions("connect"); len(q) > 0 && (!strings.Contains(q[0].body, `"Cookie":["k=v"]`) || !strings.Contains(q[0].body, `"channel":["b c","a","a"]`)) {
			t.Errorf("connect: %s", q[0].body)
		}
		if q := hook.questions("join"); len(q) > 0 && q[0].body != `{"command":"join","args":{"channel":"b c"}}` {
			t.Errorf("join: %s", q[0].body)
		}
		post201(t, srv, "a", "1")
		s.expectEvents(`{"channel":"a","content":1}`)
	}
}

// TestAStreamIsAllOrNothing: a no about the connection or one channel is 403, no answer is
// 503, and the stream is a member of nothing.
func TestAStreamIsAllOrNothing(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for _, c := range []struct {
		about          string // of the question that is not answered with 200
		answer, status int
		reason         string
	}{
		{"connect", 403, 403, "denied"},
		{"join a", 204, 403, "denied"},
		{"join b", 404, 403, "denied"},
		{"connect", 500, 503, "authorizer_down"},
		{"join b", 503, 503, "authorizer_down"},
	} {
		hook.answerStatus(func(q question) int {
			if strings.TrimSpace(q.command+" "+q.header.Get("X-Wsify-Channel")) == c.about {
				return c.answer
			}
			return 200
		})
		before := srv.Stats().Rejected[c.reason]
		p := dial(t, srv)
		p.write(streamHead("/sse?channel=a&channel=b&channel=c", "Origin: https://a.test"))
		res := p.expectStatus(c.status)
		if res.body == "" || res.header.Get("Access-Control-Allow-Origin") == "" || (res.header.Get("Retry-After") != "") != (c.status == 503) {
			t.Errorf("%d about %s: %+v", c.answer, c.about, res)
		}
		p.expectEnd()
		if st := srv.Stats(); st.Rejected[c.reason] != before+1 || st.Subscriptions != 0 || st.Upgraded != 0 {
			t.Errorf("%d about %s: %v, %d subscriptions", c.answer, c.about, notZero(st.Rejected), st.Subscriptions)
		}
	}
}

// TestAUserOfAStreamHearsWhatIsForTheUser, also without a channel. Such an event has none.
func TestAUserOfAStreamHearsWhatIsForTheUser(t *testing.T) {
	hook := newNamingWebhook(t)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for _, target := range []string{"/sse?user=ann", "/sse?channel=a&user=ann"} {
		s := openStream(t, srv, target)
		if err := srv.deliver([]byte(userChannel("ann")), []byte(`"to ann"`)); err != nil {
			t.Fatal(err)
		}
		s.expectEvents(`{"content":"to ann"}`)
	}
	p := dial(t, srv)
	p.write(streamHead("/sse")) // neither a channel nor a user
	if res := p.expectStatus(400); !strings.Contains(res.body, "channel") {
		t.Errorf("body %q", res.body)
	}
}

// TestStreamsWaitForAWorker like commands of open sessions do, and only upgrades and new
// streams are refused when too many wait.
func TestStreamsWaitForAWorker(t *testing.T) {
	const streams = 20
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL, Workers: 1, Queue: streams})
	release := hook.hold(is("join"))
	var peers []*peer
	for range streams {
		p := dial(t, srv)
		p.write(streamHead("/sse?channel=a&channel=b"))
		peers = append(peers, p)
	}
	hook.awaitQuestions(1, "join")
	release()
	for _, p := range peers {
		p.followed(srv)
	}
	if got := asked(hook); len(got) != 3*streams {
		t.Errorf("%d questions, want %d", len(got), 3*streams)
	}
}

// TestAClientThatGivesUpIsNotAskedAboutAgain: its other channels cost no call.
func TestAClientThatGivesUpIsNotAskedAboutAgain(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	release := hook.hold(is("join"))
	p := dial(t, srv)
	p.write(streamHead("/sse?channel=a&channel=b"))
	hook.awaitQuestions(1, "join")
	_ = p.Close()
	testtool.Until(t, "the connection is gone", func() bool { return srv.Stats().Net.Connections == 0 })
	release()
	openStream(t, srv, "/sse?channel=c")
	if got := asked(hook); !slices.Equal(got, []string{"connect", "join a", "connect", "join c"}) {
		t.Errorf("asked %q", got)
	}
}

// TestAStreamThatIsAskedAboutTooLongIsRefused with 503, at each question.
func TestAStreamThatIsAskedAboutTooLongIsRefused(t *testing.T) {
	t.Parallel()
	hook := newWebhook(t, nil)
	srv, peers := dialBeforeHaste(t, Config{AuthorizerURL: hook.URL, AuthorizerTimeout: time.Hour}, 1)
	release := hook.hold(func(q question) bool { return q.header.Get("X-Wsify-Channel") == "b" })
	p := peers[0]
	p.write(streamHead("/sse?channel=a&channel=b"))
	p.expectStatus(503)
	release()
	if st := srv.Stats(); st.Rejected["timeout"] != 1 || st.Subscriptions != 0 {
		t.Errorf("%v, %d subscriptions", notZero(st.Rejected), st.Subscriptions)
	}
}

// TestOperatorsReachStreamsThatAreAskedAbout: a kick refuses one, and so does the end of a
// membership that it does not have yet.
func TestOperatorsReachStreamsThatAreAskedAbout(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for i, order := range []Order{{Unsubscribe: true, Channel: "a"}, {Unsubscribe: true, Channel: "b"}, {Code: 4003}} {
		release := hook.hold(func(q question) bool { return q.header.Get("X-Wsify-Channel") == "b" })
		p := dial(t, srv)
		p.write(streamHead("/sse?channel=a&channel=b"))
		testtool.Until(t, "it is asked about b", func() bool {
			return slices.Contains(asked(hook)[i*3:], "join b")
		})
		if _, err := srv.Order(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		release()
		p.expectStatus(403)
	}
	if st := srv.Stats(); st.Rejected["kicked"] != 3 {
		t.Errorf("rejected %v", notZero(st.Rejected))
	}
}

// TestADrainRefusesStreams that are asked about, and new ones.
func TestADrainRefusesStreams(t *testing.T) {
	hook := newWebhook(t, nil)
	srv := start(t, Config{AuthorizerURL: hook.URL})
	for _, about := range []string{"connect", "join"} {
		release := hook.hold(is(about))
		asked := len(hook.questions(about))
		p := dial(t, srv)
		p.write(streamHead("/sse?channel=a"))
		hook.awaitQuestions(asked+1, about)
		if !srv.Drain(time.Hour) {
			t.Fatal("it is drained already")
		}
		release()
		if res := p.expectStatus(503); res.header.Get("Retry-After") == "" {
			t.Errorf("%+v, want Retry-After", res)
		}
		p = dial(t, srv)
		p.write(streamHead("/sse?channel=a"))
		p.expectStatus(503)
		srv.Undrain()
	}
	if st := srv.Stats(); st.Upgraded != 0 || st.Rejected["shutdown"] != 4 {
		t.Errorf("upgraded %d, rejected %v", st.Upgraded, notZero(st.Rejected))
	}
}
