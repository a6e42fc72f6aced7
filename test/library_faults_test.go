package test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// beside puts a module of testdata beside clients/js/wsify.js, with addr as its server. It returns its directory.
func beside(t *testing.T, name, addr string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, name, strings.ReplaceAll(read(t, filepath.Join("testdata", name)), "ws://localhost:3000", "ws://"+addr))
	writeFile(t, dir, "wsify.js", read(t, filepath.Join(root, "clients", "js", "wsify.js")))
	return dir
}

// A message is too large, a function of the user fails, a channel is joined twice, a channel is left while the network is silent,
// something is published while it is away for long, and close is called when the connection ends.
func TestTheJavaScriptClientSurvivesWhatGoesWrong(t *testing.T) {
	endToEnd(t)
	s := serve(t, "-history-channels", "*")
	net := newCable(t, s.addr)
	dir := beside(t, "faults.mjs", net.addr)
	p := start(t, dir, nil, append(node(t), "--experimental-eventsource", "faults.mjs")...)
	f := &follower{"Node", p.line}
	tell := func() {
		if _, err := io.WriteString(p.in, "go on\n"); err != nil {
			t.Fatal(err)
		}
	}

	f.expect(t, "localhost:3000/ws does not begin with ws:, wss:, http: or https:")
	f.expect(t, "lost the connection ended before the answer: message over the size limit")
	f.expect(t, `joined {"members":0}`)
	f.publish(t, s, 1)
	f.expect(t, "first 1")
	f.expect(t, "error of mine")
	tell()
	f.expect(t, "joined again")

	net.fade()
	f.publish(t, s, 2)
	tell()
	f.expect(t, "left") // by the end of the connection
	f.expect(t, "second 2")

	net.pull()
	tell()
	f.expect(t, "away")
	tell()
	f.expect(t, "waits")
	net.plug()
	f.expect(t, "published")

	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	f.expect(t, "ends")
}

// Streams carry cookies. What comes to each of them is heard once, and one that is cut off before its
// first event misses nothing.
func TestTheJavaScriptClientListensWithoutWebSockets(t *testing.T) {
	need(t, "chromium", "chromium")
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question, _ := io.ReadAll(r.Body)
		if strings.Contains(string(question), `"connect"`) {
			if !strings.Contains(string(question), "who=ann") {
				w.WriteHeader(http.StatusForbidden)
			}
			w.Header().Set("X-Wsify-Join", "inbox")
		}
	}))
	t.Cleanup(hook.Close)
	s := serve(t, "-history-channels", "news,old", "-authorizer-url", hook.URL)
	net := newCable(t, s.addr)
	dir := beside(t, "stream.mjs", net.addr)
	writeFile(t, dir, "page.html", loggingPage+`<script type="module" src="stream.mjs"></script>`)
	f := &follower{"Chromium", logOf(t, openTab(t), servePages(t, dir)+"/page.html")}
	publish := func(channel, content string) {
		publish(t, s, `{"channel":"`+channel+`","content":`+content+`}`)
	}

	f.expect(t, "listens")
	net.pull()
	publish("news", "1")
	publish("old", "2")
	net.plug()
	both := []string{f.line(), f.line()}
	if got := strings.Join(both, ", "); got != "joined news 1, joined old 2" && got != "joined old 2, joined news 1" {
		t.Fatalf("got %s", got)
	}
	publish("inbox", "3")
	f.expect(t, "mine inbox 3")
	publish("news", "4")
	f.expect(t, "joined news 4")
	publish("old", "5")
	f.expect(t, "joined old 5")
}
