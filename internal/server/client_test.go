package server

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"wsify/internal/testtool"
)

const patience = testtool.Patience

// start runs a server, on a free port of 127.0.0.1 unless cfg says otherwise, and stops it at the
// end of the test.
func start(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.Loops = cmp.Or(cfg.Loops, 2)
	if cfg.ListenAddrs == nil {
		cfg.ListenAddrs = []string{"127.0.0.1:0"}
	}
	srv, err := Start(cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.Shutdown(); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return srv
}

// startLogged calls start and keeps the server's log.
func startLogged(t testing.TB, cfg Config) (*Server, *testtool.Log) {
	t.Helper()
	book := &testtool.Log{}
	cfg.Logger = book.Logger()
	return start(t, cfg), book
}

// shutdown stops a server, and returns a channel for the outcome.
func shutdown(srv *Server) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown() }()
	return ended
}

func await(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the server does not end")
	}
}

// client is a connection to a server, for HTTP and then, after an upgrade, for frames.
type client struct {
	net.Conn
	r *bufio.Reader
}

func tryDial(addr net.Addr) (client, error) {
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		return client{}, err
	}
	return client{c, bufio.NewReader(c)}, c.SetDeadline(time.Now().Add(patience))
}

func dial(t testing.TB, addr net.Addr) client {
	t.Helper()
	c, err := tryDial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

const upgradeRequest = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// ask sends a request and returns the status and body of the response.
func (c client) ask(request string) (status int, body string, err error) {
	if _, err = c.Write([]byte(request)); err != nil {
		return 0, "", err
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, "", err
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer.StatusCode, "", nil
	}
	var text strings.Builder
	_, err = bufio.NewReader(answer.Body).WriteTo(&text)
	return answer.StatusCode, text.String(), err
}

func (c client) expect(t testing.TB, request string, want int) {
	t.Helper()
	if status, body, err := c.ask(request); err != nil || status != want {
		t.Fatalf("%.60q: %d %q, %v; want %d", request, status, body, err, want)
	}
}

func (c client) upgrade() error {
	status, _, err := c.ask(upgradeRequest)
	if err == nil && status != http.StatusSwitchingProtocols {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

func connect(t testing.TB, addr net.Addr) client {
	t.Helper()
	c := dial(t, addr)
	if err := c.upgrade(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c client) send(text string) error {
	return ws.WriteFrame(c, ws.MaskFrame(ws.NewTextFrame([]byte(text))))
}

// heard waits for a text message, and skips pings.
func (c client) heard() (string, error) {
	for {
		h, err := ws.ReadHeader(c.r)
		if err != nil {
			return "", err
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(c.r, payload); err != nil {
			return "", err
		}
		switch h.OpCode {
		case ws.OpText:
			return string(payload), nil
		case ws.OpClose:
			code, _ := ws.ParseCloseFrameData(payload)
			return "", fmt.Errorf("closed with %d", code)
		}
	}
}

// roundTrip joins a channel and publishes to it.
func (c client) roundTrip(channel string) error {
	args := `"args":{"channel":"` + channel + `","content":"` + channel + `"}}`
	if err := errors.Join(c.send(`{"command":"join",`+args), c.send(`{"command":"broadcast",`+args)); err != nil {
		return err
	}
	for {
		if text, err := c.heard(); err != nil || text == `"`+channel+`"` {
			return err
		}
	}
}

// usable fails the test unless c can join and publish.
func (c client) usable(t testing.TB) {
	t.Helper()
	if err := c.roundTrip("usable"); err != nil {
		t.Fatal(err)
	}
}

// postRequest returns the request of a publication.
func postRequest(key, body string) string {
	return "POST /broadcast?key=" + key + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}
