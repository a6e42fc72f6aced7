package clients

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
)

func dialCoder(t *testing.T, url string, o offer) *client {
	t.Helper()
	events := make(chan string, 1024)
	options := &websocket.DialOptions{
		Subprotocols: o.subprotocols,
		OnPingReceived: func(context.Context, []byte) bool {
			events <- "ping"
			return true
		},
	}
	if o.compression {
		options.CompressionMode = websocket.CompressionContextTakeover
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	conn, answer, err := websocket.Dial(ctx, url, options)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(1 << 24)
	closing := new(atomic.Bool)
	go receiveCoder(conn, closing, events)
	write := func(kind websocket.MessageType, parts ...[]byte) error { return writeCoder(t, conn, kind, parts) }
	return &client{
		t: t, events: events, answer: answer,
		sendText:   func(p []byte) error { return write(websocket.MessageText, p) },
		sendBinary: func(p []byte) error { return write(websocket.MessageBinary, p) },
		sendParts:  func(parts ...[]byte) error { return write(websocket.MessageText, parts...) },
		ping: func() error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := conn.Ping(ctx); err != nil {
				return err
			}
			events <- "pong there?" // the library checks the payload itself
			return nil
		},
		close: func(code int, reason string) error {
			closing.Store(true)
			err := conn.Close(websocket.StatusCode(code), reason)
			if err == nil { // the library has waited for the answer, and checked its code
				events <- fmt.Sprintf("close %d", code)
			}
			return err
		},
		chosen: conn.Subprotocol,
	}
}

func writeCoder(t *testing.T, conn *websocket.Conn, kind websocket.MessageType, parts [][]byte) error {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if len(parts) == 1 {
		return conn.Write(ctx, kind, parts[0])
	}
	w, err := conn.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return w.Close()
}

// receiveCoder turns messages into events until the end. It does not report the end when Close
// waits for it.
func receiveCoder(conn *websocket.Conn, closing *atomic.Bool, events chan<- string) {
	for {
		kind, p, err := conn.Read(context.Background())
		if err != nil && closing.Load() {
			return
		}
		if closed := (websocket.CloseError{}); errors.As(err, &closed) {
			events <- strings.TrimSpace(fmt.Sprintf("close %d %s", closed.Code, closed.Reason))
			return
		}
		if err != nil {
			events <- "end: " + err.Error()
			return
		}
		if kind != websocket.MessageText {
			events <- fmt.Sprintf("message of kind %d", kind)
			continue
		}
		events <- "message " + string(p)
	}
}
