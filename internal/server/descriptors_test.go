package server

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/redistest"
)

// childLimit is the environment variable that makes this test binary a server with
// so many descriptors.
const childLimit = "WSIFY_TEST_CHILD_DESCRIPTORS"

// What else the child is told. Empty means none, or the default.
const (
	childAuthorizer = "WSIFY_TEST_CHILD_AUTHORIZER" // a URL
	childTimeout    = "WSIFY_TEST_CHILD_TIMEOUT"    // of the authorizer, which one worker asks
	childRedis      = "WSIFY_TEST_CHILD_REDIS"      // a DSN
)

// TestServerInAProcessOfItsOwn is no test of its own: it is the server of those that
// need a process with other limits.
func TestServerInAProcessOfItsOwn(t *testing.T) {
	limit, err := strconv.ParseUint(os.Getenv(childLimit), 10, 32)
	if err != nil {
		t.Skip("it is started by other tests, with " + childLimit)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	cfg := Config{
		ListenAddr: "127.0.0.1:0", AdminAddr: "127.0.0.1:0", Loops: 2, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		AuthorizerURL: os.Getenv(childAuthorizer), AuthorizerEvents: []string{"join"},
	}
	if timeout := os.Getenv(childTimeout); timeout != "" {
		cfg.AuthorizerTimeout, err = time.ParseDuration(timeout)
		cfg.Workers = 1
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if dsn := os.Getenv(childRedis); dsn != "" {
		cfg.BrokerDriver, cfg.BrokerDSN = "redis", dsn
	}
	if err != nil {
		t.Fatal(err)
	}
	srv, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	hoard := make(chan os.Signal, 1)
	signal.Notify(hoard, syscall.SIGUSR1)
	for held := []int(nil); ; {
		select {
		case <-hoard:
			held = hoardDescriptors(held)
			cfg.Logger.Info("hoarding", "descriptors", len(held))
			continue
		case <-stop:
		}
		break
	}
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
}

// hoardDescriptors takes every descriptor that is left, or gives back those that are held.
func hoardDescriptors(held []int) []int {
	for _, fd := range held {
		_ = unix.Close(fd)
	}
	for len(held) == 0 {
		for {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return held
			}
			held = append(held, fd)
		}
	}
	return nil
}

// startLimited runs a server that has this many descriptors in all.
func startLimited(t *testing.T, descriptors int, env ...string) (*child, net.Addr) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerInAProcessOfItsOwn$")
	cmd.Env = append(append(os.Environ(), childLimit+"="+strconv.Itoa(descriptors)), env...)
	c := startChild(t, cmd)
	addr, err := net.ResolveTCPAddr("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	return c, addr
}

// fillUp connects until the server refuses.
func fillUp(t *testing.T, addr net.Addr) (open []rawClient) {
	t.Helper()
	for {
		c, err := dialRaw(addr, 1)
		if err == nil {
			err = c.upgrade()
		}
		if err != nil {
			c.close()
			return open
		}
		t.Cleanup(c.close)
		open = append(open, c)
		if len(open) > 1000 {
			t.Fatal("1000 connections with fewer descriptors")
		}
	}
}

// roundTrip publishes to itself.
func (c rawClient) roundTrip(channel string) error {
	args := `"args":{"channel":"` + channel + `","content":"` + channel + `"}}`
	if err := c.write(message(`{"command":"join",`+args) + message(`{"command":"broadcast",`+args)); err != nil {
		return err
	}
	_, err := c.readUntil(`"` + channel + `"`)
	return err
}

// Without descriptors new connections are refused at once; those that are open go on,
// and as some of them end, new ones get in (EMFILE in accept(2)).
func TestWithoutDescriptorsOpenConnectionsGoOn(t *testing.T) {
	const descriptors = 96
	srv, addr := startLimited(t, descriptors)
	open := fillUp(t, addr)
	if len(open) < descriptors/2 {
		t.Fatalf("%d connections with %d descriptors: %s", len(open), descriptors, &srv.log)
	}
	for round := range 3 {
		for range 50 {
			if c, err := dialRaw(addr, 1); err == nil {
				if err := c.upgrade(); err == nil {
					t.Fatal("a connection without a descriptor")
				}
				c.close()
			}
		}
		for i, c := range open {
			if err := c.roundTrip("c" + strconv.Itoa(i)); err != nil {
				t.Fatalf("round %d, connection %d: %v", round, i, err)
			}
		}
	}
	if !strings.Contains(srv.log.String(), "no descriptor for a new connection") {
		t.Errorf("the log does not say so: %s", &srv.log)
	}
	const freed = 10
	for _, c := range open[:freed] {
		c.reset()
	}
	for n := 0; n < freed; {
		waitFor(t, "a place for a new connection", func() bool {
			c, err := dialRaw(addr, 1)
			if err != nil {
				return false
			}
			if c.upgrade() != nil {
				c.close()
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

// Clients that knock on take no descriptor that the server needs for itself: a join is
// answered whose question needs a new link to the authorizer.
func TestClientsThatKnockOnDoNotTakeTheAuthorizersDescriptors(t *testing.T) {
	t.Parallel() // it waits for clocks
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	t.Cleanup(hook.Close)
	_, addr := startLimited(t, 64, childAuthorizer+"="+hook.URL)
	open := fillUp(t, addr)
	knock(t, addr)
	for i := range 50 {
		if err := open[i%len(open)].roundTrip("c" + strconv.Itoa(i)); err != nil {
			t.Fatalf("join %d: %v", i, err)
		}
	}
}

// knock tries to connect until the test ends, and holds what gets in.
func knock(t *testing.T, addr net.Addr) {
	stop := make(chan struct{})
	var knocking sync.WaitGroup
	for range 8 {
		knocking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c, err := net.Dial("tcp", addr.String()); err == nil {
					_, _ = io.Copy(io.Discard, c) // until it is refused
					_ = c.Close()
				}
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		knocking.Wait()
	})
}

// The link to the engine comes back although clients take each descriptor that they
// can, and the admin pages are answered meanwhile.
func TestClientsThatKnockOnDoNotTakeTheEnginesDescriptors(t *testing.T) {
	t.Parallel() // it waits for clocks
	redis := redistest.Start(t)
	srv, addr := startLimited(t, 96, childRedis+"="+redis.DSN())
	at := srv.adminAddr(t)
	open := fillUp(t, addr)
	knock(t, addr)
	down := func() bool {
		if got := askAdminAt(t, at, "GET", "/healthz"); got.status != 200 {
			t.Fatalf("GET /healthz: %d %q, want 200", got.status, got.body)
		}
		return strings.Contains(askAdminAt(t, at, "GET", "/readyz").body, "the broker is down")
	}
	for round := range 3 {
		redis.Stop()
		waitFor(t, "the engine is missed", down)
		redis.Restart()
		waitFor(t, "the engine is back", func() bool { return !down() })
		if err := open[round].roundTrip("c" + strconv.Itoa(round)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// An open client is not ended because this process has no descriptor to ask about it,
// however long that lasts, nor are those behind it in the queue.
func TestNoOpenClientEndsForWantOfADescriptor(t *testing.T) {
	t.Parallel() // it waits for clocks
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	t.Cleanup(hook.Close)
	srv, addr := startLimited(t, 64, childAuthorizer+"="+hook.URL, childTimeout+"=100ms")
	var open []rawClient
	for range 5 {
		c, err := dialRaw(addr, 1)
		if err == nil {
			t.Cleanup(c.close)
			err = c.upgrade()
		}
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	hoard := func(n int) {
		if err := srv.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the child hoards, or stops to", func() bool { return strings.Count(srv.log.String(), "msg=hoarding") == n })
	}
	hoard(1)
	results := make(chan error, len(open))
	for i, c := range open {
		go func() { results <- c.roundTrip("c" + strconv.Itoa(i)) }()
	}
	waitFor(t, "calls fail", func() bool { return strings.Count(srv.log.String(), "authorizer no_descriptor") >= 5 })
	hoard(2)
	for range open {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if log := srv.log.String(); strings.Contains(log, "the authorizer is down") || !strings.Contains(log, "no descriptor for a question") {
		t.Errorf("the log blames the authorizer, or does not say what was short: %s", log)
	}
}

// A second server on the port says so in one line, and the first does not notice.
func TestASecondServerOnThePortIsAnError(t *testing.T) {
	first := start(t, Config{})
	p := connect(t, first, "/ws")
	addr := first.Addr().String()
	second, err := Start(Config{ListenAddr: addr, Loops: 2})
	if err == nil {
		_ = second.Shutdown()
		t.Fatal("two servers listen on one port")
	}
	if got := err.Error(); !strings.Contains(got, addr) || !strings.Contains(got, "address already in use") || strings.Contains(got, "\n") {
		t.Errorf("error %q, want one line with %s and what is wrong", got, addr)
	}
	p.usable()
}
