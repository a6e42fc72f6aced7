package test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stream is a stream of events as an HTTP client gets it.
type stream struct {
	t     *testing.T
	lines chan string // those that are not empty
}

// follow asks for a stream and returns when it has the head and the first line.
func follow(t *testing.T, web *http.Client, url string, header http.Header) *stream {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	answer, err := web.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != 200 || kind != "text/event-stream" {
		body, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s: %s, %s, %s", url, answer.Status, kind, body)
	}
	s := &stream{t, make(chan string, 1000)}
	go func() {
		defer close(s.lines)
		scan := bufio.NewScanner(answer.Body)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			if scan.Text() != "" {
				s.lines <- scan.Text()
			}
		}
	}()
	if first := s.next(); !strings.HasPrefix(first, "retry: ") {
		t.Fatalf("the stream begins with %s, want retry", first)
	}
	return s
}

func (s *stream) next() string {
	s.t.Helper()
	select {
	case line, ok := <-s.lines:
		if !ok {
			return "nothing, ever"
		}
		return line
	case <-time.After(patience):
		return "nothing"
	}
}

// expect waits for the next line.
func (s *stream) expect(want string) {
	s.t.Helper()
	if got := s.next(); got != want {
		s.t.Fatalf("the stream got %.100s, want %.100s", got, want)
	}
}

// expectData waits for an event, among heartbeats.
func (s *stream) expectData(want string) {
	s.t.Helper()
	got := s.next()
	for ; got == ":"; got = s.next() {
	}
	if got != "data: "+want {
		s.t.Fatalf("the stream got %.100s, want %.100s", got, want)
	}
}

// expectClose waits for the end of a node, among heartbeats.
func (s *stream) expectClose() {
	s.t.Helper()
	got := s.next()
	for ; got == ":"; got = s.next() {
	}
	if !strings.HasPrefix(got, "retry: ") {
		s.t.Fatalf("the stream got %.100s, want retry", got)
	}
	s.expect("event: close")
	s.expect(`data: {"code":1012,"reason":"this node restarts, reconnect"}`)
	s.expect("nothing, ever")
}

// TestCurlFollowsAStream as docs/messages.md shows.
func TestCurlFollowsAStream(t *testing.T) {
	need(t, "curl", "curl")
	s := serve(t)
	c := console(readme(t, "sse"), s.addr)[0]
	curl := shell(t, scratch, nil, "exec "+strings.Replace(c.line, "curl ", "curl -sS --noproxy '*' ", 1))
	want := c.want
	for i, line := range want {
		if strings.HasPrefix(line, "data:") && i < 3 {
			publish(t, s, `{"channel":"news","content":{"text":"hello"}}`)
		}
		if got := curl.line(); !matches(line, got) {
			t.Errorf("curl prints %q, docs/messages.md shows %q", got, line)
		}
	}
	if len(want) < 3 {
		t.Fatalf("docs/messages.md shows %q", want)
	}
}

// TestAPageFollowsStreams in Chromium: it reconnects by itself to a server that takes the place
// of another one.
func TestAPageFollowsStreams(t *testing.T) {
	need(t, "chromium", "chromium")
	p := newPage(t, "")
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	serveAt := func() *server {
		s := &server{process: start(t, scratch, nil, program, "-listen-addr", addr, "-broadcast-open", "-allowed-origins", p.origin), addr: addr}
		t.Cleanup(s.endInOrder)
		s.awaitAddr()
		return s
	}
	s, strict := serveAt(), serve(t, "-allowed-origins", "https://example.com")
	p.open("/sse?" + url.Values{"sse": {s.http() + "/sse?channel=page&channel=%C3%BC"}, "strict": {strict.http() + "/sse?channel=page"}}.Encode())
	p.expect("refused for its origin", `"refused"`)
	p.expect("refused without a channel", `"refused"`)
	p.expect("open", `"open"`)
	publish(t, s, `{"channel":"ü","content":{"order":1.50}}`)
	p.expect("heard", `{"data":{"channel":"ü","content":{"order":1.5}},"lastEventId":""}`)
	publish(t, s, `{"channel":"page","content":"`+strings.Repeat("x", 20_000)+`"}`)
	p.expect("heard a long one", "20000")
	p.release()
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	p.expect("told to reconnect", `{"close":{"code":1012,"reason":"this node restarts, reconnect"}}`)
	s = serveAt()
	p.expect("open again", `"open"`)
	publish(t, s, `{"channel":"page","content":2}`)
	p.expect("heard the next server", `{"data":{"channel":"page","content":2},"lastEventId":""}`)
	p.expect("closed", "2")
}
