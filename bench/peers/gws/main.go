// Command gws serves wsify's protocol with github.com/lxzan/gws.
//
// It follows the library's documentation: an upgrader over net/http, the reading
// loop in a goroutine of its own so that what belongs to the request can go, and a
// Broadcaster, which encodes a publication once and puts it into each connection's
// queue. A goroutine lives as long as a queue has something, so a slow client
// stalls nobody. These queues have no bound, and the library offers none.
//
// Messages of one connection are handled in their order (the library's parallel
// mode would lose it, and wsify's protocol promises it). Its example's deadline of
// 15 seconds is left out: it is for clients that send pings every five.
package main

import (
	"net/http"

	"github.com/lxzan/gws"

	"wsify/bench/peers/internal/pubsub"
	"wsify/bench/peers/internal/serve"
)

// sessionKey is where a connection's storage holds its session.
const sessionKey = "session"

// handler is called by the reading loops.
type handler struct {
	gws.BuiltinEventHandler
	server *pubsub.Server[*gws.Conn]
}

func main() {
	h := &handler{server: pubsub.NewServer(deliver)}
	upgrader := gws.NewUpgrader(h, &gws.ServerOption{
		ReadMaxPayloadSize: pubsub.MaxMessageSize,
		Recovery:           gws.Recovery,
	})
	mux := http.NewServeMux()
	mux.Handle("/broadcast", h.server)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		socket, err := upgrader.Upgrade(w, r)
		if err != nil {
			return // the upgrader has answered
		}
		go socket.ReadLoop()
	})
	serve.Main("gws", serve.HTTP(mux))
}

func deliver(members []*gws.Conn, content []byte) {
	b := gws.NewBroadcaster(gws.OpcodeText, content)
	defer b.Close()
	for _, socket := range members {
		b.Broadcast(socket) // it can only fail for content that is too large
	}
}

func (h *handler) OnOpen(socket *gws.Conn) {
	socket.Session().Store(sessionKey, h.server.Open(socket))
}

func (h *handler) OnClose(socket *gws.Conn, _ error) { session(socket).Close() }

func (h *handler) OnPing(socket *gws.Conn, payload []byte) { socket.WritePong(payload) }

// OnMessage answers through the queue, behind what was published before.
func (h *handler) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	if answer := session(socket).Handle(message.Bytes()); answer != nil {
		socket.WriteAsync(gws.OpcodeText, answer, nil)
	}
}

func session(socket *gws.Conn) *pubsub.Session[*gws.Conn] {
	s, _ := socket.Session().Load(sessionKey)
	return s.(*pubsub.Session[*gws.Conn])
}
