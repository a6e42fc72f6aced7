// Command gorilla serves wsify's protocol with github.com/gorilla/websocket.
//
// It follows the library's chat example, the shape most of its users copy: two
// goroutines and a buffered chan for each connection, a ping from a ticker, and a
// client whose chan is full is dropped, so a slow one stalls nobody. Different are
// the hub, which is the one all peers share; the prepared message, the library's
// own way to encode a publication once; and that messages which wait together are
// not glued into one, since each must arrive as a frame of its own.
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
	send chan *websocket.PreparedMessage
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
		c := &client{conn: conn, send: make(chan *websocket.PreparedMessage, sendQueue)}
		// New goroutines, so that what the HTTP server holds of the request can go.
		go c.write()
		go c.read(server)
	})
	serve.Main("gorilla", serve.HTTP(mux))
}

func deliver(members []*client, content []byte) {
	message, err := websocket.NewPreparedMessage(websocket.TextMessage, content)
	if err != nil {
		return
	}
	for _, c := range members {
		c.queue(message)
	}
}

// queue drops the client when its queue is full: its reader fails and cleans up.
func (c *client) queue(message *websocket.PreparedMessage) {
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
		answer := session.Handle(message)
		if answer == nil {
			continue
		}
		// Through the queue as well: only one goroutine may write.
		prepared, err := websocket.NewPreparedMessage(websocket.TextMessage, answer)
		if err != nil {
			return
		}
		c.queue(prepared)
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
			if err := c.conn.WritePreparedMessage(message); err != nil {
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
