package server

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wsify/internal/operate"
	"wsify/internal/testtool"
)

// startWithAdmin calls start with an admin listener on a free port.
func startWithAdmin(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.AdminAddr = "127.0.0.1:0"
	return start(t, cfg)
}

// page is a response of the admin listener.
type page struct {
	status int
	header http.Header
	body   string
}

// askAdmin sends a request to the admin listener, on a separate connection.
func askAdmin(t testing.TB, srv *Server, method, path string) page {
	t.Helper()
	return askAdminAt(t, srv.AdminAddr(), method, path)
}

func askAdminAt(t testing.TB, addr net.Addr, method, path string) page {
	t.Helper()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, addr.Network(), addr.String())
		},
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return page{answer.StatusCode, answer.Header, string(body)}
}

// expectAdmin requests a path and checks status and body.
func expectAdmin(t testing.TB, srv *Server, path string, status int, body string) {
	t.Helper()
	if got := askAdmin(t, srv, "GET", path); got.status != status || got.body != body {
		t.Errorf("GET %s: %d %q, want %d %q", path, got.status, got.body, status, body)
	}
}

func TestAdminPages(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	for _, tc := range []struct {
		method, path string
		status       int
		content      string // the beginning of the media type
		body         string // a part of the body
	}{
		{"GET", "/", 200, "text/plain", "/readyz"},
		{"HEAD", "/events", 200, "text/event-stream", ""},
		{"GET", "/live/page.js", 200, "text/javascript", "EventSource"},
		{"GET", "/live/nothing", 404, "text/plain", ""},
		{"POST", "/events", 405, "application/json", `"method_not_allowed"`},
		{"GET", "/healthz", 200, "text/plain", "ok\n"},
		{"HEAD", "/healthz", 200, "text/plain", ""},
		{"GET", "/readyz", 200, "text/plain", "ok\n"},
		{"GET", "/metrics", 200, "text/plain", "wsify_connections 0\n"},
		{"GET", "/stats", 200, "application/json", `"wsify_connections": 0`},
		{"GET", "/debug/pprof/", 200, "text/html", "goroutine"},
		{"GET", "/debug/pprof/goroutine?debug=1", 200, "text/plain", "goroutine profile"},
		{"GET", "/debug/pprof/trace?seconds=0.01", 200, "application/octet-stream", ""},
		{"GET", "/debug/pprof/cmdline", 404, "text/plain", "Unknown profile"}, // it may hold a key
		{"GET", "/nowhere", 404, "text/plain", "/metrics"},
		{"GET", "/ws", 404, "text/plain", ""},
		{"PUT", "/drain", 405, "application/json", `"method_not_allowed"`},
		{"GET", "/kick", 405, "application/json", `"method_not_allowed"`},
		{"GET", "/channels/", 404, "application/json", `"not_found"`},
		{"GET", "/connections/", 404, "application/json", `"not_found"`},
		{"POST", "/broadcast", 405, "application/json", "GET or HEAD"},
		{"POST", "/healthz", 405, "application/json", `"method_not_allowed"`},
		{"DELETE", "/metrics", 405, "application/json", `"method_not_allowed"`},
		{"POST", "/debug/pprof/symbol", 405, "application/json", `"method_not_allowed"`},
		{"PUT", "/", 405, "application/json", `"method_not_allowed"`},
	} {
		got := askAdmin(t, srv, tc.method, tc.path)
		if got.status != tc.status || !strings.HasPrefix(got.header.Get("Content-Type"), tc.content) || !strings.Contains(got.body, tc.body) {
			t.Errorf("%s %s: %d, %s, %.200q; want %d, %s, with %q", tc.method, tc.path,
				got.status, got.header.Get("Content-Type"), got.body, tc.status, tc.content, tc.body)
		}
	}
}

// TestTheListOfPathsIsComplete: what openapi.json describes, and the other pages.
func TestTheListOfPathsIsComplete(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	var described struct{ Paths map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(askAdmin(t, srv, "GET", "/openapi.json").body), &described); err != nil {
		t.Fatal(err)
	}
	paths := []string{"/", "/healthz", "/readyz", "/metrics", "/stats", "/events", "/debug/pprof/", "/openapi.json"}
	for path := range described.Paths {
		if !strings.Contains(path, "{") {
			paths = append(paths, path)
		}
	}
	list := "\n" + askAdmin(t, srv, "GET", "/").body
	for _, path := range paths {
		if !strings.Contains(list, "\n"+path+" ") {
			t.Errorf("the list at / lacks %s:%s", path, list)
		}
	}
	if n := strings.Count(list, "\n") - 1; n != len(paths) {
		t.Errorf("the list has %d paths, want %d:%s", n, len(paths), list)
	}
}

// TestTheAdminPagesAreOnNoPublicPort: only operators may reach them.
func TestTheAdminPagesAreOnNoPublicPort(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	for _, path := range []string{"/healthz", "/metrics", "/debug/pprof/"} {
		dial(t, srv.Addr()).expect(t, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 404)
	}
}

func TestWithoutAnAddressThereIsNoAdminListener(t *testing.T) {
	if addr := start(t, Config{}).AdminAddr(); addr != nil {
		t.Errorf("AdminAddr() = %v, want none", addr)
	}
}

// TestAdminAnswersDuringTheDrain checks that it does, and that the listener is closed afterwards.
func TestAdminAnswersDuringTheDrain(t *testing.T) {
	t.Parallel()
	srv := startWithAdmin(t, Config{BroadcastingKey: "k"})
	request := postRequest("k", `{"channel":"c","content":1}`)
	p := dial(t, srv.Addr())
	if _, err := p.Write([]byte(request[:len(request)-5])); err != nil {
		t.Fatal(err)
	}
	testtool.Until(t, "the request has begun", func() bool { return srv.Stats().Net.BytesReceived > 0 })
	ended := shutdown(srv)
	testtool.Until(t, "the drain has begun", srv.node.Draining)
	expectAdmin(t, srv, "/readyz", 503, "draining: this node takes no new clients\n")
	expectAdmin(t, srv, "/healthz", 200, "ok\n")
	if got := askAdmin(t, srv, "GET", "/metrics"); !strings.Contains(got.body, "wsify_draining 1\n") {
		t.Errorf("GET /metrics: %d, %.200q", got.status, got.body)
	}
	p.expect(t, request[len(request)-5:], 201)
	await(t, ended)
	if c, err := net.Dial("tcp", srv.AdminAddr().String()); err == nil {
		_ = c.Close()
		t.Error("the admin listener outlives the server")
	}
}

const readyRequest = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"

// TestAdminConnectionsDoNotDelayTheEnd: neither silent ones, nor idle ones, nor one that waits for
// a profile of an hour.
func TestAdminConnectionsDoNotDelayTheEnd(t *testing.T) {
	t.Parallel()
	srv := startWithAdmin(t, Config{})
	dial(t, srv.AdminAddr())
	dial(t, srv.AdminAddr()).expect(t, readyRequest, 200)
	waiting := dial(t, srv.AdminAddr())
	if _, err := waiting.Write([]byte("GET /debug/pprof/trace?seconds=3600 HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := waiting.r.Peek(1); err != nil { // the answer has begun
		t.Fatal(err)
	}
	await(t, shutdown(srv))
}

// TestAdminConnectionsAreBounded, because each has a goroutine.
func TestAdminConnectionsAreBounded(t *testing.T) {
	srv := startWithAdmin(t, Config{})
	var open []client
	for range operate.MaxConnections {
		c := dial(t, srv.AdminAddr())
		c.expect(t, readyRequest, 200)
		open = append(open, c)
	}
	if status, _, err := dial(t, srv.AdminAddr()).ask(readyRequest); err == nil {
		t.Errorf("one connection too many: %d, want its end", status)
	}
	_ = open[0].Close()
	testtool.Until(t, "a place for another", func() bool {
		_, _, err := dial(t, srv.AdminAddr()).ask(readyRequest)
		return err == nil
	})
}

func TestAdminOnAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = stale.Close() // as after a crash
	srv, book := startLogged(t, Config{AdminAddr: "unix:" + path})
	expectAdmin(t, srv, "/readyz", 200, "ok\n")
	if strings.Contains(book.String(), "not on loopback") {
		t.Errorf("a warning about a unix socket: %s", book)
	}
	await(t, shutdown(srv))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after the end: %v, want no socket", err)
	}
}

func TestTheLogSaysWhereTheAdminListenerIs(t *testing.T) {
	for addr, warned := range map[string]bool{"127.0.0.1:0": false, "[::1]:0": false, "localhost:0": false, ":0": true, "0.0.0.0:0": true} {
		if ln, err := net.Listen("tcp", addr); err != nil {
			t.Logf("this machine has no %s", addr)
			continue
		} else {
			_ = ln.Close()
		}
		srv, book := startLogged(t, Config{AdminAddr: addr})
		if where := "admin_addr=" + srv.AdminAddr().String(); !strings.Contains(strings.ReplaceAll(book.String(), `"`, ""), where) {
			t.Errorf("%s: the log has no %s: %s", addr, where, book)
		}
		if got := strings.Contains(book.String(), "level=WARN msg=\"the admin listener is not on loopback"); got != warned {
			t.Errorf("%s: warned %v, want %v: %s", addr, got, warned, book)
		}
	}
}

// TestASecondServerWithTheAdminAddressSaysWhatToDo also checks that the second server cleans up:
// the first goes on, and the second's own port is free again.
func TestASecondServerWithTheAdminAddressSaysWhatToDo(t *testing.T) {
	first := startWithAdmin(t, Config{})
	taken := first.AdminAddr().String()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	cfg := Config{ListenAddrs: []string{free.Addr().String()}, AdminAddr: taken, Loops: 2}
	second, err := Start(cfg)
	if err == nil {
		_ = second.Shutdown()
		t.Fatal("two servers have one admin listener")
	}
	want := "-admin-addr: listen on " + taken + ": address already in use: a second node on this machine needs another one, such as 127.0.0.1:3002, or off"
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	expectAdmin(t, first, "/readyz", 200, "ok\n")
	cfg.AdminAddr = ""
	start(t, cfg)
}

func TestAnAdminAddressThatIsNone(t *testing.T) {
	_, err := Start(Config{ListenAddrs: []string{"127.0.0.1:0"}, AdminAddr: "unix:/nowhere/at/all", Loops: 1})
	if err == nil || !strings.HasPrefix(err.Error(), "-admin-addr: listen on unix:/nowhere/at/all: ") {
		t.Errorf("error %v, want one that names the flag and the address", err)
	}
}

// TestAdminAnswersWithoutDescriptors: a working server must not be killed because clients use all
// descriptors.
func TestAdminAnswersWithoutDescriptors(t *testing.T) {
	srv := startLimited(t, limits{Descriptors: 80})
	at := srv.admin
	fillUp(t, srv.addr)
	for range 12 { // each takes a descriptor and releases it
		if got := askAdminAt(t, at, "GET", "/healthz"); got.status != 200 {
			t.Errorf("GET /healthz: %d %q, want 200", got.status, got.body)
		}
		if got := askAdminAt(t, at, "GET", "/readyz"); got.status != 503 || !strings.HasPrefix(got.body, "full: ") {
			t.Errorf("GET /readyz: %d %q, want 503 and full", got.status, got.body)
		}
		if got := askAdminAt(t, at, "GET", "/metrics"); got.status != 200 || !strings.Contains(got.body, `wsify_connections_rejected_total{reason="no_descriptor"}`) {
			t.Errorf("GET /metrics: %d %.200q, want 200", got.status, got.body)
		}
	}
}
