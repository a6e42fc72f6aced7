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

// fuzzMax is -max-message-size of the fuzzed servers: small, so that it is reached.
const fuzzMax = 4 << 10

// probeOf connects a peer whose round trip shows, after each input, that the server
// does its work.
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

// FuzzSession sends arbitrary bytes behind a good upgrade and ends its side. The
// control frames that answer have to be those that a Reader on the same bytes calls
// for, and the stream has to end.
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
			t.Fatalf("%q is answered by\n%q, want\n%q", input, got, want)
		}
		probe.probe(t)
	})
}

// controlFrames reads to the end of the stream and returns the control frames in it,
// Close frames by their code. Every text has to be JSON.
func (p *peer) controlFrames() (got []string) {
	p.t.Helper()
	for {
		f, err := p.next()
		switch {
		case err == io.EOF:
			return got
		case err != nil:
			p.t.Fatalf("behind %q: %v", got, err)
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

// controlAnswers is what a client's bytes have to be answered with.
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

// FuzzRequest sends arbitrary bytes as a new connection's first and ends its side.
// A head that is complete, too large or beyond hope is answered, one that is not is
// not; the stream has to end either way.
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
		"OPTIONS /broadcast HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "HEAD http://a/ws HTTP/1.1\r\nHost: a\r\n\r\n",
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
			t.Fatalf("%q: %v behind %q", input, err, got)
		}
		end := wire.HeadEnd(input, 0)
		complete := end > 0 || len(input) > 16<<10 || len(input) > 0 && wire.JudgeStart(input, 0) != nil
		if answered := bytes.HasPrefix(got, []byte("HTTP/1.1 ")); answered != (len(got) > 0) || len(got) > 0 && !complete || complete && !answered && !bodyFollows(input, end) {
			t.Fatalf("%q is answered by %q", input, got)
		}
		probe.probe(t)
	})
}

// bodyFollows reports whether a head is that of a publication, which is not answered
// when its body is cut.
func bodyFollows(input []byte, end int) bool {
	if end == 0 || end > 16<<10 {
		return false
	}
	r, err := wire.ParseRequest(bytes.Clone(input[:end]))
	return err == nil && string(r.Path) == publish.Path && r.Length() != 0
}
