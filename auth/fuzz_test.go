package auth

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/valyala/fasthttp"
)

// reading is a connection that only reads.
type reading struct {
	net.Conn
	from io.Reader
}

func (r reading) Read(p []byte) (int, error) { return r.from.Read(p) }

// Whatever a webhook sends: nothing panics, only a 200 allows, and the decision does not depend on
// how the bytes were split.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"", yes, head("100 Continue") + yes, head("204 No Content"), "HTTP/1.0 200 OK\r\n\r\nbody",
		head("200 OK", "Transfer-Encoding: chunked") + "2\r\nok\r\n0\r\nA: b\r\n\r\n",
		head("200 OK", "Content-Length: 99999"), head("503 Down", "Content-Length: 3") + "abc",
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "\r\n\r\n" + yes, "SSH-2.0-x\r\n",
	} {
		f.Add([]byte(seed))
	}
	host := &fasthttp.HostClient{MaxResponseBodySize: 64, ReadBufferSize: maxHeadSize, SecureErrorLogMessage: true}
	decide := func(r io.Reader) (Decision, bool) {
		var resp fasthttp.Response
		l := &link{Conn: reading{from: r}, dialer: new(dialer)}
		if _, err := l.receive(host, &resp, time.Time{}); err != nil {
			return Down, false
		}
		d, _ := judge(resp.StatusCode())
		return d, true
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		whole, ok := decide(bytes.NewReader(answer))
		if whole == Allow && !strings.Contains(string(answer), " 200") {
			t.Errorf("%q is taken for a yes", answer)
		}
		if cut, okCut := decide(iotest.OneByteReader(bytes.NewReader(answer))); cut != whole || okCut != ok {
			t.Errorf("%q is %v (%v) in one piece and %v (%v) in many", answer, whole, ok, cut, okCut)
		}
	})
}
