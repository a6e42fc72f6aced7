package session

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"wsify/internal/testtool"
)

// TestEveryRequestOfAConnectionIsJudgedAlike: an invalid request is refused both as the
// first on its connection and after others.
func TestEveryRequestOfAConnectionIsJudgedAlike(t *testing.T) {
	srv := start(t, Config{})
	const body = `{"channel":"c","content":1}`
	const headers = "Host: a\r\nContent-Type: application/json\r\n"
	post := func(line, headers string) string {
		return line + "\r\n" + headers + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
	}
	chunked := func(coding string) string {
		return "POST /broadcast HTTP/1.1\r\n" + headers + "Transfer-Encoding: " + coding + "\r\n\r\n1b\r\n" + body + "\r\n0\r\n\r\n"
	}
	for _, c := range []struct {
		name, request string
		want          int
	}{
		{"a good one", post("POST /broadcast HTTP/1.1", headers), 201},
		{"in chunks", chunked("chunked"), 201},
		{"the absolute form", post("POST http://a/broadcast HTTP/1.1", headers), 201},
		{"an empty line first", "\r\n" + post("POST /broadcast HTTP/1.1", headers), 201},
		{"not encoded", post("POST /broadcast HTTP/1.1", headers+"Content-Encoding: identity\r\n"), 201},
		{"two empty lines first", "\r\n\r\n" + post("POST /broadcast HTTP/1.1", headers), 400},
		{"the absolute form without a host", post("POST http:///broadcast HTTP/1.1", headers), 400},
		{"the absolute form of another path", post("POST http://a/broadcast/ HTTP/1.1", headers), 404},
		{"a path that normalizes to it", post("POST /x/../broadcast HTTP/1.1", headers), 404},
		{"HTTP/1.9", post("POST /broadcast HTTP/1.9", headers), 505},
		{"bare LF", strings.ReplaceAll(post("POST /broadcast HTTP/1.1", headers), "json\r\n", "json\n"), 400},
		{"a folded value", post("POST /broadcast HTTP/1.1", headers+"X: a\r\n b\r\n"), 400},
		{"two Hosts", post("POST /broadcast HTTP/1.1", headers+"Host: b\r\n"), 400},
		{"two Origins", post("POST /broadcast HTTP/1.1", headers+"Origin: http://a\r\nOrigin: http://b\r\n"), 400},
		{"a length beside chunks", strings.Replace(chunked("chunked"), "\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n", 1), 400},
		{"the coding identity", chunked("identity"), 501},
		{"a bad chunk", strings.Replace(chunked("chunked"), "1b", "1b ", 1), 400},
		{"an encoding", post("POST /broadcast HTTP/1.1", headers+"Content-Encoding: gzip\r\n"), 415},
		{"two types", post("POST /broadcast HTTP/1.1", headers+"Content-Type: application/json\r\n"), 201},
		{"two types, one another", post("POST /broadcast HTTP/1.1", headers+"Content-Type: text/plain\r\n"), 415},
		{"a joined type", post("POST /broadcast HTTP/1.1", "Host: a\r\nContent-Type: application/json; charset=utf-8 ,application/json\r\n"), 201},
		{"a joined type, one another", post("POST /broadcast HTTP/1.1", "Host: a\r\nContent-Type: application/json, text/plain\r\n"), 415},
		{"a joined type, one empty", post("POST /broadcast HTTP/1.1", "Host: a\r\nContent-Type: application/json,\r\n"), 415},
		{"a head over the limit", post("POST /broadcast HTTP/1.1", headers+"X: "+strings.Repeat("x", 16<<10)+"\r\n"), 431},
	} {
		for _, before := range []int{0, 1, 2} {
			p := dial(t, srv)
			for range before {
				p.write(post("POST /broadcast HTTP/1.1", headers))
				p.expectStatus(201)
			}
			p.write(c.request)
			res := p.response()
			if res.status != c.want || res.close != (c.want != 201) {
				t.Errorf("%s, after %d others: %+v, want %d", c.name, before, res, c.want)
			}
			if res.close {
				p.expectEnd()
			}
		}
	}
}

// TestHEADHasNoBody: an answer to HEAD has the headers of the answer to GET; RFC 9110,
// section 9.3.2.
func TestHEADHasNoBody(t *testing.T) {
	srv := start(t, Config{})
	for target, status := range map[string]string{"/ws": "426", "/broadcast": "405", "/": "404", "/broadcast?\x01": "400"} {
		p := dial(t, srv)
		p.write("HEAD " + target + " HTTP/1.1\r\nHost: a\r\n\r\n")
		_ = p.SetReadDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(p.r)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 "+status) || !strings.HasSuffix(string(got), "\r\n\r\n") ||
			strings.Contains(string(got), "Content-Length: 0") {
			t.Errorf("HEAD %s: %q, %v; want %s without a body", target, got, err, status)
		}
	}
}

// TestPersistence: the server keeps a connection if its client wants that, and announces it
// where HTTP requires that.
func TestPersistence(t *testing.T) {
	srv := start(t, Config{})
	for _, c := range []struct {
		version, header string
		kept            bool
		says            string
	}{
		{"HTTP/1.1", "X: y", true, ""},
		{"HTTP/1.1", "Connection: close", false, "close"},
		{"HTTP/1.0", "X: y", false, "close"},
		{"HTTP/1.0", "Connection: keep-alive", true, "keep-alive"},
	} {
		p := dial(t, srv)
		request := strings.Replace(postRequest("/broadcast", `{"channel":"c"}`, c.header), "HTTP/1.1", c.version, 1)
		p.write(request)
		if res := p.expectStatus(201); res.header.Get("Connection") != c.says && !(res.close && c.says == "close") || res.header.Get("Date") == "" {
			t.Errorf("%s, %s: %+v", c.version, c.header, res)
		}
		if c.kept {
			p.write(request)
			p.expectStatus(201)
		} else {
			p.expectEnd()
		}
	}
}

// dateLine is what differs between two answers to the same: the date, and the time of a retry.
var dateLine = regexp.MustCompile(`Date: [^\r]*\r\n|retry: \d*\n|Retry-After: \d\r\n`)

// FuzzRequests sends arbitrary bytes on one connection, whole and in two pieces that the
// server reads separately. The answers must be the same.
func FuzzRequests(f *testing.F) {
	srv := start(f, Config{MaxMessageSize: fuzzMax, HandshakeTimeout: time.Hour})
	post := postRequest("/broadcast", `{"channel":"c","content":1}`)
	chunks := "POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1b;x\r\n" + `{"channel":"c","content":1}` + "\r\n0\r\nA: b\r\n\r\n"
	for _, seed := range []string{
		post + chunks + "\r\n" + post, chunks + "OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\n" + post + "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
		post + "\r\n\r\n" + post, postRequest("/broadcast", "{") + post + "garbage", post + "POST /broadcast HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
		post + "GET /sse?channel=%61 HTTP/1.1\r\nHost: a\r\n\r\n" + post, "OPTIONS /sse HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\n\r\n" + post,
		postRequest("/broadcast", strings.Repeat(" ", fuzzMax+1)), post + upgradeHead("/ws") + final(opPing, "x"),
		"POST#/broadcast HTTP/1.1\r\n\r\n", "GET\r\n\r\n", "G@T / HTTP/1.1\n\r\n", "GET\r / HTTP/1.1\r\n\r\n",
	} {
		for _, cut := range []uint16{1, 4, 7, 60, 150, 200} {
			f.Add([]byte(seed), cut)
		}
	}
	f.Fuzz(func(t *testing.T, input []byte, cut uint16) {
		at := min(int(cut), len(input))
		whole, cutAt := answersTo(t, srv, string(input)), answersTo(t, srv, string(input[:at]), string(input[at:]))
		if whole != cutAt {
			t.Fatalf("the answer to %q is\n%q, cut at %d it is\n%q", input, whole, at, cutAt)
		}
	})
}

// answersTo returns the answers to the pieces, in order and without dates. It sends a
// piece when the server has read the one before, or has ended the connection.
func answersTo(t *testing.T, srv *Server, pieces ...string) string {
	t.Helper()
	p := dial(t, srv)
	defer p.Close()
	before, sent := srv.group.Stats().BytesReceived, 0
	for i, piece := range pieces {
		_ = p.tryWrite(piece)
		sent += len(piece)
		if i < len(pieces)-1 {
			testtool.Until(t, "a piece is read", func() bool {
				return srv.group.Stats().BytesReceived >= before+uint64(sent) || sessionsIn(t, srv, ending) > 0
			})
		}
	}
	p.closeWrite()
	_ = p.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(p.r)
	if err != nil && !isEnd(err) {
		t.Fatal(err)
	}
	return dateLine.ReplaceAllString(string(got), "")
}
