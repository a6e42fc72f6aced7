package auth

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wsify/internal/testtool"
)

func TestMain(m *testing.M) { testtool.Main(m) }

// patience is the timeout of calls that are expected to succeed, long enough for the slowest
// machine. haste is the timeout of calls that are expected to time out.
const (
	patience = testtool.Patience
	haste    = 100 * time.Millisecond
)

func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	if cfg.Timeout == 0 {
		cfg.Timeout = patience
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatalf("New(%+v): %v", cfg, err)
	}
	t.Cleanup(c.Close)
	return c
}

func join() *Call {
	return &Call{Body: []byte(`{"command":"join","args":{"channel":"news"}}`)}
}

// wants fails unless asking c ends with this decision and result.
func wants(t *testing.T, c *Client, d Decision, r Result) {
	t.Helper()
	got, cause := c.Ask(join())
	if result := ResultOf(got, cause); got != d || result != r {
		t.Errorf("Ask = %v, %v (result %v), want %v with result %v", got, cause, result, d, r)
	}
	if (cause == nil) != (got == Allow) {
		t.Errorf("Ask = %v with cause %v: only Allow comes without a cause", got, cause)
	}
}

// webhook is an httptest server that counts its connections.
type webhook struct {
	*httptest.Server
	conns atomic.Int32
}

func newWebhook(t testing.TB, handler http.HandlerFunc) *webhook {
	return startWebhook(t, handler, func(w *webhook) { w.Start() })
}

func startWebhook(t testing.TB, handler http.HandlerFunc, start func(*webhook)) *webhook {
	w := &webhook{Server: httptest.NewUnstartedServer(handler)}
	w.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			w.conns.Add(1)
		}
	}
	w.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	start(w)
	t.Cleanup(w.Close)
	return w
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// peer is a server without an HTTP library, for answers that no library would send.
type peer struct {
	URL      string
	conns    atomic.Int32 // accepted
	requests atomic.Int32 // read completely
	closing  chan struct{}
}

// line is one connection of a peer.
type line struct {
	*net.TCPConn
	number int // of the connection, from 1
	peer   *peer
	in     *bufio.Reader
}

// newPeer runs script on every connection, and closes it afterwards.
func newPeer(t testing.TB, script func(*line)) *peer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{URL: "http://" + listener.Addr().String() + "/", closing: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l := &line{conn.(*net.TCPConn), int(p.conns.Add(1)), p, bufio.NewReader(conn)}
			running.Go(func() {
				defer l.Close()
				done := make(chan struct{})
				defer close(done)
				running.Go(func() {
					select {
					case <-p.closing:
						l.Close()
					case <-done:
					}
				})
				script(l)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		close(p.closing)
		running.Wait()
	})
	return p
}

// request reads one whole request, or reports that there is none.
func (l *line) request() bool {
	r, err := http.ReadRequest(l.in)
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return false
	}
	l.peer.requests.Add(1)
	return true
}

func (l *line) say(text string) { _, _ = io.WriteString(l, text) }

// hang holds the line until the other end, or the test, is over.
func (l *line) hang() { _, _ = io.Copy(io.Discard, l.in) }

// reset ends the line with RST instead of FIN.
func (l *line) reset() {
	_ = l.SetLinger(0)
	_ = l.Close()
}

const yes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// answering returns a script that reads one request, sends text, and waits.
func answering(text string) func(*line) {
	return func(l *line) {
		if l.request() {
			l.say(text)
			l.hang()
		}
	}
}

func head(status string, fields ...string) string {
	return "HTTP/1.1 " + status + "\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
}
