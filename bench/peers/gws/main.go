// Command gws serves wsify's protocol with github.com/lxzan/gws, as its documentation advises: an upgrader over
// net/http, the reading loop in a goroutine of its own, and a Broadcaster, which encodes a publication once and
// puts it into each connection's queue. These queues have no bound, and the library offers none.
package main

import (
	"net/http"

	"github.com/lxzan/gws"

	"wsify/bench/peers/internal/peer"
)

type handler struct {
	gws.BuiltinEventHandler
	server *peer.Server[*gws.Conn]
}

func main() {
	h := &handler{server: peer.NewServer(func(members []*gws.Conn, content []byte) {
		b := gws.NewBroadcaster(gws.OpcodeText, content)
		defer b.Close()
		for _, c := range members {
			_ = b.Broadcast(c)
		}
	})}
	upgrader := gws.NewUpgrader(h, &gws.ServerOption{ReadMaxPayloadSize: peer.MaxMessageSize, Recovery: gws.Recovery})
	peer.Main(peer.HTTP("/ws", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r); err == nil {
			go c.ReadLoop()
		}
	}), h.server))
}

func (h *handler) OnOpen(c *gws.Conn) { c.Session().Store("session", h.server.Open(c)) }

func (h *handler) OnClose(c *gws.Conn, _ error) { session(c).Close() }

func (h *handler) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

func (h *handler) OnMessage(c *gws.Conn, message *gws.Message) {
	defer message.Close()
	if answer := session(c).Handle(message.Bytes()); answer != nil {
		c.WriteAsync(gws.OpcodeText, answer, nil)
	}
}

func session(c *gws.Conn) *peer.Session[*gws.Conn] {
	s, _ := c.Session().Load("session")
	return s.(*peer.Session[*gws.Conn])
}
