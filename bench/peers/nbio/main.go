// Command nbio serves wsify's protocol with github.com/lesismal/nbio, as its author runs it in his own
// benchmark of a million connections: everything, HTTP included, on the library's engine in non-blocking mode
// with its defaults. A publication is encoded once and given to each connection's non-blocking Write; above 6
// MiB that wait the connection is closed.
package main

import (
	"net"
	"net/http"

	"github.com/gobwas/ws"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"wsify/bench/peers/internal/peer"
)

func main() { peer.Main(serve) }

func serve(l net.Listener) error {
	logging.SetLevel(logging.LevelError)
	server := peer.NewServer(func(members []*websocket.Conn, content []byte) {
		frame := ws.MustCompileFrame(ws.NewTextFrame(content)) // nbio sends a prepared frame but prepares none
		for _, c := range members {
			_, _ = c.Conn.Write(frame) // WriteMessage would copy the payload for each
		}
	})
	u := websocket.NewUpgrader()
	u.KeepaliveTime, u.MessageLengthLimit = 0, peer.MaxMessageSize
	u.OnOpen(func(c *websocket.Conn) { c.SetSession(server.Open(c)) })
	u.OnMessage(func(c *websocket.Conn, _ websocket.MessageType, message []byte) {
		if answer := session(c).Handle(message); answer != nil {
			_ = c.WriteMessage(websocket.TextMessage, answer)
		}
	})
	u.OnClose(func(c *websocket.Conn, _ error) {
		if s := session(c); s != nil {
			s.Close()
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/broadcast", server)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) { _, _ = u.Upgrade(w, r, nil) })
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp", Addrs: []string{l.Addr().String()}, Listen: func(string, string) (net.Listener, error) { return l, nil },
		Handler: mux, IOMod: nbhttp.IOModNonBlocking, ReleaseWebsocketPayload: true,
		MaxWriteBufferSize: 6 << 20, MaxWebsocketFramePayloadSize: peer.MaxMessageSize, // else large content goes out in fragments
	})
	u.Engine = engine
	return engine.Start()
}

// session is nil for a connection that ended before it was open.
func session(c *websocket.Conn) *peer.Session[*websocket.Conn] {
	s, _ := c.Session().(*peer.Session[*websocket.Conn])
	return s
}
