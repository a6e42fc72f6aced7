package server

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wsify/internal/redistest"
	"wsify/internal/testtool"
)

// fillUp connects until the server refuses.
func fillUp(t *testing.T, addr net.Addr) (open []client) {
	t.Helper()
	for {
		c, err := tryDial(addr)
		if err == nil {
			err = c.upgrade()
		}
		if err != nil {
			_ = c.Close()
			return open
		}
		t.Cleanup(func() { _ = c.Close() })
		open = append(open, c)
		if len(open) > 1000 {
			t.Fatal("1000 connections with fewer descriptors")
		}
	}
}

// Without descriptors, new connections are refused at once and open ones go on. When some of them
// end, new ones are accepted (EMFILE in accept(2)).
func TestWithoutDescriptorsOpenConnectionsGoOn(t *testing.T) {
	const descriptors = 96
	srv := startLimited(t, limits{Descriptors: descriptors})
	addr := srv.addr
	open := fillUp(t, addr)
	if len(open) < descriptors/2 {
		t.Fatalf("%d connections with %d descriptors: %s", len(open), descriptors, srv.log())
	}
	for round := range 3 {
		for range 50 {
			if c, err := tryDial(addr); err == nil {
				if err := c.upgrade(); err == nil {
					t.Fatal("a connection without a descriptor")
				}
				_ = c.Close()
			}
		}
		for i, c := range open {
			if err := c.roundTrip("c" + strconv.Itoa(i)); err != nil {
				t.Fatalf("round %d, connection %d: %v", round, i, err)
			}
		}
	}
	if log := srv.log(); !strings.Contains(log, "no descriptor for a new connection") {
		t.Errorf("the log does not say so: %s", log)
	}
	const freed = 10
	for _, c := range open[:freed] {
		_ = c.Close()
	}
	for n := 0; n < freed; {
		testtool.Until(t, "a place for a new connection", func() bool {
			c, err := tryDial(addr)
			if err != nil {
				return false
			}
			if c.upgrade() != nil {
				_ = c.Close()
				return false
			}
			open[n] = c
			return true
		})
		if err := open[n].roundTrip("new"); err != nil {
			t.Fatal(err)
		}
		n++
	}
}

// Clients that reconnect all the time leave the descriptors that the server needs for itself: a
// join succeeds that needs a new connection to the authorizer.
func TestReconnectingClientsDoNotTakeTheAuthorizersDescriptors(t *testing.T) {
	t.Parallel()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	t.Cleanup(hook.Close)
	addr := startLimited(t, limits{Descriptors: 64, Authorizer: hook.URL}).addr
	open := fillUp(t, addr)
	reconnecting(t, addr)
	for i := range 50 {
		if err := open[i%len(open)].roundTrip("c" + strconv.Itoa(i)); err != nil {
			t.Fatalf("join %d: %v", i, err)
		}
	}
}

// reconnecting tries to connect until the test ends, and keeps the connections that succeed.
func reconnecting(t *testing.T, addr net.Addr) {
	stop := make(chan struct{})
	var dialing sync.WaitGroup
	for range 8 {
		dialing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c, err := net.Dial("tcp", addr.String()); err == nil {
					_, _ = io.Copy(io.Discard, c) // until the server refuses it
					_ = c.Close()
				}
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		dialing.Wait()
	})
}

// The link to the engine is opened again although clients take each descriptor that they can. The
// admin pages answer meanwhile.
func TestReconnectingClientsDoNotTakeTheEnginesDescriptors(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	srv := startLimited(t, limits{Descriptors: 96, Redis: redis.DSN()})
	open := fillUp(t, srv.addr)
	reconnecting(t, srv.addr)
	down := func() bool {
		if got := askAdminAt(t, srv.admin, "GET", "/healthz"); got.status != 200 {
			t.Fatalf("GET /healthz: %d %q, want 200", got.status, got.body)
		}
		return strings.Contains(askAdminAt(t, srv.admin, "GET", "/readyz").body, "the broker is down")
	}
	for round := range 3 {
		redis.Stop()
		testtool.Until(t, "the engine is missed", down)
		redis.Restart()
		testtool.Until(t, "the engine is back", func() bool { return !down() })
		if err := open[round].roundTrip("c" + strconv.Itoa(round)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// An open client is not disconnected because this process has no descriptor to call the authorizer,
// however long that lasts. Neither are those behind it in the queue.
func TestNoOpenClientEndsForWantOfADescriptor(t *testing.T) {
	t.Parallel()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	t.Cleanup(hook.Close)
	srv := startLimited(t, limits{Descriptors: 64, Authorizer: hook.URL, Timeout: time.Second, Workers: 1})
	testtool.Until(t, "the look at the authorizer is over", func() bool { return strings.Contains(srv.log(), " reached") })
	var open []client
	for range 5 {
		c, err := tryDial(srv.addr)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			err = c.upgrade()
		}
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	srv.hoard()
	results := make(chan error, len(open))
	for i, c := range open {
		go func() { results <- c.roundTrip("c" + strconv.Itoa(i)) }()
	}
	testtool.Until(t, "calls fail", func() bool { return strings.Count(srv.log(), "authorizer no_descriptor") >= 3 })
	srv.hoard()
	for range open {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if log := srv.log(); strings.Contains(log, "the authorizer is down") || !strings.Contains(log, "no descriptor for a question") {
		t.Errorf("the log blames the authorizer, or does not say what was short: %s", log)
	}
}

// A second server on the port reports one line, and the first is not affected.
func TestASecondServerOnThePortIsAnError(t *testing.T) {
	first := start(t, Config{})
	p := connect(t, first.Addr())
	addr := first.Addr().String()
	second, err := Start(Config{ListenAddrs: []string{addr}, Loops: 2})
	if err == nil {
		_ = second.Shutdown()
		t.Fatal("two servers listen on one port")
	}
	if got := err.Error(); !strings.Contains(got, addr) || !strings.Contains(got, "address already in use") || strings.Contains(got, "\n") {
		t.Errorf("error %q, want one line with %s and what is wrong", got, addr)
	}
	p.usable(t)
}
