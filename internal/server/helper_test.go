package server

import (
	"bytes"
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wsify/netpoll"
)

// patience is how long a test waits for what must happen. It is reached only when
// the test fails, so it is far above what the slowest machine needs.
const patience = 20 * time.Second

// start runs a server on a free port of 127.0.0.1, unless cfg says otherwise, where
// everybody may publish unless it has a key, and ends it with the test. Connections made
// before are closed first, as clean-ups run in reverse; the end then finds whatever the
// server holds on to.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.BroadcastOpen = cfg.BroadcastingKey == ""
	return startAs(t, cfg)
}

// startAs is start without a word about who may publish.
func startAs(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.ListenAddr, cfg.Loops = cmp.Or(cfg.ListenAddr, "127.0.0.1:0"), cmp.Or(cfg.Loops, 2)
	srv, err := Start(cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.Shutdown(); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		st := srv.Stats()
		if st.Net.Connections != 0 || st.Net.QueuedBytes != 0 || st.Net.Panics != 0 || st.Channels != 0 || st.Subscriptions != 0 {
			t.Errorf("after the end: %d connections, %d queued bytes, %d panics, %d channels, %d subscriptions; want none",
				st.Net.Connections, st.Net.QueuedBytes, st.Net.Panics, st.Channels, st.Subscriptions)
		}
	})
	return srv
}

// startLogged is start with everything the server logs kept in the returned log.
func startLogged(t testing.TB, cfg Config) (*Server, *logBook) {
	t.Helper()
	book := &logBook{}
	cfg.Logger = book.logger()
	return start(t, cfg), book
}

// logBook keeps what is logged. It may be used from any goroutine.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// long marks a test that waits for seconds whatever the machine does. It runs beside
// others, and not with -short.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes long")
	}
	t.Parallel()
}

// waitFor asks again and again until what is true, and fails the test when it does
// not become so.
func waitFor(t testing.TB, what string, isTrue func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for limit := time.Now().Add(patience); !isTrue(); <-again.C {
		if time.Now().After(limit) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// settle returns when everything published before has been given to the kernel or
// to the members' queues.
func settle(t testing.TB, srv *Server) {
	t.Helper()
	for _, l := range srv.loops {
		waitFor(t, "the loops have delivered everything", func() bool {
			var pending bool
			onLoop(t, l, func() { pending = l.hub.Pending() })
			onLoop(t, l, func() { pending = pending || l.hub.Pending() }) // the turn of the first is over
			return !pending
		})
	}
}

// onLoop runs fn on the loop's goroutine and waits for it.
func onLoop(t testing.TB, l *loop, fn func()) {
	t.Helper()
	done := make(chan struct{})
	l.net.Post(func() {
		defer close(done)
		fn()
	})
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the loop does not answer")
	}
}

// holdLoop keeps a loop from doing anything until the returned function is called
// (more than once is fine), which also happens at the end of the test.
func holdLoop(t testing.TB, l *loop) (release func()) {
	t.Helper()
	held, gate := make(chan struct{}), make(chan struct{})
	l.net.Post(func() {
		close(held)
		<-gate
	})
	select {
	case <-held:
	case <-time.After(patience):
		t.Fatal("the loop does not answer")
	}
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	return release
}

// sessionsIn counts the sessions of all loops that are in this state.
func sessionsIn(t testing.TB, srv *Server, want state) int {
	t.Helper()
	n := 0
	for _, l := range srv.loops {
		onLoop(t, l, func() { n += l.countState(want) })
	}
	return n
}

// countState counts the sessions of a loop that are in this state. It runs on the
// loop.
func (l *loop) countState(want state) (n int) {
	l.net.Each(func(c *netpoll.Conn) {
		if s := l.session(c).state; s == want || s == pinged && want == open {
			n++
		}
	})
	return n
}

// post sends one POST on a connection of its own and returns the answer. A
// Content-Type is added unless headers hold one.
func post(t testing.TB, srv *Server, target, body string, headers ...string) response {
	t.Helper()
	p := dial(t, srv)
	defer p.Close()
	p.write(postRequest(target, body, headers...))
	return p.response()
}

// postRequest is a whole POST request.
func postRequest(target, body string, headers ...string) string {
	all := lines(headers)
	if !strings.Contains(strings.ToLower(all), "content-type:") {
		all += "Content-Type: application/json\r\n"
	}
	return "POST " + target + " HTTP/1.1\r\nHost: example.com\r\n" + all +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// publish publishes content, which is JSON, over HTTP and wants 201.
func publish(t testing.TB, srv *Server, channel, content string) {
	t.Helper()
	body := fmt.Sprintf(`{"channel":%q,"content":%s}`, channel, content)
	if res := post(t, srv, "/broadcast", body); res.status != http.StatusCreated || res.body != "" {
		t.Fatalf("POST /broadcast %s: %d %q, want 201 and an empty body", body, res.status, res.body)
	}
}

// rss is the resident memory of this process, in bytes.
func rss(t testing.TB) int64 {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
