// Command gobwasepoll serves wsify's protocol with github.com/gobwas/ws and an
// epoll of its own, in the shape of eranyanay's 1m-go-websockets.
//
// As there: the upgrade by net/http and ws.UpgradeHTTP, one epoll for all, a table
// from descriptor to net.Conn, and one goroutine that reads from each readable
// connection with a blocking read, so no goroutine per connection. And so with what
// that shape costs: a client that sends half a frame stops the loop until the other
// half comes. Its demonstration only reads. Here the loop and the POST handler also
// write, each member in turn, a frame that was compiled once; a deadline on each
// write ends a client that takes nothing, which until then delays the others. Two
// things are mended: a control frame is handled by itself, where the original waits
// for the message behind it, and a table entry is made before the epoll knows the
// descriptor and gone before the number is free again.
package main

import (
	"net"
	"net/http"

	"github.com/gobwas/ws"

	"wsify/bench/peers/internal/pubsub"
	"wsify/bench/peers/internal/serve"
)

func main() {
	serve.Main("gobwasepoll", start)
}

func start(l net.Listener, failed chan<- error) (func(), error) {
	poller, err := openEpoll()
	if err != nil {
		return nil, err
	}
	server := pubsub.NewServer(deliver)
	mux := http.NewServeMux()
	mux.Handle("/broadcast", server)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		nc, rw, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return // UpgradeHTTP has answered
		}
		if err := adopt(server, poller, nc.(*net.TCPConn), rw.Reader); err != nil {
			nc.Close()
		}
	})
	go func() { failed <- poller.run() }()
	return serve.HTTP(mux)(l, failed)
}

// deliver writes to one member after the other.
func deliver(members []*conn, content []byte) {
	frame, err := ws.CompileFrame(ws.NewTextFrame(content))
	if err != nil {
		return
	}
	for _, c := range members {
		c.write(frame)
	}
}
