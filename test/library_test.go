package test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// libraryIn starts a module beside clients/js/wsify.js, in each program that has JavaScript.
// Bun has no EventSource.
var libraryIn = []struct {
	name    string
	streams bool
	start   func(t *testing.T, dir, file string) func() string
}{
	{"Chromium", true, func(t *testing.T, dir, file string) func() string {
		return logOf(t, openTab(t), servePages(t, dir)+"/page.html")
	}},
	{"Node", true, func(t *testing.T, dir, file string) func() string {
		return start(t, dir, nil, append(node(t), "--experimental-eventsource", file)...).line
	}},
	{"Deno", true, func(t *testing.T, dir, file string) func() string {
		return start(t, dir, nil, runtime(t, "deno"), "run", "--allow-net", file).line
	}},
	{"Bun", false, func(t *testing.T, dir, file string) func() string {
		return start(t, dir, nil, runtime(t, "bun"), file).line
	}},
}

// TestTheJavaScriptClientMissesNothing in a page, Node, Deno and Bun: its network is pulled out,
// its session expires, its server is replaced, it is kicked, and WebSockets are blocked.
func TestTheJavaScriptClientMissesNothing(t *testing.T) {
	for _, in := range libraryIn {
		t.Run(in.name, func(t *testing.T) {
			endToEnd(t)
			t.Parallel() // mostly waits
			flags := []string{"-history-channels", "*", "-admin-addr", "127.0.0.1:0", "-admin-key", "dev"}
			s := serve(t, flags...)
			net, wall := newCable(t, s.addr), block(t, s.addr)
			dir := t.TempDir()
			story := strings.NewReplacer("localhost:3000", net.addr, "localhost:3001", wall.addr).Replace(read(t, "testdata/library.mjs"))
			file := writeFile(t, dir, "library.mjs", story)
			writeFile(t, dir, "wsify.js", read(t, filepath.Join(root, "clients", "js", "wsify.js")))
			writeFile(t, dir, "page.html", loggingPage+`<script type="module" src="library.mjs"></script>`)
			f := &follower{in.name, in.start(t, dir, file)}
			s = libraryStory(t, f, s, net, flags)
			if in.streams {
				libraryBehindAWall(t, f, s, wall)
			}
		})
	}
}

// libraryStory is the first part of testdata/library.mjs. It returns the server that took the place of s.
func libraryStory(t *testing.T, f *follower, s *server, net *cable, flags []string) *server {
	t.Helper()
	for _, want := range []string{"token", "open 0", "joined string 0", "members 1", "past not asked", "refused bad_request", "ready"} {
		f.expect(t, want)
	}
	net.pull()
	f.publish(t, s, 2)
	f.publish(t, s, 3)
	net.plug()
	f.expectAmong(t, "open 0", "token", "closed 1006")
	f.expect(t, "news 2")
	f.expect(t, "news 3")

	kick(t, s, 4004)
	f.expect(t, "closed 4004")
	f.expect(t, "token")
	f.expect(t, "open 0")
	f.publish(t, s, 4)
	f.expect(t, "news 4")

	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	f.expect(t, "closed 1012")
	next := serveAt(t, s.addr, flags...)
	f.expectAmong(t, "open 0", "token", "closed 1006")
	f.expect(t, "gap") // of news and of old: the history was that of the process
	f.expect(t, "gap")
	f.publish(t, next, 5)
	f.expect(t, "news 5")
	kick(t, next, 4003)
	f.expect(t, "closed 4003")
	f.expect(t, "not published: closed")
	return next
}

// libraryBehindAWall is the second part.
func libraryBehindAWall(t *testing.T, f *follower, s *server, w *wall) {
	t.Helper()
	f.expect(t, "listens")
	f.expect(t, "not published: closed")
	f.publish(t, s, 6)
	f.expect(t, "news 6")
	w.open.Store(true)
	f.expect(t, "unblocked")
	f.publish(t, s, 7)
	f.expect(t, "news 7")
	f.publish(t, s, 8)
	f.expect(t, "news 8")
}

// kick closes the members of news, with a code.
func kick(t *testing.T, s *server, code int) {
	t.Helper()
	body := `{"channel":"news","code":` + strconv.Itoa(code) + `}`
	if status, answer := s.askAdmin("POST", "/kick", body); status != 200 || !strings.Contains(answer, `"here":1`) {
		t.Fatalf("kick: %d %s", status, answer)
	}
}

// wall is a proxy that lets no WebSocket through, until it is open.
type wall struct {
	addr string
	open atomic.Bool
}

func block(t *testing.T, to string) *wall {
	w := &wall{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to})
	proxy.FlushInterval = -1
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" && !w.open.Load() {
			http.Error(out, "no WebSockets here", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(out, r)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	w.addr = strings.TrimPrefix(server.URL, "http://")
	return w
}

// expectAmong waits for a line, and passes over others.
func (f *follower) expectAmong(t *testing.T, want string, others ...string) {
	t.Helper()
	got := f.line()
	for slices.Contains(others, got) {
		got = f.line()
	}
	if got != want {
		t.Fatalf("%s: got %q, want %q", f.name, got, want)
	}
}

// TestTheJavaScriptClientWaitsByCloseCode on WebSockets that do nothing, with the least and the most of chance.
func TestTheJavaScriptClientWaitsByCloseCode(t *testing.T) {
	endToEnd(t)
	dir := t.TempDir()
	writeFile(t, dir, "wsify.js", read(t, filepath.Join(root, "clients", "js", "wsify.js")))
	p := start(t, dir, nil, append(node(t), writeFile(t, dir, "wait.mjs", read(t, "testdata/wait.mjs")))...)
	for _, want := range []string{
		"1006: 0 to 1000, 0 to 2000, 0 to 4000, 0 to 8000, 0 to 16000, 0 to 30000, 0 to 30000",
		"1012: 0 to 1000, 0 to 1000, 0 to 1000, 0 to 1000, 0 to 1000, 0 to 1000, 0 to 1000",
		"1013: 5000 to 10000, 10000 to 20000, 15000 to 30000, 15000 to 30000, 15000 to 30000, 15000 to 30000, 15000 to 30000",
		"4001: 0 to 1000, 0 to 2000, 0 to 4000, 0 to 8000, 0 to 16000, 0 to 30000, 0 to 30000",
		"4004: 0 to 1000, 0 to 2000, 0 to 4000, 0 to 8000, 0 to 16000, 0 to 30000, 0 to 30000",
		"4029: 1000 to 2000, 2000 to 4000, 4000 to 8000, 8000 to 16000, 15000 to 30000, 15000 to 30000, 15000 to 30000",
		"1009: 0 to 1000, 0 to 2000, 0 to 4000, 0 to 8000, 0 to 16000, 0 to 30000, 0 to 30000",
		"4003: closed", "1002: closed", "1003: closed", "1007: closed",
		"after an answer: 1000", "after a stream: 1000", "joins since mine", "joins since next", "denied news",
	} {
		if got := p.line(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Its types are those of a program that uses all of it, and it has at most 200 lines.
func TestTheJavaScriptClientHasTypesAndIsSmall(t *testing.T) {
	endToEnd(t)
	source := read(t, filepath.Join(root, "clients", "js", "wsify.js"))
	if n := strings.Count(source, "\n"); n > 200 {
		t.Errorf("clients/js/wsify.js has %d lines, want at most 200", n)
	}
	deno := runtime(t, "deno")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "clients", "js"))); err != nil {
		t.Fatal(err)
	}
	good := `import { Wsify, WsifyError, type Message } from './wsify.js';
const client = new Wsify('ws://localhost:3000/ws', { token: async () => 't', onstate: (state, code) => console.log(state, code), sse: false });
const { position, recovered } = await client.join('news', { message: (m: Message) => console.log(m.content), gap: (at) => console.log(at), last: 1 });
const { members } = await client.publish('news', { a: 1 }, { echo: false });
await client.leave('news').catch((error: WsifyError) => console.log(error.code, position?.length, recovered, members));
await client.publish(undefined, new WsifyError('mine', 'an error'), { user: 'ann' });
client.close();
`
	for name, check := range map[string]struct {
		source string
		fails  bool
	}{"good.ts": {good, false}, "bad.ts": {good + "client.join(1);\n", true}} {
		out, err := run(t, dir, nil, deno, "check", writeFile(t, dir, name, check.source))
		if (err != nil) != check.fails {
			t.Errorf("deno check %s: %v\n%s", name, err, out)
		}
	}
}
