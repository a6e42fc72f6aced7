package auth

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

func TestStatusDecides(t *testing.T) {
	tests := []struct {
		status int
		want   Decision
		result Result
	}{
		{200, Allow, ResultAllow},
		{201, Deny, ResultDeny},
		{202, Deny, ResultDeny},
		{204, Deny, ResultDeny},
		{206, Deny, ResultDeny},
		{300, Deny, ResultDeny},
		{304, Deny, ResultDeny},
		{400, Deny, ResultDeny},
		{401, Deny, ResultDeny},
		{403, Deny, ResultDeny},
		{404, Deny, ResultDeny},
		{429, Deny, ResultDeny},
		{499, Deny, ResultDeny},
		{500, Down, ResultStatus},
		{502, Down, ResultStatus},
		{503, Down, ResultStatus},
		{599, Down, ResultStatus},
		{600, Deny, ResultDeny},
		{999, Deny, ResultDeny},
	}
	for _, tt := range tests {
		t.Run(strconv.Itoa(tt.status), func(t *testing.T) {
			hook := newWebhook(t, status(tt.status))
			c := newClient(t, Config{URL: hook.URL})
			for range 3 { // the connection stays usable, whatever the status was
				wants(t, c, tt.want, tt.result)
			}
			if n := hook.conns.Load(); n != 1 {
				t.Errorf("%d connections were made for three answers, want 1", n)
			}
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		hook := newWebhook(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/yes" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/yes", code)
		})
		wants(t, newClient(t, Config{URL: hook.URL}), Deny, ResultDeny)
	}
}

func TestRawAnswers(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	tests := []struct {
		name, answer string
		want         Decision
		result       Result
	}{
		{"length", yes, Allow, ResultAllow},
		{"no body", head("200 OK", "Content-Length: 0"), Allow, ResultAllow},
		{"no reason phrase", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Allow, ResultAllow},
		{"chunked", head("200 OK", "Transfer-Encoding: chunked") + "2\r\nok\r\n0\r\n\r\n", Allow, ResultAllow},
		{"chunked with trailer", head("200 OK", "Transfer-Encoding: chunked") + "2\r\nok\r\n0\r\nA: b\r\n\r\n", Allow, ResultAllow},
		{"100 then 200", head("100 Continue") + yes, Allow, ResultAllow},
		{"103 then 403", head("103 Early Hints", "Link: </>") + head("403 Forbidden", "Content-Length: 0"), Deny, ResultDeny},
		{"101 is final", head("101 Switching Protocols", "Upgrade: x", "Connection: Upgrade"), Deny, ResultDeny},
		{"204 without length", head("204 No Content"), Deny, ResultDeny},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", Allow, ResultAllow},
		{"more behind the answer", yes + yes, Allow, ResultAllow},
		{"yes with 1 MB", head("200 OK", "Content-Length: 1048576") + large, Allow, ResultAllow},
		{"no with 1 MB", head("403 Forbidden", "Content-Length: 1048576") + large, Deny, ResultDeny},
		{"down with 1 MB", head("503 Service Unavailable", "Content-Length: 1048576") + large, Down, ResultStatus},
		{"yes with 1 MB in one chunk", head("200 OK", "Transfer-Encoding: chunked") + "100000\r\n" + large + "\r\n0\r\n\r\n", Allow, ResultAllow},
		{"yes with 1 MB until close", head("200 OK", "Connection: close") + large, Allow, ResultAllow},
		{"yes with an absurd length", head("200 OK", "Content-Length: 999999999999999"), Allow, ResultAllow},
		{"head of 8 KiB", head("200 OK", "Content-Length: 0", "X: "+large[:8<<10]), Allow, ResultAllow},
		{"head over 16 KiB", head("200 OK", "Content-Length: 0", "X: "+large[:17<<10]), Down, ResultMalformed},
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", Down, ResultMalformed},
		{"no status", "HTTP/1.1 OK\r\n\r\n", Down, ResultMalformed},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", Down, ResultMalformed},
		{"status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", Down, ResultMalformed},
		{"status 000", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", Down, ResultMalformed},
		{"100 then 000", head("100 Continue") + head("000 OK", "Content-Length: 0"), Down, ResultMalformed},
		{"status under 100", head("099 OK", "Content-Length: 0"), Down, ResultMalformed},
		{"spaces before the status", head("  200 OK", "Content-Length: 0"), Down, ResultMalformed},
		{"an empty line first", "\r\n" + yes, Down, ResultMalformed},
		{"HTTP/2 in words", "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", Down, ResultMalformed},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Down, ResultMalformed},
		{"bytes", "\x00\xff\x16\x03\x01\n\x00\n", Down, ResultMalformed},
		{"length is no number", head("200 OK", "Content-Length: two") + "ok", Down, ResultMalformed},
		{"two lengths", head("200 OK", "Content-Length: 2", "Content-Length: 3") + "ok", Down, ResultMalformed},
		{"unknown coding", head("200 OK", "Transfer-Encoding: rot13"), Down, ResultMalformed},
		{"chunk size is no number", head("200 OK", "Transfer-Encoding: chunked") + "zz\r\nok\r\n", Down, ResultMalformed},
		{"chunk size overflows", head("200 OK", "Transfer-Encoding: chunked") + "ffffffffffffffffff\r\nok\r\n", Down, ResultMalformed},
		{"chunk of another size", head("200 OK", "Transfer-Encoding: chunked") + "2\r\nokay\r\n", Down, ResultMalformed},
		{"100 without end", strings.Repeat(head("100 Continue"), 200), Down, ResultMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, answering(tt.answer))
			wants(t, newClient(t, Config{URL: p.URL}), tt.want, tt.result)
			if n := p.requests.Load(); n != 1 {
				t.Errorf("the question was sent %d times, want 1", n)
			}
		})
	}
}

func TestMalformedAnswerSaysWhatIsWrong(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\nContent-Length: 0\n\n":                                                    "ends in LF, not in CRLF",
		head("200 OK", "A: b\nContent-Length: 0"):                                                   "ends in LF, not in CRLF",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\n\n":                                                  "ends in LF, not in CRLF",
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n":                                             "an HTTP/1 status line",
		head("200 OK", "Content-Length: 0", "X: "+strings.Repeat("x", 20<<10)):                      "longer than 16 KiB",
		head("200 OK", "Content-Length: 2", "Content-Length: 2") + "ok":                             "more than one Content-Length",
		head("200 OK", "Content-Length: 2", "Transfer-Encoding: chunked") + "2\r\nok\r\n0\r\n\r\n":  "both Content-Length and",
		head("200 OK", "Transfer-Encoding: chunked", "content-length : 2") + "2\r\nok\r\n0\r\n\r\n": "both Content-Length and",
	} {
		p := newPeer(t, answering(answer))
		d, cause := newClient(t, Config{URL: p.URL}).Ask(join())
		if d != Down || ResultOf(d, cause) != ResultMalformed || !strings.Contains(cause.Error(), want) {
			t.Errorf("Ask = %v, %v, want down, malformed: %s", d, cause, want)
		}
	}
}

func TestHalfAnswerIsDown(t *testing.T) {
	halves := map[string]string{
		"nothing":               "",
		"a byte":                "H",
		"half a status line":    "HTTP/1.1 20",
		"half a head":           "HTTP/1.1 200 OK\r\nContent-Le",
		"100 and nothing":       head("100 Continue"),
		"half a body":           head("200 OK", "Content-Length: 10") + "half",
		"half a chunk":          head("200 OK", "Transfer-Encoding: chunked") + "5\r\nab",
		"chunks without an end": head("200 OK", "Transfer-Encoding: chunked") + "2\r\nok\r\n",
		"no end of the trailer": head("200 OK", "Transfer-Encoding: chunked") + "2\r\nok\r\n0\r\n",
	}
	for name, half := range halves {
		for end, hangUp := range map[string]func(*line){"FIN": func(*line) {}, "RST": (*line).reset} {
			t.Run(name+" then "+end, func(t *testing.T) {
				p := newPeer(t, func(l *line) {
					l.request()
					l.say(half)
					hangUp(l)
				})
				wants(t, newClient(t, Config{URL: p.URL}), Down, ResultReset)
				if n := p.requests.Load(); n != 1 {
					t.Errorf("the question was sent %d times, want 1: the connection was new", n)
				}
			})
		}
		t.Run(name+" then silence", func(t *testing.T) {
			p := newPeer(t, answering(half))
			wants(t, newClient(t, Config{URL: p.URL, Timeout: haste}), Down, ResultTimeout)
		})
	}
}

func TestAnswerUntilCloseIsWhole(t *testing.T) {
	p := newPeer(t, func(l *line) {
		l.request()
		l.say(head("200 OK") + "read me until the end")
		_ = l.CloseWrite()
		l.hang()
	})
	c := newClient(t, Config{URL: p.URL})
	wants(t, c, Allow, ResultAllow)
	wants(t, c, Allow, ResultAllow)
}

func TestTrickleIsDown(t *testing.T) {
	trickles := map[string]struct{ start, drop string }{
		"in the status":    {"HTTP/1.1 200 ", "O"},
		"in a header":      {"HTTP/1.1 200 OK\r\nX: ", "x"},
		"in the body":      {head("200 OK", "Content-Length: 10000"), "x"},
		"in chunks":        {head("200 OK", "Transfer-Encoding: chunked"), "1\r\nx\r\n"},
		"until close":      {head("200 OK"), "x"},
		"interim answers":  {"", head("100 Continue")},
		"in a yes at last": {head("200 OK", "Content-Length: 60000"), "x"},
	}
	for name, trickle := range trickles {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, func(l *line) {
				l.request()
				l.say(trickle.start)
				pace := time.NewTicker(haste / 20)
				defer pace.Stop()
				for {
					if _, err := l.Write([]byte(trickle.drop)); err != nil {
						return
					}
					select {
					case <-pace.C:
					case <-l.peer.closing:
						return
					}
				}
			})
			start := time.Now()
			wants(t, newClient(t, Config{URL: p.URL, Timeout: haste}), Down, ResultTimeout)
			if took := time.Since(start); took > patience {
				t.Errorf("the call took %s with a timeout of %s", took, haste)
			}
			testtool.Until(t, "the question has come", func() bool { return p.requests.Load() > 0 })
			if n := p.requests.Load(); n != 1 {
				t.Errorf("the question was sent %d times, want 1: a timeout is not tried again", n)
			}
		})
	}
}

func TestSlowReaderIsDown(t *testing.T) {
	p := newPeer(t, func(l *line) { <-l.peer.closing }) // never reads
	c := newClient(t, Config{URL: p.URL, Timeout: haste})
	d, cause := c.Ask(&Call{Body: make([]byte, 32<<20)}) // more than any socket buffer takes
	if d != Down || ResultOf(d, cause) != ResultTimeout {
		t.Errorf("Ask = %v, %v, want down by timeout", d, cause)
	}
}

func TestEarlyRefusalCounts(t *testing.T) {
	p := newPeer(t, func(l *line) {
		_, _ = l.in.ReadString('\n') // the rest is never read, so closing resets
		l.say(head("403 Forbidden", "Content-Length: 0"))
		_ = l.Close()
	})
	c := newClient(t, Config{URL: p.URL})
	d, cause := c.Ask(&Call{Body: make([]byte, 32<<20)})
	if d != Deny {
		t.Errorf("Ask = %v, %v, want the 403 that came before the hang-up", d, cause)
	}
}
