// Command nbio serves wsify's protocol with github.com/lesismal/nbio.
//
// It runs as the library's author runs it in his own benchmark of a million
// connections: everything, HTTP included, on the library's engine in non-blocking
// mode with its defaults (one poller for up to seven cores, messages handled in a
// pool of goroutines), payloads given back to its pool, no deadline on a connection.
// A publication is encoded once and given to each connection's non-blocking Write,
// which keeps what the kernel does not take; above the 6 MiB of the library's quick
// start the connection is closed, so a slow client stalls nobody.
package main

import (
	"net"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"wsify/bench/peers/internal/pubsub"
	"wsify/bench/peers/internal/serve"
)

// maxQueued is how many bytes one connection may have waiting.
const maxQueued = 6 << 20

func main() {
	serve.Main("nbio", start)
}

func start(l net.Listener, _ chan<- error) (func(), error) {
	logging.SetLevel(logging.LevelError)
	server := pubsub.NewServer(deliver)
	upgrader := newUpgrader(server)
	mux := http.NewServeMux()
	mux.Handle("/broadcast", server)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		upgrader.Upgrade(w, r, nil) // on an error the upgrader has answered
	})
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network:                 "tcp",
		Addrs:                   []string{l.Addr().String()},
		Listen:                  func(string, string) (net.Listener, error) { return l, nil },
		Handler:                 mux,
		IOMod:                   nbhttp.IOModNonBlocking,
		ReleaseWebsocketPayload: true,
		MaxWriteBufferSize:      maxQueued,
		// By default content above 32 KiB would go out in fragments.
		MaxWebsocketFramePayloadSize: pubsub.MaxMessageSize,
	})
	upgrader.Engine = engine
	return engine.Stop, engine.Start()
}

func newUpgrader(server *pubsub.Server[*websocket.Conn]) *websocket.Upgrader {
	u := websocket.NewUpgrader()
	u.KeepaliveTime = 0
	u.MessageLengthLimit = pubsub.MaxMessageSize
	u.OnOpen(func(c *websocket.Conn) { c.SetSession(server.Open(c)) })
	u.OnMessage(func(c *websocket.Conn, _ websocket.MessageType, message []byte) {
		if answer := session(c).Handle(message); answer != nil {
			c.WriteMessage(websocket.TextMessage, answer)
		}
	})
	u.OnClose(func(c *websocket.Conn, _ error) {
		if s := session(c); s != nil {
			s.Close()
		}
	})
	return u
}

// deliver goes around WriteMessage, which would copy the payload for each. Frames
// stay whole: the Write beneath it takes or keeps all it is given, under a lock.
func deliver(members []*websocket.Conn, content []byte) {
	frame := pubsub.TextFrame(content)
	for _, c := range members {
		c.Conn.Write(frame) // on an error the engine closes the connection
	}
}

// session is nil for a connection that ended before it was open. For all others
// the library calls open, message and close in this order, never two at a time.
func session(c *websocket.Conn) *pubsub.Session[*websocket.Conn] {
	s, _ := c.Session().(*pubsub.Session[*websocket.Conn])
	return s
}
