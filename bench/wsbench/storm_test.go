//go:build linux

package main

import (
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// shyServer refuses some before it lets them in: the first tries with a 503 that names
// no time, the next with one that says at once, the next with 1013 in answer to a join.
type shyServer struct {
	tries   atomic.Int64
	refused atomic.Int64
	joined  atomic.Int64
	each    int64 // tries refused in each of the three ways
}

func (s *shyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.tries.Add(1)
	if n <= 2*s.each {
		if n > s.each {
			w.Header().Set("Retry-After", "0")
		}
		s.refused.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := wsutil.ReadClientText(conn); err != nil {
		return
	}
	if n <= 3*s.each {
		s.refused.Add(1)
		wsutil.WriteServerText(conn, []byte(`{"id":1,"ok":false,"error":{"code":"authorizer_down"}}`))
		ws.WriteFrame(conn, ws.NewCloseFrame(ws.NewCloseFrameBody(tryAgainLater, "")))
		return
	}
	s.joined.Add(1)
	ws.WriteFrame(conn, ws.NewPingFrame(nil))
	wsutil.WriteServerText(conn, []byte(`{"id":1,"ok":true}`))
	wsutil.ReadClientText(conn) // until it goes
}

// serveHere serves a handler on a port of the loopback until the test ends.
func serveHere(t *testing.T, h http.Handler) (port int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: h}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func openTestDialer(t *testing.T, port, n int) *dialer {
	t.Helper()
	d, err := openDialer(target{port: port, dialect: wsifyDialect}, newSources(), n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func TestAStormTriesAgainUntilEverybodyHasJoined(t *testing.T) {
	s := &shyServer{each: 3}
	d := openTestDialer(t, serveHere(t, s), 10)
	start := time.Now()
	if err := d.run(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if d.joined != 10 || s.joined.Load() != 10 || d.joinedAfter.count() != 10 {
		t.Errorf("%d joined, the server counts %d, latencies %d; want 10", d.joined, s.joined.Load(), d.joinedAfter.count())
	}
	if d.refused != 9 || int64(d.refused) != s.refused.Load() || d.tries != 19 {
		t.Errorf("%d refused in %d tries, want 9 in 19", d.refused, d.tries)
	}
	if took := time.Since(start); took < stormPause {
		t.Errorf("it took %v, and a refusal that names no time costs at least %v", took, stormPause)
	}
	if d.joinedAfter.max() < micro(stormPause)/2 {
		t.Errorf("the longest took %v us: the first try counts, not the last", d.joinedAfter.max())
	}
}

func TestAStormSaysWhoWasNotLetInInTime(t *testing.T) {
	d := openTestDialer(t, serveHere(t, &shyServer{each: 1 << 40}), 3)
	if err := d.run(50 * time.Millisecond); err == nil {
		t.Error("run = nil although nobody joined")
	}
	d = openTestDialer(t, serveHere(t, http.NotFoundHandler()), 3)
	if err := d.run(10 * time.Second); err == nil {
		t.Error("run = nil although the upgrade was answered 404")
	}
}

func TestAPacedStormKeepsItsRate(t *testing.T) {
	d := openTestDialer(t, serveHere(t, new(shyServer)), 10)
	d.every = 5 * time.Millisecond
	start := time.Now()
	if err := d.run(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < 45*time.Millisecond {
		t.Errorf("10 connections at one every 5 ms took %v", took)
	}
}

func TestARefusalMayNameATime(t *testing.T) {
	for _, tt := range []struct {
		head string
		want time.Duration
	}{
		{"HTTP/1.1 503 Busy\r\nretry-after: 5\r\n\r\n", 5 * time.Second},
		{"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n", 0},
		{"HTTP/1.1 503 Busy\r\nRetry-After: soon\r\n\r\n", stormPause},
		{"HTTP/1.1 503 Busy\r\nRetry-After: -1\r\n\r\n", stormPause},
		{"HTTP/1.1 503 Busy\r\n\r\n", stormPause},
	} {
		if got := retryAfter([]byte(tt.head)); got != tt.want {
			t.Errorf("retryAfter(%q) = %v, want %v", tt.head, got, tt.want)
		}
	}
}

func TestAFullAcceptQueueIsReadFromNetstat(t *testing.T) {
	const text = "TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 1 14255 14256\nIpExt: InNoRoutes\nIpExt: 0\n"
	if got := parseOverflows([]byte(text)); got != 14255 {
		t.Errorf("parseOverflows = %d, want 14255", got)
	}
	if got := parseOverflows([]byte("TcpExt: Other\nTcpExt: 7\n")); got != 0 {
		t.Errorf("parseOverflows without the counter = %d, want 0", got)
	}
}

func TestAStormTriesAgainWhenTheKernelForgotAConnection(t *testing.T) {
	var tries atomic.Int64
	good := new(shyServer)
	d := openTestDialer(t, serveHere(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) > 2 {
			good.ServeHTTP(w, r)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	})), 3)
	if err := d.run(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if d.joined != 3 || d.resets != 2 || d.refused != 0 || d.tries != 5 {
		t.Errorf("%d joined after %d resets and %d refusals in %d tries, want 3, 2, 0 and 5", d.joined, d.resets, d.refused, d.tries)
	}
}
