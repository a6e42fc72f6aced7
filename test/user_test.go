package test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// A user with 10,000 connections hears what is published to it on each of them, once, and a kick ends all. Somebody else's stays.
func TestAUserWithManyConnections(t *testing.T) {
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Wsify-User", "ann")
		if r.Header.Get("X-Wsify-Query") == "bob" {
			w.Header().Set("X-Wsify-User", "bob")
		}
	}))
	defer hook.Close()
	s := serve(t, "-authorizer-url", hook.URL, "-authorizer-events", "connect", "-admin-addr", "127.0.0.1:0", "-admin-key", "dev")
	bob := dialGo(t, s.ws()+"?bob")
	bob.expect("open")
	var heard, kicked atomic.Int64
	size := crowdSize(t)
	conns := make([]io.Closer, size)
	var dialing, reading sync.WaitGroup
	for first := range crowdDialers {
		dialing.Go(func() {
			dialer := ws.Dialer{ReadBufferSize: 512, WriteBufferSize: 256, Timeout: patience}
			for i := first; i < size && !t.Failed(); i += crowdDialers {
				conn, early, _, err := dialer.Dial(t.Context(), s.ws())
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				if conns[i] = conn; early == nil {
					early = bufio.NewReaderSize(conn, 512)
				}
				reading.Go(func() {
					for {
						op, payload, err := readFrame(early)
						switch {
						case err != nil:
							return
						case op == ws.OpText && string(payload) == `"to ann"`:
							heard.Add(1)
						case op == ws.OpClose && string(payload) == "\x0f\xa3bye":
							kicked.Add(1)
							_ = conn.Close()
						}
					}
				})
			}
		})
	}
	dialing.Wait()
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
		reading.Wait()
	}()
	if t.Failed() {
		return
	}
	answer, err := http.Post(s.http()+"/broadcast", "application/json", strings.NewReader(`{"user":"ann","content":"to ann"}`))
	if err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("POST /broadcast: %v, %v", answer, err)
	}
	_ = answer.Body.Close()
	s.await("every connection to hear it", func() bool { return heard.Load() == int64(size) })
	want := fmt.Sprintf(`{"here":%d,"nodes":"none"}`, size)
	if status, answer := s.askAdmin("POST", "/kick", `{"user":"ann","reason":"bye"}`); status != http.StatusOK || answer != want {
		t.Errorf("POST /kick: %d %s, want %s", status, answer, want)
	}
	s.await("every connection to be kicked", func() bool { return kicked.Load() == int64(size) })
	bob.join("c")
	if n := heard.Load(); n != int64(size) {
		t.Errorf("%d messages were heard by %d connections", n, size)
	}
}
