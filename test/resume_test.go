package test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// cable is the network between a page and a server.
type cable struct {
	addr string

	mu     sync.Mutex
	pulled bool                  // guarded by mu
	conns  map[net.Conn]struct{} // guarded by mu
	silent chan struct{}         // guarded by mu; closed when what was passed on until then is cut off
}

// newCable listens and passes connections on to a server.
func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{addr: l.Addr().String(), conns: map[net.Conn]struct{}{}, silent: make(chan struct{})}
	t.Cleanup(func() { _ = l.Close(); c.pull() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			if server, err := net.Dial("tcp", to); err == nil && c.add(from, server) {
				silent := c.silence()
				go c.pass(from, server, silent)
				go c.pass(server, from, silent)
			} else {
				_ = from.Close()
			}
		}
	}()
	return c
}

// add notes two ends. It reports false, and closes the server's, when the cable is pulled.
func (c *cable) add(ends ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range ends {
		if c.conns[end] = struct{}{}; c.pulled {
			_ = end.Close()
		}
	}
	return !c.pulled
}

func (c *cable) silence() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.silent
}

// fade ends no connection, but passes nothing on of those that there are. Others work.
func (c *cable) fade() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.silent)
	c.silent = make(chan struct{})
}

func (c *cable) pass(from, to net.Conn, silent <-chan struct{}) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-silent:
			if err == nil {
				continue
			}
		default:
		}
		if err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

// pull ends all connections, and refuses others until plug.
func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = true
	for end := range c.conns {
		_ = end.Close()
	}
	clear(c.conns)
}

func (c *cable) plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = false
}

// numbers publishes from first to last to a channel, which has to be taken.
func numbers(t *testing.T, base string, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		if status, body, err := post(base+"/broadcast?key=dev", fmt.Sprintf(`{"channel":"news","content":%d}`, n)); status != 201 {
			t.Fatalf("publication %d: %d %s %v", n, status, body, err)
		}
	}
}

// heardAll is what resume.html reports when it has heard the numbers up to n, each once, and was
// told of so many gaps.
func heardAll(n, gaps int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i + 1)
	}
	return `{"heard":[` + strings.Join(all, ",") + `],"gaps":` + fmt.Sprint(gaps) + `}`
}

// TestAPageMissesNothingWhileItsNetworkIsGone, without any code for it.
func TestAPageMissesNothingWhileItsNetworkIsGone(t *testing.T) {
	need(t, "chromium", "chromium")
	p := newPage(t, "")
	s := serve(t, "-broadcasting-key", "dev", "-history-channels", "news", "-allowed-origins", p.origin)
	c := newCable(t, s.addr)
	p.open("/resume?" + url.Values{"sse": {"http://" + c.addr + "/sse?channel=news"}, "count": {"0", "5", "10", "15"}}.Encode())
	p.expect("joined", "null")
	c.pull() // before anything was published
	numbers(t, s.http(), 1, 5)
	p.expect("heard 0", heardAll(0, 0))
	c.plug()
	p.expect("heard 5", heardAll(5, 0))
	numbers(t, s.http(), 6, 7)
	c.pull()
	numbers(t, s.http(), 8, 10)
	c.plug()
	p.expect("heard 10", heardAll(10, 0))
	numbers(t, s.http(), 11, 15)
	p.expect("heard 15", heardAll(15, 0))
}

// TestAPageMissesNothingWhenANodeIsKilled behind HAProxy, or the engine restarts.
func TestAPageMissesNothingWhenANodeIsKilled(t *testing.T) {
	need(t, "chromium", "chromium")
	g := newGuide(t, "redis")
	engine := g.engine()
	var nodes []*server
	for i, c := range console(g.block("nodes on redis"), "") {
		s := &server{process: shell(t, g.dir, []string{"WSIFY_HISTORY_CHANNELS=news"}, "exec "+c.line), addr: g.addr([]string{"3010", "3020"}[i])}
		s.awaitAddr()
		nodes = append(nodes, s)
	}
	g.awaitReady(200)
	g.haproxy(nil)
	p := newPage(t, "")
	p.open("/resume?" + url.Values{"sse": {"http://" + g.addr("3000") + "/sse?channel=news"}, "count": {"5", "10", "15"}}.Encode())
	p.expect("joined", "null")
	numbers(t, nodes[0].http(), 1, 5)
	p.expect("heard 5", heardAll(5, 0))

	tp := &topology{guide: g, nodes: nodes}
	at := slices.IndexFunc([]int{0, 1}, func(node int) bool { return tp.connections(node) == 1 })
	if at < 0 {
		t.Fatal("no node has the page")
	}
	_ = syscall.Kill(-nodes[at].cmd.Process.Pid, syscall.SIGKILL)
	<-nodes[at].ended
	numbers(t, nodes[1-at].http(), 6, 10)
	p.expect("heard 10", heardAll(10, 0))

	engine.kill()
	g.engine() // it may have lost what it had acknowledged, so the page is told of a gap
	g.await("the other node to be ready", func() bool { return g.readiness(1-at) == 200 })
	numbers(t, nodes[1-at].http(), 11, 15)
	p.expect("heard 15", heardAll(15, 1))
}

// TestAPageBeginsAnewAfterARefusal, as docs/messages.md shows.
func TestAPageBeginsAnewAfterARefusal(t *testing.T) {
	need(t, "chromium", "chromium")
	var asked atomic.Int64
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(hook.Close)
	s := serve(t, "-authorizer-url", hook.URL, "-history-channels", "news", "-log-level", "debug")
	p := newPage(t, s.addr)
	p.open("/follow")
	s.await("a session that is opened after three refusals", func() bool { return strings.Contains(s.output(), "session opened") })
	publish(t, s, `{"channel":"news","content":"hello"}`)
	p.expect("logged", `{"channel":"news","content":"hello"}`)
	if n := strings.Count(s.output(), "handshake refused"); n != 3 {
		t.Errorf("%d refusals, want 3", n)
	}
}
