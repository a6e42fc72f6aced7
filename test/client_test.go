package test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// client is a WebSocket client of any library. Its events come as lines:
//
//	open
//	refused 403
//	message TEXT
//	close CODE REASON
type client struct {
	t      *testing.T
	name   string
	events <-chan string
	send   func(text string)
}

// next returns the next event of the client.
func (c *client) next() string {
	c.t.Helper()
	select {
	case event, ok := <-c.events:
		if !ok {
			return "nothing, ever"
		}
		return event
	case <-time.After(patience):
		return "nothing"
	}
}

// expect waits for the next event and compares it.
func (c *client) expect(want string) {
	c.t.Helper()
	if got := c.next(); got != want {
		c.t.Fatalf("%s: got %s, want %s", c.name, got, want)
	}
}

// ask sends a message, waits for the next event and compares it.
func (c *client) ask(text, want string) {
	c.t.Helper()
	c.send(text)
	c.expect(want)
}

// join makes the client a member of channel.
func (c *client) join(channel string) {
	c.t.Helper()
	c.ask(fmt.Sprintf(`{"command":"join","args":{"channel":%q},"id":"join"}`, channel), `message {"id":"join","ok":true}`)
}

// dialGo returns a client in this process, on the client side of gobwas/ws. It is for tests of
// other things; tests of clients are in their own module.
func dialGo(t *testing.T, url string) *client {
	t.Helper()
	return dialOffering(t, url)
}

// dialOffering is dialGo with subprotocols that the client offers.
func dialOffering(t *testing.T, url string, protocols ...string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, early, _, err := ws.Dialer{Protocols: protocols}.Dial(ctx, url)
	if status := ws.StatusError(0); errors.As(err, &status) {
		events := make(chan string, 1)
		events <- fmt.Sprintf("refused %d", int(status))
		return &client{t: t, name: "gobwas/ws", events: events, send: func(string) { t.Error("sent on a connection that was refused") }}
	}
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return newClient(t, conn, early)
}

// newClient returns a client on a connection that is open. early may be nil.
func newClient(t *testing.T, conn net.Conn, early *bufio.Reader) *client {
	t.Cleanup(func() { _ = conn.Close() })
	events := make(chan string, 1024)
	events <- "open"
	c := &client{t: t, name: "gobwas/ws", events: events}
	c.send = func(text string) {
		if err := writeFrame(conn, ws.OpText, []byte(text)); err != nil {
			t.Errorf("send %s: %v", text, err)
		}
	}
	if early == nil {
		early = bufio.NewReader(conn)
	}
	go receive(early, conn, events)
	return c
}

func writeFrame(to io.Writer, op ws.OpCode, payload []byte) error {
	return ws.WriteFrame(to, ws.MaskFrameInPlace(ws.NewFrame(op, true, payload)))
}

// receive turns frames into events, until the end. It expects whole messages, and accepts more
// close codes than gobwas' own reader does.
func receive(from io.Reader, to io.WriteCloser, events chan<- string) {
	defer close(events)
	defer to.Close()
	for {
		op, payload, err := readFrame(from)
		switch {
		case err != nil:
			events <- "close 1006 " + err.Error()
			return
		case op == ws.OpText:
			events <- "message " + string(payload)
		case op == ws.OpPing:
			_ = writeFrame(to, ws.OpPong, payload)
		case op == ws.OpClose:
			_ = writeFrame(to, ws.OpClose, bytes.Clone(payload[:min(2, len(payload))]))
			code, reason := ws.ParseCloseFrameData(payload)
			events <- strings.TrimSpace(fmt.Sprintf("close %d %s", code, reason))
			_, _ = io.Copy(io.Discard, from) // the server closes the connection first; RFC 6455, section 7.1.1
			return
		}
	}
}

func readFrame(from io.Reader) (op ws.OpCode, payload []byte, err error) {
	h, err := ws.ReadHeader(from)
	if err != nil {
		return 0, nil, err
	}
	if !h.Fin || h.Masked || h.Length > 1<<24 {
		return 0, nil, fmt.Errorf("unexpected frame %+v", h)
	}
	payload = make([]byte, h.Length)
	_, err = io.ReadFull(from, payload)
	return h.OpCode, payload, err
}
