// Command gorilla serves wsify's protocol with github.com/gorilla/websocket.
//
// It follows the library's chat example, the shape most of its users copy: two
// goroutines and a buffered chan for each connection, a ping from a ticker, and a
// client whose chan is full is dropped, so a slow one stalls nobody. Different are
// the hub, which is the one all peers share, and that messages which wait together
// are not glued into one, since each must arrive as a frame of its own.
//
// Each connection encodes its own frame, by WriteMessage, as in the example. The
// library's PreparedMessage, which encodes once, was tried and is dearer without
// compression: 6.3 against 5.7 CPU us per delivery to 15,000, for its lock and map
// are common to all writers, and 16.9 against 6.6 per round trip, for it makes a
// connection of its own to encode with.
package main

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"wsify/bench/peers/internal/pubsub"
	"wsify/bench/peers/internal/serve"
)

// The example's figures, but for the size of a message, of which it allows 512 bytes.
const (
	writeWait  = 10 * time.Second
	pongWait   = 60 * time.Second
	pingPeriod = pongWait * 9 / 10
	sendQueue  = 256 // messages waiting for one client; a fuller one is dropped
)

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}

// client is one connection. Its reader closes send, after the hub has forgotten it.
type client struct {
	conn *websocket.Conn
	send chan []byte
}

func main() {
	server := pubsub.NewServer(deliver)
	mux := http.NewServeMux()
	mux.Handle("/broadcast", server)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the upgrader has answered
		}
		c := &client{conn: conn, send: make(chan []byte, sendQueue)}
		// New goroutines, so that what the HTTP server holds of the request can go.
		go c.write()
		go c.read(server)
	})
	serve.Main("gorilla", serve.HTTP(mux))
}

func deliver(members []*client, content []byte) {
	for _, c := range members {
		c.queue(content)
	}
}

// queue drops the client when its queue is full: its reader fails and cleans up.
func (c *client) queue(message []byte) {
	select {
	case c.send <- message:
	default:
		c.conn.Close()
	}
}

func (c *client) read(server *pubsub.Server[*client]) {
	session := server.Open(c)
	defer func() {
		session.Close()
		close(c.send)
		c.conn.Close()
	}()
	c.conn.SetReadLimit(pubsub.MaxMessageSize)
	c.conn.SetReadDeadline(time.Now().Add(pongWait))
	c.conn.SetPongHandler(func(string) error { return c.conn.SetReadDeadline(time.Now().Add(pongWait)) })
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		if answer := session.Handle(message); answer != nil {
			c.queue(answer) // through it as well: only one goroutine may write
		}
	}
}

func (c *client) write() {
	ticker := time.NewTicker(pingPeriod)
	defer func() {
		ticker.Stop()
		c.conn.Close()
	}()
	for {
		select {
		case message, ok := <-c.send:
			if !ok {
				return
			}
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if err := c.conn.WriteMessage(websocket.TextMessage, message); err != nil {
				return
			}
		case <-ticker.C:
			c.conn.SetWriteDeadline(time.Now().Add(writeWait))
			if err := c.conn.WriteMessage(websocket.PingMessage, nil); err != nil {
				return
			}
		}
	}
}
