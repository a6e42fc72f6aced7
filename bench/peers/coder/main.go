// Command coder serves wsify's protocol with github.com/coder/websocket.
//
// It follows the library's chat example: a reading and a writing goroutine and a
// buffered chan for each connection, and a client whose chan is full is closed as
// too slow, by a goroutine of its own, so it stalls nobody. The library cannot send
// a prepared frame; each connection encodes its own.
//
// Different are the hub, which is the one all peers share; the length of the chan,
// for the example's 16 drop clients that only read a burst a little later, so it is
// the 256 of gorilla's example; that the handler returns, as gorilla's does, so that
// what belongs to the request can go (33.0 KB an idle connection became 26.2); and
// that a write has no context with a timeout of its own. That would be a timer and
// two contexts for each delivery, and is not needed: a write that is stuck fills the
// chan, and Close then ends it.
package main

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"

	"wsify/bench/peers/internal/pubsub"
	"wsify/bench/peers/internal/serve"
)

// sendQueue is how many messages may wait for one client; a fuller one is closed.
const sendQueue = 256

// client is one connection.
type client struct {
	conn    *websocket.Conn
	send    chan []byte
	tooSlow atomic.Bool
}

func main() {
	server := pubsub.NewServer(deliver)
	mux := http.NewServeMux()
	mux.Handle("/broadcast", server)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		conn.SetReadLimit(pubsub.MaxMessageSize)
		c := &client{conn: conn, send: make(chan []byte, sendQueue)}
		go c.write()
		go c.read(server)
	})
	serve.Main("coder", serve.HTTP(mux))
}

func deliver(members []*client, content []byte) {
	for _, c := range members {
		c.queue(content)
	}
}

func (c *client) queue(message []byte) {
	select {
	case c.send <- message:
	default:
		if c.tooSlow.CompareAndSwap(false, true) {
			go c.conn.Close(websocket.StatusPolicyViolation, "connection too slow to keep up with messages")
		}
	}
}

// read reads until the connection ends, and then lets the writer end.
func (c *client) read(server *pubsub.Server[*client]) {
	session := server.Open(c)
	defer func() {
		session.Close()
		close(c.send)
		c.conn.CloseNow()
	}()
	for {
		_, message, err := c.conn.Read(context.Background())
		if err != nil {
			return
		}
		if answer := session.Handle(message); answer != nil {
			c.queue(answer)
		}
	}
}

func (c *client) write() {
	for message := range c.send {
		if err := c.conn.Write(context.Background(), websocket.MessageText, message); err != nil {
			c.conn.CloseNow()
			return
		}
	}
}
