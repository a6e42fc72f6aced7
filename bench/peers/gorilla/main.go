// Command gorilla serves wsify's protocol with github.com/gorilla/websocket, in the shape of its chat example,
// which most of its users copy: two goroutines and a buffered chan for each connection, and a ping from a
// ticker. A client whose chan is full is closed. Each connection encodes its own frame, as there:
// PreparedMessage was measured and is dearer without compression.
package main

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"wsify/bench/peers/internal/peer"
)

// The example's figures.
const (
	writeWait  = 10 * time.Second
	pongWait   = 60 * time.Second
	pingPeriod = pongWait * 9 / 10
)

type client struct {
	conn *websocket.Conn
	send chan []byte
}

func main() {
	server := peer.NewServer(func(members []*client, content []byte) {
		for _, c := range members {
			c.queue(content)
		}
	})
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}
	peer.Main(peer.HTTP("/ws", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			c := &client{conn, make(chan []byte, 256)}
			go c.write()
			go c.read(server)
		}
	}), server))
}

func (c *client) queue(message []byte) {
	select {
	case c.send <- message:
	default:
		_ = c.conn.Close() // its reader fails and cleans up
	}
}

func (c *client) read(server *peer.Server[*client]) {
	session := server.Open(c)
	defer func() {
		session.Close()
		close(c.send)
		_ = c.conn.Close()
	}()
	extend := func(string) error { return c.conn.SetReadDeadline(time.Now().Add(pongWait)) }
	c.conn.SetReadLimit(peer.MaxMessageSize)
	c.conn.SetPongHandler(extend)
	_ = extend("")
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		if answer := session.Handle(message); answer != nil {
			c.queue(answer)
		}
	}
}

func (c *client) write() {
	ticker := time.NewTicker(pingPeriod)
	defer ticker.Stop()
	for {
		kind, message := websocket.PingMessage, []byte(nil)
		select {
		case m, ok := <-c.send:
			if !ok {
				return
			}
			kind, message = websocket.TextMessage, m
		case <-ticker.C:
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(writeWait))
		if c.conn.WriteMessage(kind, message) != nil {
			_ = c.conn.Close()
			return
		}
	}
}
