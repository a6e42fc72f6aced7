package clients

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func dialGorilla(t *testing.T, url string, o offer) *client {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: patience, Subprotocols: o.subprotocols, EnableCompression: o.compression}
	conn, answer, err := dialer.DialContext(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	events := make(chan string, 1024)
	conn.SetPongHandler(func(payload string) error {
		events <- "pong " + payload
		return nil
	})
	pong := conn.PingHandler()
	conn.SetPingHandler(func(payload string) error {
		events <- "ping"
		return pong(payload)
	})
	go receiveGorilla(conn, events)
	var sending sync.Mutex
	write := func(kind int, parts ...[]byte) error {
		sending.Lock()
		defer sending.Unlock()
		return writeGorilla(conn, kind, parts)
	}
	return &client{
		t: t, events: events, answer: answer,
		sendText:   func(p []byte) error { return write(websocket.TextMessage, p) },
		sendBinary: func(p []byte) error { return write(websocket.BinaryMessage, p) },
		sendParts:  func(parts ...[]byte) error { return write(websocket.TextMessage, parts...) },
		ping: func() error {
			return conn.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(patience))
		},
		close: func(code int, reason string) error {
			return conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(patience))
		},
		chosen: conn.Subprotocol,
	}
}

func writeGorilla(conn *websocket.Conn, kind int, parts [][]byte) error {
	w, err := conn.NextWriter(kind)
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

func receiveGorilla(conn *websocket.Conn, events chan<- string) {
	for {
		kind, p, err := conn.ReadMessage()
		if closed := (*websocket.CloseError)(nil); errors.As(err, &closed) {
			events <- strings.TrimSpace(fmt.Sprintf("close %d %s", closed.Code, closed.Text))
			_ = conn.Close()
			return
		}
		if err != nil {
			events <- "end: " + err.Error()
			return
		}
		if kind != websocket.TextMessage {
			events <- fmt.Sprintf("message of kind %d", kind)
			continue
		}
		events <- "message " + string(p)
	}
}
