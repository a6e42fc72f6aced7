package swarm

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// serve runs a WebSocket server for one test, which answers each connection as handle says.
func serve(t *testing.T, handle func(c net.Conn)) Target {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); handle(c) }()
		}
	}()
	return Target{Addr: ln.Addr().String(), Host: "localhost"}
}

// echo upgrades, confirms joins, and gives back what is broadcast, a byte at a time.
func echo(c net.Conn) {
	if _, err := ws.Upgrade(c); err != nil {
		return
	}
	for {
		h, err := ws.ReadHeader(c)
		if err != nil {
			return
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(c, payload); err != nil {
			return
		}
		ws.Cipher(payload, h.Mask, 0)
		answer := []byte(`{"id":1,"ok":true}`)
		if _, content, ok := bytes.Cut(payload, []byte(`"content":`)); ok {
			answer = content[:len(content)-2]
		}
		for _, b := range ws.MustCompileFrame(ws.NewTextFrame(answer)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
		}
	}
}

func newSwarm(t *testing.T) *Swarm {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestMessagesInPiecesComeBackExactlyOnce(t *testing.T) {
	s := newSwarm(t)
	if o := opened(s, Plan{Group: "g", Target: serve(t, echo), N: 5, Channel: "own", Own: true, Joins: 2}); o.Open != 5 || o.Failed > 0 {
		t.Fatalf("%+v", o)
	}
	if h := talked(s, Talk{Group: "g", Count: 100, Size: 200}); h.Messages != 100 || h.Missing > 0 {
		t.Errorf("closed loop: %d messages, %d missing", h.Messages, h.Missing)
	}
	if h := talked(s, Talk{Group: "g", Seconds: 0.2, Rate: 200, Size: 50}); h.Messages < 20 || h.Missing > 0 {
		t.Errorf("at a rate: %d messages, %d missing", h.Messages, h.Missing)
	}
}

func TestARefusedClientComesAgainWhenRetryAfterIsOver(t *testing.T) {
	var tries atomic.Int32
	target := serve(t, func(c net.Conn) {
		if tries.Add(1) <= 3 {
			_, _ = c.Read(make([]byte, 1024))
			_, _ = fmt.Fprint(c, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
			return
		}
		echo(c)
	})
	s := newSwarm(t)
	if o := opened(s, Plan{Group: "g", Target: target, N: 2, Window: 1, Retry: true}); o.Open != 2 || o.Retries != 3 {
		t.Errorf("%+v", o)
	}
	if o := opened(s, Plan{Group: "h", Target: target, N: 1}); o.Open != 1 {
		t.Errorf("%+v", o)
	}
}

func TestWhatFailsIsSaid(t *testing.T) {
	s := newSwarm(t)
	for want, handle := range map[string]func(c net.Conn){
		"status 404": func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1024))
			_, _ = io.WriteString(c, "HTTP/1.1 404 Not Found\r\n\r\n")
		},
		"before it was open": func(c net.Conn) { _, _ = c.Read(make([]byte, 10)) },
		"join: ": func(c net.Conn) {
			if _, err := ws.Upgrade(c); err == nil {
				_ = ws.WriteFrame(c, ws.NewTextFrame([]byte(`{"id":1,"ok":false}`)))
				_, _ = io.Copy(io.Discard, c)
			}
		},
	} {
		o := opened(s, Plan{Group: want, Target: serve(t, handle), N: 1, Channel: "c", Joins: 1})
		if o.Failed != 1 || !strings.Contains(o.Error, want) {
			t.Errorf("%+v, want %q", o, want)
		}
	}
}

// The certificate is from nobody, and for another name.
func TestMessagesGoThroughTLSWhoseCertificateIsNotVerified(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	target := serve(t, func(c net.Conn) { echo(tls.Server(c, web.TLS)) })
	target.TLS, target.Host = true, "another.example:443"
	s := newSwarm(t)
	if o := opened(s, Plan{Group: "g", Target: target, N: 3, Channel: "own", Own: true, Joins: 1}); o.Open != 3 {
		t.Fatalf("%+v", o)
	}
	if h := talked(s, Talk{Group: "g", Count: 30}); h.Messages != 30 || h.Missing+h.Doubles > 0 {
		t.Errorf("%+v", h)
	}
}

func TestWhatIsWrongWithTLSIsSaid(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close() // nothing listens there
	for want, target := range map[string]Target{
		"does not look like a TLS handshake": serve(t, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }),
		"connection refused":                 {Addr: ln.Addr().String(), Host: "localhost"},
	} {
		target.TLS = true
		if o := opened(newSwarm(t), Plan{Group: "g", Target: target, N: 2}); o.Failed != 2 || !strings.HasPrefix(o.Error, "TLS: ") || !strings.Contains(o.Error, want) {
			t.Errorf("%+v, want %q", o, want)
		}
	}
}

func TestANameThatDoesNotExistIsSaid(t *testing.T) {
	var o Opened
	err := newSwarm(t).Open(Plan{Group: "g", Target: Target{Addr: "no name:80", Host: "no name"}, N: 1}, &o)
	if err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("%v", err)
	}
}

func TestWhatMakesNoProgressIsGivenUp(t *testing.T) {
	s := newSwarm(t)
	o := opened(s, Plan{Group: "g", Target: serve(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), N: 3, Patience: 0.01})
	if o.Failed != 3 || !strings.Contains(o.Error, "no connection has opened for 10ms, and one waits for the answer to its upgrade") {
		t.Errorf("%+v", o)
	}
}

// A worker may have no part of a small group.
func TestAGroupOfNoConnectionsIsOpenAtOnce(t *testing.T) {
	if o := opened(newSwarm(t), Plan{Group: "g", Patience: time.Hour.Seconds()}); o.Open+o.Failed != 0 || o.Error != "" {
		t.Errorf("%+v", o)
	}
}

func TestAServersCloseIsCounted(t *testing.T) {
	closing := make(chan struct{})
	target := serve(t, func(c net.Conn) {
		if _, err := ws.Upgrade(c); err == nil {
			<-closing
			_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(1012, "")))
			_, _ = io.Copy(io.Discard, c)
		}
	})
	s := newSwarm(t)
	opened(s, Plan{Group: "g", Target: target, N: 4})
	ends(s, true)
	close(closing)
	for {
		if e := ends(s, false); e.Open == 0 {
			if e.Codes[1012] != 4 || len(e.Seconds) != 4 {
				t.Errorf("%+v", e)
			}
			return
		}
	}
}

func TestAnyCutOfAStreamGivesTheSameFrames(t *testing.T) {
	var stream []byte
	for _, size := range []int{0, 5, 125, 126, 70_000} {
		stream = append(stream, ws.MustCompileFrame(ws.NewTextFrame(bytes.Repeat([]byte("x"), size)))...)
	}
	for cut := 1; cut < len(stream); cut += 997 {
		var sizes []int
		var in []byte
		for _, part := range [][]byte{stream[:cut], stream[cut:]} {
			in = append(in, part...)
			for {
				_, payload, n := nextFrame(in)
				if n == 0 {
					break
				}
				sizes = append(sizes, len(payload))
				in = in[n:]
			}
		}
		if fmt.Sprint(sizes) != "[0 5 125 126 70000]" || len(in) > 0 {
			t.Fatalf("cut at %d: %v", cut, sizes)
		}
	}
}

func opened(s *Swarm, p Plan) (o Opened) { _ = s.Open(p, &o); return o }

func talked(s *Swarm, t Talk) (h Heard) { _ = s.Talk(t, &h); return h }

func ends(s *Swarm, begin bool) Ends {
	var h Heard
	_ = s.Heard(Args{Group: "g"}, &h)
	if begin {
		_ = s.Watch(Args{Group: "g"}, nil)
	}
	return h.Ends
}

func TestAwaitReturnsWhenEveryMemberHasHeard(t *testing.T) {
	s := newSwarm(t)
	if o := opened(s, Plan{Group: "g", Target: serve(t, echo), N: 2, Channel: "own", Own: true, Joins: 1}); o.Open != 2 {
		t.Fatalf("%+v", o)
	}
	if err := s.Await(Args{Group: "nobody", Seconds: 30}, nil); err != nil {
		t.Errorf("without members: %v", err)
	}
	_ = s.Watch(Args{Group: "g", Count: 2, Members: 2}, nil)
	early := make(chan error, 1)
	go func() { early <- s.Await(Args{Group: "g", Seconds: 30}, nil) }()
	talked(s, Talk{Group: "g", Count: 2}) // each hears number 0
	if err := errors.Join(<-early, s.Await(Args{Group: "g", Seconds: 30}, nil)); err != nil {
		t.Errorf("number 0 was heard: %v", err)
	}
	for _, n := range []uint32{1, 100} {
		if err := s.Await(Args{Group: "g", First: n, Seconds: 0.01}, nil); err == nil || !strings.Contains(err.Error(), "not every member has heard publication") {
			t.Errorf("number %d was never said: %v", n, err)
		}
	}
}

func TestAnswersOfRequestsMayBeChunked(t *testing.T) {
	for _, body := range []string{"0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"} {
		target := serve(t, func(c net.Conn) {
			for in := bufio.NewReader(c); ; {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				for _, b := range []byte("HTTP/1.1 201 Created\r\nTransfer-Encoding: Chunked\r\n\r\n" + body) {
					_, _ = c.Write([]byte{b})
				}
			}
		})
		s := newSwarm(t)
		if o := opened(s, Plan{Group: "g", Target: target, N: 1, HTTP: true}); o.Open != 1 {
			t.Fatalf("%+v", o)
		}
		if h := talked(s, Talk{Group: "g", Channel: "c", Count: 10}); h.Messages != 10 || h.Refused+h.Missing > 0 {
			t.Errorf("%q: %+v", body, h)
		}
	}
}

func TestCallsEndWithTheSwarm(t *testing.T) {
	s := newSwarm(t)
	met := make(chan struct{})
	target := serve(t, func(c net.Conn) { met <- struct{}{}; _, _ = io.Copy(io.Discard, c) })
	var all sync.WaitGroup
	all.Go(func() { opened(s, Plan{Group: "g", Target: target, N: 1}) })
	<-met
	s.Close()
	all.Wait()
	opened(s, Plan{Group: "h", Target: target, N: 1}) // also later ones
	s.Close()
}
