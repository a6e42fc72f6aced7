package session

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"wsify/broker"
	"wsify/internal/logs"
	"wsify/internal/testtool"
	"wsify/netpoll"
)

const patience = testtool.Patience

// Config is the settings of a test. start fills in the rest.
type Config = Settings

// Server is a Node with the parts that package server adds.
type Server struct {
	*Node
	addr  net.Addr
	drain time.Duration
	once  sync.Once
}

func (srv *Server) Addr() net.Addr { return srv.addr }

func (srv *Server) Shutdown() (err error) {
	srv.once.Do(func() { _, err = srv.Node.Shutdown(srv.drain) })
	return err
}

// noTimes records no durations.
type noTimes struct{}

func (noTimes) Asked(time.Duration)  {}
func (noTimes) Lagged(time.Duration) {}
func (noTimes) Stamp([]byte) int64   { return 0 }
func (noTimes) Delivered(int64)      {}

// filled returns cfg with the defaults of the program.
func filled(cfg Config) Config {
	cfg.Loops, cfg.Shards, cfg.ListenMode = cmp.Or(cfg.Loops, 2), cmp.Or(cfg.Shards, 128), cmp.Or(cfg.ListenMode, 0o660)
	cfg.Workers, cfg.Queue = cmp.Or(cfg.Workers, 128), cmp.Or(cfg.Queue, 8192)
	cfg.Poller, cfg.MaxDescriptor = cmp.Or(cfg.Poller, "native"), cmp.Or(cfg.MaxDescriptor, 1<<20)
	cfg.AuthorizerCache = cmp.Or(cfg.AuthorizerCache, 10_000)
	cfg.AuthorizerTimeout = cmp.Or(cfg.AuthorizerTimeout, patience)
	if cfg.AuthorizerEvents == nil {
		cfg.AuthorizerEvents = eventList[:]
	}
	cfg.HandshakeTimeout, cfg.MaxHeadSize = cmp.Or(cfg.HandshakeTimeout, patience), cmp.Or(cfg.MaxHeadSize, 16<<10)
	cfg.PingInterval, cfg.PongTimeout = cmp.Or(cfg.PingInterval, time.Hour), cmp.Or(cfg.PongTimeout, 10*time.Second)
	cfg.MaxMessageSize, cfg.WriteQueueSize = cmp.Or(cfg.MaxMessageSize, 64<<10), cmp.Or(cfg.WriteQueueSize, 1<<20)
	cfg.MaxChannelsPerConnection, cfg.MaxChannelLength = cmp.Or(cfg.MaxChannelsPerConnection, 128), cmp.Or(cfg.MaxChannelLength, 255)
	if cfg.Broker == nil {
		cfg.Broker, _ = broker.MemoryDriver.Open(broker.Config{})
	}
	if cfg.Times == nil {
		cfg.Times = noTimes{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Faults = slog.New(logs.Seldom(cfg.Logger.Handler()))
	return cfg
}

// start runs a node on a free port of 127.0.0.1 until the end of the test. Without a key,
// every request may publish. Clean-ups run in reverse order, so the test's connections
// are closed first, and the final check finds anything that the node still holds.
func start(t testing.TB, cfg Config) *Server { return startOn(t, "127.0.0.1:0", cfg) }

func startOn(t testing.TB, addr string, cfg Config) *Server {
	t.Helper()
	if _, _, err := netpoll.RaiseFileLimit(); err != nil {
		t.Fatal(err)
	}
	n, err := Open(filled(cfg))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	srv := &Server{Node: n, drain: 30 * time.Second}
	at, err := n.Listen(addr)
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	srv.addr = at[0]
	t.Cleanup(func() {
		if err := srv.Shutdown(); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		st := srv.Stats()
		if st.Net.Connections != 0 || st.Net.QueuedBytes != 0 || st.Net.Panics != 0 || st.Channels != 0 || st.Subscriptions != 0 {
			t.Errorf("after the end: %d connections, %d queued bytes, %d panics, %d channels, %d subscriptions; want none",
				st.Net.Connections, st.Net.QueuedBytes, st.Net.Panics, st.Channels, st.Subscriptions)
		}
		if n := srv.admission.taken.Load(); n != 0 {
			t.Errorf("after the end: %d places are taken", n)
		}
		if st.Followed != 0 || st.HistoryBytes != 0 {
			t.Errorf("after the end: %d channels are followed, and keep %d bytes", st.Followed, st.HistoryBytes)
		}
		if n := entriesOf(&srv.admission.by); n != 0 {
			t.Errorf("after the end: %d addresses have places", n)
		}
	})
	return srv
}

// startLogged is start with a log that it returns.
func startLogged(t testing.TB, cfg Config) (*Server, *testtool.Log) {
	t.Helper()
	book := &testtool.Log{}
	cfg.Logger = book.Logger()
	return start(t, cfg), book
}

// members returns the number of members of a channel.
func (srv *Server) members(t testing.TB, channel string) (n int) {
	t.Helper()
	for _, l := range srv.loops {
		onLoop(t, l, func() {
			l.net.Each(func(c *netpoll.Conn) {
				if s := l.session(c); s.state != ending && l.hub.Member(c.Slot(), &s.subs, []byte(channel)) {
					n++
				}
			})
		})
	}
	return n
}

// notZero returns the counters that are not zero.
func notZero(all map[string]uint64) map[string]uint64 {
	maps.DeleteFunc(all, func(_ string, n uint64) bool { return n == 0 })
	return all
}

// long marks a test that waits for seconds on any machine. It runs in parallel with
// others, and not with -short.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes long")
	}
	t.Parallel()
}

// settle waits until all earlier publications are in the kernel or in the members'
// queues.
func settle(t testing.TB, srv *Server) {
	t.Helper()
	for _, l := range srv.loops {
		testtool.Until(t, "the loops have delivered everything", func() bool {
			var pending bool
			onLoop(t, l, func() { pending = l.hub.Pending() })
			onLoop(t, l, func() { pending = pending || l.hub.Pending() }) // the first loop's turn is over
			return !pending
		})
	}
}

// onLoop runs fn on the loop's goroutine and waits until it returns.
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

// holdLoop blocks a loop until the returned function is called, or the test ends. The
// function may be called more than once.
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

// sessionsIn counts the sessions of all loops in a state.
func sessionsIn(t testing.TB, srv *Server, want state) int {
	t.Helper()
	n := 0
	for _, l := range srv.loops {
		n += l.sessionsIn(t, want)
	}
	return n
}

// sessionsIn counts the sessions of a loop in a state.
func (l *loop) sessionsIn(t testing.TB, want state) (n int) {
	t.Helper()
	onLoop(t, l, func() { n = l.countState(want) })
	return n
}

// countState counts the sessions of a loop in a state. It must be called on the
// loop.
func (l *loop) countState(want state) (n int) {
	l.net.Each(func(c *netpoll.Conn) {
		if s := l.session(c).state; s == want || s == pinged && want == open {
			n++
		}
	})
	return n
}

// post sends one POST on a new connection and returns the answer. It adds a
// Content-Type unless headers has one.
func post(t testing.TB, srv *Server, target, body string, headers ...string) response {
	t.Helper()
	p := dial(t, srv)
	defer p.Close()
	p.write(postRequest(target, body, headers...))
	return p.response()
}

// postRequest returns a whole POST request.
func postRequest(target, body string, headers ...string) string {
	all := lines(headers)
	if !strings.Contains(strings.ToLower(all), "content-type:") {
		all += "Content-Type: application/json\r\n"
	}
	return "POST " + target + " HTTP/1.1\r\nHost: example.com\r\n" + all +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// post201 publishes content, which is JSON, over HTTP and wants 201.
func post201(t testing.TB, srv *Server, channel, content string) {
	t.Helper()
	body := fmt.Sprintf(`{"channel":%q,"content":%s}`, channel, content)
	if res := post(t, srv, "/broadcast", body); res.status != http.StatusCreated || res.body != "" {
		t.Fatalf("POST /broadcast %s: %d %q, want 201 and an empty body", body, res.status, res.body)
	}
}

// rss returns the resident memory of this process, in bytes.
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
