package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// fake is a Control with fixed answers. It keeps what it was asked.
type fake struct {
	asked   string
	more    bool
	err     error
	carried Carried
	order   Order
	hold    chan struct{} // nil: Connections does not wait

	can, draining bool
	reloaded      Reloaded
}

func (f *fake) Channels(prefix, after string, limit int) ([]Channel, bool) {
	f.asked = fmt.Sprintf("channels %q %q %d", prefix, after, limit)
	return []Channel{{"a", 1}, {"<b>", 2}}, f.more
}

func (f *fake) Members(channel string) int {
	f.asked = fmt.Sprintf("channel %q", channel)
	return strings.Count(channel, "a")
}

var someone = Connection{ID: "7-1", Address: "192.0.2.1:5", Since: time.Unix(1_800_000_000, 0).UTC(), Idle: 1.5, Channels: 2, Queued: 3, State: "open", Loop: 1, Protocol: "wsify.v1", Compressed: true}

const someoneJSON = `{"id":"7-1","address":"192.0.2.1:5","since":"2027-01-15T08:00:00Z","idle_seconds":1.5,"channels":2,"queued_bytes":3,"state":"open","loop":1,"protocol":"wsify.v1","compressed":true}`

func (f *fake) Connections(ctx context.Context, filter Filter, after string, limit int) ([]Connection, bool, error) {
	f.asked = fmt.Sprintf("connections %q %v %q %d%s", filter.Channel, filter.Address, after, limit, filter.User)
	if f.hold != nil {
		f.hold <- struct{}{}
		<-f.hold
	}
	if f.err != nil {
		return nil, false, f.err
	}
	return []Connection{someone}, f.more, nil
}

func (f *fake) Connection(_ context.Context, id string) (Connection, error) {
	f.asked = fmt.Sprintf("connection %q", id)
	return someone, f.err
}

func (f *fake) Order(_ context.Context, o Order) (Carried, error) {
	f.order = o
	f.asked = "order"
	return f.carried, f.err
}

func (f *fake) SetLogLevel(level slog.Level) bool {
	f.asked = "level " + level.String()
	return f.can
}

func (f *fake) Drain() bool {
	f.asked = "drain"
	was := f.draining
	f.draining = true
	return !was
}

func (f *fake) Undrain() bool {
	f.asked = "undrain"
	was := f.draining
	if f.can {
		f.draining = false
	}
	return was && f.can
}

func (f *fake) Draining() bool { return f.draining }

func (f *fake) Reload() (Reloaded, error) {
	f.asked = "reload"
	return f.reloaded, f.err
}

func newAPI(key string, local bool, f *fake) *API {
	if f.carried.Nodes == "" {
		f.carried.Nodes = NodesNone
	}
	return New(Config{Key: key, Local: local, Logger: slog.New(slog.DiscardHandler)}, f)
}

// do sends a request with these header lines to an API.
func do(a *API, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	a.Handle(mux)
	mux.Handle("GET /profile", a.Guard(Profiles, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }))
	r := httptest.NewRequest(method, "http://localhost:3001"+target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

const bearer = "Authorization: Bearer k3y"

func TestWhoMayDoWhat(t *testing.T) {
	const (
		read    = "GET /channels"
		change  = "POST /kick"
		profile = "GET /profile"
	)
	for _, tc := range []struct {
		key     string
		local   bool
		request string
		header  string
		want    int
	}{
		{"", true, read, "", 200},
		{"", false, read, "", 403},
		{"", true, change, "", 403},
		{"", false, change, "", 403},
		{"", true, change, bearer, 403},
		{"", true, profile, "", 200},
		{"", false, profile, "", 200},
		{"k3y", true, read, "", 401},
		{"k3y", true, read, bearer, 200},
		{"k3y", false, read, bearer, 200},
		{"k3y", false, read, "authorization: bearer k3y", 200},
		{"k3y", false, read, "Authorization: Bearer k3y2", 401},
		{"k3y", false, read, "Authorization: Bearer k3", 401},
		{"k3y", false, read, "Authorization: Bearer ", 401},
		{"k3y", false, read, "Authorization: Basic OmszeQ==", 401},
		{"k3y", true, change, "", 401},
		{"k3y", true, change, bearer, 200},
		{"k3y", false, change, bearer, 200},
		{"k3y", true, profile, "", 401},
		{"k3y", true, profile, bearer, 200},
	} {
		f := &fake{}
		a := newAPI(tc.key, tc.local, f)
		method, path, _ := strings.Cut(tc.request, " ")
		headers := []string{"Content-Type: application/json"}
		if tc.header != "" {
			headers = append(headers, tc.header)
		}
		w := do(a, method, path, `{"id":"x"}`, headers...)
		if w.Code != tc.want || (tc.want != 200) != (f.asked == "" && path != "/profile" || w.Code != 200) {
			t.Errorf("key %q, local %t, %s with %q: %d %s, the server was asked %q; want %d", tc.key, tc.local, tc.request, tc.header, w.Code, w.Body, f.asked, tc.want)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (w.Code == 401) != strings.HasPrefix(challenge, `Bearer realm="wsify"`) {
			t.Errorf("%d with the challenge %q", w.Code, challenge)
		}
	}
}

func TestTwoKeysAreNone(t *testing.T) {
	if w := do(newAPI("k3y", true, &fake{}), "GET", "/channels", "", bearer, bearer); w.Code != 401 {
		t.Errorf("two Authorization headers: %d, want 401", w.Code)
	}
}

// A browser says where a request is from, in headers that a page cannot set.
func TestPagesOfOtherOriginsGetNothing(t *testing.T) {
	for headers, allowed := range map[string]bool{
		"":                              true,
		"Sec-Fetch-Site: none":          true,
		"Sec-Fetch-Site: same-origin":   true,
		"Sec-Fetch-Site: same-site":     false,
		"Sec-Fetch-Site: cross-site":    false,
		"Origin: http://localhost:3001": true,
		"Origin: http://localhost:8080": false,
		"Origin: https://evil.example":  false,
		"Origin: null":                  false,
		"Sec-Fetch-Site: cross-site\nOrigin: http://localhost:3001": false,
	} {
		lines := []string{"Content-Type: application/json", bearer}
		if headers != "" {
			lines = append(lines, strings.Split(headers, "\n")...)
		}
		for _, request := range []string{"GET /channels", "POST /kick"} {
			f := &fake{}
			a := newAPI("k3y", true, f)
			method, path, _ := strings.Cut(request, " ")
			w := do(a, method, path, `{"id":"x"}`, lines...)
			if got := w.Code == 200; got != allowed || allowed != (f.asked != "") {
				t.Errorf("%s with %q: %d, the server was asked %q; want it allowed: %t", request, headers, w.Code, f.asked, allowed)
			}
			if n := a.Refused()["cross_origin"]; (n == 1) == allowed {
				t.Errorf("%s with %q: %d counted", request, headers, n)
			}
		}
	}
}

func TestRefusalsAreCountedByReason(t *testing.T) {
	a := newAPI("k3y", true, &fake{})
	do(a, "GET", "/channels", "")
	do(a, "GET", "/channels", "", "Authorization: Bearer no")
	do(a, "GET", "/channels", "", "Authorization: Bearer no")
	do(a, "GET", "/channels", "", bearer)
	remote := newAPI("", false, &fake{})
	do(remote, "GET", "/channels", "")
	if got := fmt.Sprint(a.Refused(), remote.Refused()); got != "map[cross_origin:0 no_key:1 not_local:0 wrong_host:0 wrong_key:2] map[cross_origin:0 no_key:0 not_local:1 wrong_host:0 wrong_key:0]" {
		t.Errorf("counted %s", got)
	}
}

func TestListsAndEntries(t *testing.T) {
	for _, tc := range []struct {
		target, asked, body string
		more                bool
	}{
		{"/channels", `channels "" "" 100`, `{"channels":[{"name":"a","members":1},{"name":"\u003cb\u003e","members":2}]}`, false},
		{"/channels?prefix=x%3A&after=x%3Ay&limit=1", `channels "x:" "x:y" 1`, `{"channels":[{"name":"a","members":1},{"name":"\u003cb\u003e","members":2}],"next":"\u003cb\u003e"}`, true},
		{"/channels?limit=1000", `channels "" "" 1000`, `{"channels":[{"name":"a","members":1},{"name":"\u003cb\u003e","members":2}]}`, false},
		{"/channels/a%2Fa%20a", `channel "a/a a"`, `{"name":"a/a a","members":3}`, false},
		{"/connections", `connections "" invalid Prefix "" 100`, `{"connections":[` + someoneJSON + `]}`, false},
		{"/connections?channel=c&address=192.0.2.77&after=7-1&limit=5", `connections "c" 192.0.2.77/32 "7-1" 5`, `{"connections":[` + someoneJSON + `],"next":"7-1"}`, true},
		{"/connections?user=+ann%20", `connections "" invalid Prefix "" 100 ann `, `{"connections":[` + someoneJSON + `]}`, false},
		{"/connections?address=2001:db8::1/64", `connections "" 2001:db8::/64 "" 100`, `{"connections":[` + someoneJSON + `]}`, false},
		{"/connections?address=::ffff:192.0.2.1", `connections "" 192.0.2.1/32 "" 100`, `{"connections":[` + someoneJSON + `]}`, false},
		{"/connections/7-1", `connection "7-1"`, someoneJSON, false},
	} {
		f := &fake{more: tc.more}
		w := do(newAPI("", true, f), "GET", tc.target, "")
		if w.Code != 200 || strings.TrimSpace(w.Body.String()) != tc.body || f.asked != tc.asked || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("GET %s: %d %s %s, the server was asked %s\nwant %s, and that it is asked %s", tc.target, w.Code, w.Header(), w.Body, f.asked, tc.body, tc.asked)
		}
	}
}

func TestAQuestionThatIsWrongGetsAReason(t *testing.T) {
	for target, want := range map[string]string{
		"/channels?limit=0":                   "limit has to be a number from 1 to 1000",
		"/channels?limit=1001":                "limit has to be a number from 1 to 1000",
		"/channels?limit=ten":                 "limit has to be a number from 1 to 1000",
		"/channels?limit=":                    "limit has to be a number from 1 to 1000",
		"/channels?chanel=a":                  `there is no parameter "chanel"; there are "prefix", "after" and "limit"`,
		"/channels?limit=1&limit=2":           "limit is there more than once",
		"/channels?a=%zz":                     "the query is not percent-encoded as it has to be",
		"/channels/a?limit=1":                 `there is no parameter "limit"; there are none`,
		"/connections?address=localhost":      `"localhost" is neither an address, as 192.0.2.1 or 2001:db8::1, nor a prefix, as 192.0.2.0/24`,
		"/connections?address=fe80::1%25eth0": `"fe80::1%eth0" is neither an address, as 192.0.2.1 or 2001:db8::1, nor a prefix, as 192.0.2.0/24`,
		"/connections?address=1.2.3.4/33":     `"1.2.3.4/33" is neither an address, as 192.0.2.1 or 2001:db8::1, nor a prefix, as 192.0.2.0/24`,
		"/connections/7-1?x":                  `there is no parameter "x"; there are none`,
	} {
		f := &fake{}
		w := do(newAPI("", true, f), "GET", target, "")
		if got := errorOf(t, w); w.Code != 400 || got.Code != "bad_request" || got.Message != want || f.asked != "" {
			t.Errorf("GET %s: %d %+v, want 400 and %q", target, w.Code, got, want)
		}
	}
}

// errorOf returns the error in an answer.
func errorOf(t *testing.T, w *httptest.ResponseRecorder) Error {
	t.Helper()
	var got struct{ Error Error }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return got.Error
}

func TestWhatTheServerCannotAnswer(t *testing.T) {
	for _, tc := range []struct {
		target string
		err    error
		status int
		want   string
	}{
		{"/channels/b", nil, 404, "not_found: the channel has no members on this node"},
		{"/connections/x", ErrNotFound, 404, "not_found: no connection of this node has this id"},
		{"/connections?after=x", ErrNotFound, 404, "not_found: no connection of this node has this id"},
		{"/connections", errors.New("event loop 1"), 503, "timeout: event loop 1"},
		{"/connections/x", errors.New("event loop 1"), 503, "timeout: event loop 1"},
	} {
		w := do(newAPI("", true, &fake{err: tc.err}), "GET", tc.target, "")
		got := errorOf(t, w)
		if w.Code != tc.status || got.Code+": "+got.Message != tc.want || (tc.status == 503) != (w.Header().Get("Retry-After") == "5") {
			t.Errorf("GET %s: %d %+v %s, want %d and %s", tc.target, w.Code, got, w.Header(), tc.status, tc.want)
		}
	}
}

// Two walks at once would take twice the time from the loops.
func TestOneRequestLooksAtEverythingAtATime(t *testing.T) {
	f := &fake{hold: make(chan struct{})}
	a := newAPI("", true, f)
	first := make(chan int)
	go func() { first <- do(a, "GET", "/connections", "").Code }()
	<-f.hold // it looks
	a.timeout = time.Millisecond
	w := do(a, "GET", "/channels", "")
	if got := errorOf(t, w); w.Code != 503 || got.Code != "busy" {
		t.Errorf("the second: %d %+v", w.Code, got)
	}
	f.hold <- struct{}{}
	if code := <-first; code != 200 {
		t.Errorf("the first: %d", code)
	}
	if w := do(a, "GET", "/channels", ""); w.Code != 200 {
		t.Errorf("after it: %d", w.Code)
	}
}
