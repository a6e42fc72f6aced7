package session

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"wsify/internal/publish"
	"wsify/internal/wire"
)

// fuzzMax is -max-message-size of the fuzzed servers: small, so that inputs exceed it.
const fuzzMax = 4 << 10

// probeOf connects a peer. After each input, its round trip shows that the server still
// works.
func probeOf(f *testing.F, srv *Server) *peer {
	p := connect(f, srv, "/ws")
	p.join("probe")
	return p
}

func (p *peer) probe(t *testing.T) {
	t.Helper()
	p.t = t
	p.broadcast("probe", "1")
	p.expectText("1")
}

// FuzzSession sends arbitrary bytes after a valid upgrade and ends its side. The server
// must answer with the control frames that a Reader on the same bytes requires, and end
// the stream.
func FuzzSession(f *testing.F) {
	srv := start(f, Config{MaxMessageSize: fuzzMax, PingInterval: -1})
	probe := probeOf(f, srv)
	f.Add([]byte(sessionOfAllKinds()))
	for _, group := range [][]conformanceCase{
		pingCases(), reservedBitCases(), opcodeCases(), fragmentCases(), utf8Cases(), failFastCases(), closeCases(),
	} {
		for _, tc := range group {
			var all []byte
			for _, s := range tc.steps {
				all = append(all, s.bytes...)
			}
			if len(all) < 2*fuzzMax {
				f.Add(all)
			}
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		p := connect(t, srv, "/ws")
		defer p.Close()
		want := controlAnswers(input)
		p.write(string(input))
		p.closeWrite()
		if got := p.controlFrames(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("the answer to %q is\n%q, want\n%q", input, got, want)
		}
		probe.probe(t)
	})
}

// controlFrames reads to the end of the stream and returns its control frames, with
// only the code of Close frames. Every text must be JSON.
func (p *peer) controlFrames() (got []string) {
	p.t.Helper()
	for {
		f, err := p.next()
		switch {
		case err == io.EOF:
			return got
		case err != nil:
			p.t.Fatalf("after %q: %v", got, err)
		case f.op == opText:
			if !json.Valid([]byte(f.payload)) {
				p.t.Fatalf("got %v, want JSON", f)
			}
		case f.op == opClose:
			got = append(got, closeLine(closeCode(f)))
		default:
			got = append(got, f.String())
		}
	}
}

func closeLine(code int) string {
	return frame{true, opClose, string([]byte{byte(code >> 8), byte(code)})}.String()
}

// controlAnswers returns the control frames that must answer a client's bytes.
func controlAnswers(input []byte) (want []string) {
	p := bytes.Clone(input) // the Reader unmasks in place
	var r wire.Reader
	defer r.Release()
	for {
		ev, n, ok, err := r.Next(p, fuzzMax)
		p = p[n:]
		switch {
		case err != nil:
			return append(want, closeLine(int(err.(*wire.ProtocolError).Code)))
		case !ok:
			return want
		case ev.Op == ws.OpPing:
			want = append(want, frame{true, opPong, string(ev.Payload)}.String())
		case ev.Op == ws.OpBinary && !(utf8.Valid(ev.Payload) && json.Valid(ev.Payload)):
			return append(want, closeLine(1003))
		case ev.Op == ws.OpClose:
			code, _, _ := wire.ParseClose(ev.Payload)
			if code == wire.NoStatus {
				code = 0
			}
			return append(want, closeLine(int(code)))
		}
	}
}

// FuzzRequest sends arbitrary bytes on a new connection and ends its side. The server
// must answer a head that is complete, too large or invalid, and no other. The stream
// must end in each case.
func FuzzRequest(f *testing.F) {
	srv := start(f, Config{MaxMessageSize: fuzzMax, HandshakeTimeout: time.Hour})
	probe := probeOf(f, srv)
	post := postRequest("/broadcast", `{"channel":"c","content":1}`)
	for _, seed := range []string{
		"", "\r\n\r\n", clientHello, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", strings.Repeat("x", 17<<10),
		upgradeHead("/ws"), upgradeHead("/ws?a=b", "Origin: https://a.example") + message(`{"command":"join","args":{"channel":"a"},"id":1}`),
		post, post + post, post + upgradeHead("/ws") + final(opPing, "x"), post[:len(post)-3],
		postRequest("/broadcast?key=k", `{"channel":"c","args":{"content":1}}`, "Expect: 100-continue"),
		"POST /broadcast HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n" + `{"channel":"c","content":1}` + "\r\n0\r\n\r\n",
		"OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\n", "GET /sse?channel=a HTTP/1.0\r\n\r\n" + post, "GET / HTTP/1.0\r\n\r\n", "HEAD http://a/ws HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		p := dial(t, srv)
		defer p.Close()
		p.write(string(input))
		p.closeWrite()
		_ = p.SetReadDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(p.r)
		if err != nil && !isEnd(err) {
			t.Fatalf("%q: %v after %q", input, err, got)
		}
		end := wire.HeadEnd(input, 0)
		complete := end > 0 || len(input) > 16<<10 || len(input) > 0 && wire.JudgeStart(input, 0) != nil
		if answered := bytes.HasPrefix(got, []byte("HTTP/1.1 ")); answered != (len(got) > 0) || len(got) > 0 && !complete || complete && !answered && !bodyFollows(input, end) {
			t.Fatalf("the answer to %q is %q", input, got)
		}
		probe.probe(t)
	})
}

// bodyFollows reports whether input has the head of a publication. The server does not
// answer it if the body is incomplete.
func bodyFollows(input []byte, end int) bool {
	if end == 0 || end > 16<<10 {
		return false
	}
	r, err := wire.ParseRequest(bytes.Clone(input[:end]))
	return err == nil && string(r.Path) == publish.Path && r.Length() != 0
}
