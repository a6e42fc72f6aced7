package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"wsify/internal/operate/api"
)

// adminRequest returns a request to the admin listener.
func adminRequest(method, path, body string, headers ...string) string {
	head := method + " " + path + " HTTP/1.1\r\nConnection: close\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n"
	for _, h := range append([]string{"Host: localhost", "Content-Type: application/json"}, headers...) {
		name, _, _ := strings.Cut(h, ":")
		if i := strings.Index(head, "\r\n"+name+":"); i >= 0 { // the last one wins
			end := i + 2 + strings.Index(head[i+2:], "\r\n")
			head = head[:i] + head[end:]
		}
		head += h + "\r\n"
	}
	return head + "\r\n" + body
}

const adminKey = "Authorization: Bearer k3y"

// change asks for a change with the key, and checks the answer.
func change(t *testing.T, srv *Server, path, body, want string) {
	t.Helper()
	status, got, err := dial(t, srv.AdminAddr()).ask(adminRequest("POST", path, body, adminKey))
	if err != nil || status != 200 || strings.TrimSpace(got) != want {
		t.Errorf("POST %s %s: %d %s, %v; want 200 %s", path, body, status, got, err, want)
	}
}

func TestOperatorsSeeAndKickConnections(t *testing.T) {
	srv := startWithAdmin(t, Config{AdminKey: "k3y", BroadcastOpen: true})
	c := connect(t, srv.Addr())
	if err := c.roundTrip("a/b"); err != nil {
		t.Fatal(err)
	}
	var page struct{ Connections []api.Connection }
	var one api.Connection
	ask := func(path string, to any) {
		t.Helper()
		status, body, err := dial(t, srv.AdminAddr()).ask(adminRequest("GET", path, "", adminKey))
		if err != nil || status != 200 {
			t.Fatalf("GET %s: %d %s, %v", path, status, body, err)
		}
		if err := json.Unmarshal([]byte(body), to); err != nil {
			t.Fatal(err)
		}
	}
	ask("/connections?channel=a%2Fb&address=127.0.0.1", &page)
	if len(page.Connections) != 1 || page.Connections[0].Address != c.LocalAddr().String() {
		t.Fatalf("connections: %+v", page)
	}
	id := page.Connections[0].ID
	if ask("/connections/"+id, &one); one.ID != id || fmt.Sprint(one.Names) != "[a/b]" {
		t.Errorf("the connection: %+v", one)
	}
	var channel api.Channel
	if ask("/channels/a%2Fb", &channel); channel != (api.Channel{Name: "a/b", Members: 1}) {
		t.Errorf("the channel: %+v", channel)
	}
	change(t, srv, "/unsubscribe", `{"channel":"a/b","id":"`+id+`"}`, `{"here":1,"nodes":"none"}`)
	change(t, srv, "/kick", `{"id":"`+id+`"}`, `{"here":1,"nodes":"none"}`)
	change(t, srv, "/kick", `{"id":"`+id+`"}`, `{"here":0,"nodes":"none"}`)
	if _, err := c.heard(); err == nil || err.Error() != "closed with 4003" {
		t.Errorf("the client heard %v, want the end with 4003", err)
	}
}

// TestOperatorsDrainReloadAndChangeTheLevel on a server that was started with what that needs.
func TestOperatorsDrainReloadAndChangeTheLevel(t *testing.T) {
	var level slog.LevelVar
	broken := errors.New("line 3: nonsense")
	var failing atomic.Bool
	cfg := Config{AdminKey: "k3y", LogLevel: &level}
	cfg.Reread = func() (Rereading, error) {
		next := Rereading{Config: cfg, Reloaded: Reloaded{Restart: []string{"-loops"}}, LogLevel: slog.LevelWarn}
		if failing.Load() {
			return Rereading{}, broken
		}
		return next, next.Config.Validate()
	}
	srv := startWithAdmin(t, cfg)
	change(t, srv, "/log-level", `{"level":"debug"}`, `{"level":"debug"}`)
	if level.Level() != slog.LevelDebug {
		t.Errorf("the level is %s", level.Level())
	}
	change(t, srv, "/reload", ``, `{"changed":["-log-level"],"needs_restart":["-loops"]}`)
	if level.Level() != slog.LevelWarn {
		t.Errorf("after the reload the level is %s", level.Level())
	}
	failing.Store(true)
	dial(t, srv.AdminAddr()).expect(t, adminRequest("POST", "/reload", "", adminKey), 422)
	c := connect(t, srv.Addr())
	change(t, srv, "/drain", ``, `{"draining":true,"changed":true}`)
	change(t, srv, "/drain", `{}`, `{"draining":true,"changed":false}`)
	if _, err := c.heard(); err == nil || err.Error() != "closed with 1012" {
		t.Errorf("the client heard %v, want the end with 1012", err)
	}
	dial(t, srv.AdminAddr()).expect(t, readyRequest, 503)
	dial(t, srv.AdminAddr()).expect(t, adminRequest("DELETE", "/drain", "", adminKey), 200)
	dial(t, srv.AdminAddr()).expect(t, readyRequest, 200)
	connect(t, srv.Addr())

	bare := startWithAdmin(t, Config{AdminKey: "k3y"})
	for _, request := range []string{adminRequest("POST", "/reload", "", adminKey), adminRequest("POST", "/log-level", `{"level":"debug"}`, adminKey)} {
		dial(t, bare.AdminAddr()).expect(t, request, 409)
	}
}

// TestTheListenersAddressDecidesWithoutAKey: names are shown on loopback and on unix sockets only.
func TestTheListenersAddressDecidesWithoutAKey(t *testing.T) {
	for addr, want := range map[string]int{
		"127.0.0.1:0": 200, "[::1]:0": 200, "unix:" + filepath.Join(t.TempDir(), "admin"): 200, "0.0.0.0:0": 403, "[::]:0": 403,
	} {
		srv := start(t, Config{AdminAddr: addr})
		at := srv.AdminAddr()
		if tcp, ok := at.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
			at = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: tcp.Port}
		}
		for _, path := range []string{"/channels", "/connections", "/channels/x", "/connections/x"} {
			status, body, err := dial(t, at).ask(adminRequest("GET", path, ""))
			if shown := status == 200 || status == 404; err != nil || shown != (want == 200) || !shown && status != want {
				t.Errorf("%s, GET %s: %d %s, %v; want %d", addr, path, status, body, err, want)
			}
		}
		dial(t, at).expect(t, adminRequest("POST", "/kick", `{"id":"x"}`), 403)
		dial(t, at).expect(t, adminRequest("GET", "/readyz", ""), 200)
		dial(t, at).expect(t, adminRequest("GET", "/debug/pprof/", ""), 200)
	}
}

// TestAKeyLeavesHealthAndMetricsOpen: probes and Prometheus need no secret.
func TestAKeyLeavesHealthAndMetricsOpen(t *testing.T) {
	srv := startWithAdmin(t, Config{AdminKey: "k3y"})
	for path, want := range map[string]int{
		"/": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200, "/stats": 200, "/openapi.json": 200,
		"/debug/pprof/": 401, "/debug/pprof/profile": 401, "/debug/pprof/heap": 401, "/channels": 401, "/connections": 401,
	} {
		dial(t, srv.AdminAddr()).expect(t, adminRequest("GET", path, ""), want)
	}
	dial(t, srv.AdminAddr()).expect(t, adminRequest("GET", "/debug/pprof/goroutine", "", adminKey), 200)
}

// TestABrowserFromElsewhereGetsNothing tries what a web page can make its visitor's browser send to
// loopback: by a form, by fetch, and by a name of its own that resolves to 127.0.0.1.
func TestABrowserFromElsewhereGetsNothing(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	withKey := startWithAdmin(t, Config{AdminKey: "k3y"})
	own := "Origin: http://" + srv.AdminAddr().String()
	for _, tc := range []struct {
		what    string
		srv     *Server
		request string
		want    int
	}{
		{"a link", srv, adminRequest("GET", "/channels", "", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"), 403},
		{"a script element", srv, adminRequest("GET", "/connections", "", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), 403},
		{"fetch", srv, adminRequest("GET", "/channels", "", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"), 403},
		{"a page of another port", srv, adminRequest("GET", "/channels", "", "Origin: http://localhost:8080", "Sec-Fetch-Site: same-site"), 403},
		{"a name that resolves to loopback", srv, adminRequest("GET", "/channels", "", "Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"), 421},
		{"a form", withKey, adminRequest("POST", "/kick", `{"channel":"c"}`, "Content-Type: text/plain", "Origin: https://evil.example"), 403},
		{"an old browser's form", withKey, adminRequest("POST", "/kick", `{"channel":"c"}`, "Content-Type: text/plain"), 401},
		{"a form with the key", withKey, adminRequest("POST", "/kick", `{"channel":"c"}`, "Content-Type: text/plain", adminKey), 415},
		{"fetch with the key", withKey, adminRequest("POST", "/kick", `{"channel":"c"}`, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", adminKey), 403},
		{"a preflight", withKey, adminRequest("OPTIONS", "/kick", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST"), 405},
		{"a name that resolves to loopback, with the key", withKey, adminRequest("POST", "/kick", `{"channel":"c"}`, "Host: evil.example", adminKey), 421},
		{"our own page", srv, adminRequest("GET", "/channels", "", "Host: "+srv.AdminAddr().String(), own, "Sec-Fetch-Site: same-origin"), 200},
		{"the address bar", srv, adminRequest("GET", "/channels", "", "Sec-Fetch-Site: none"), 200},
	} {
		if status, body, err := dial(t, tc.srv.AdminAddr()).ask(tc.request); err != nil || status != tc.want {
			t.Errorf("%s: %d %s, %v; want %d", tc.what, status, body, err, tc.want)
		}
	}
}

// TestWrongKeysAreCountedAndSeldomLogged: whoever guesses must not fill the log.
func TestWrongKeysAreCountedAndSeldomLogged(t *testing.T) {
	srv, book := startLogged(t, Config{AdminAddr: "127.0.0.1:0", AdminKey: "k3y"})
	for range 20 {
		dial(t, srv.AdminAddr()).expect(t, adminRequest("GET", "/channels", "", "Authorization: Bearer guess"), 401)
	}
	if n := samples(t, srv)[`admin_requests_refused_total{reason="wrong_key"}`]; n != 20 {
		t.Errorf("%v counted, want 20", n)
	}
	if n := strings.Count(book.String(), "a request to the admin listener was refused"); n != 1 || !strings.Contains(book.String(), "reason=wrong_key") {
		t.Errorf("%d records in the log, want 1:\n%s", n, book)
	}
	if strings.Contains(book.String(), "guess") || strings.Contains(book.String(), "k3y") {
		t.Errorf("a key is in the log:\n%s", book)
	}
}

func TestAListenerWithAKeyNeedsNoWarning(t *testing.T) {
	for key, want := range map[string]bool{"": true, "k3y": false} {
		_, book := startLogged(t, Config{AdminAddr: "0.0.0.0:0", AdminKey: key})
		if got := strings.Contains(book.String(), "has no authentication"); got != want {
			t.Errorf("key %q: a warning: %t, want %t", key, got, want)
		}
	}
}
