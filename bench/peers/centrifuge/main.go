// Command centrifuge serves github.com/centrifugal/centrifuge, the engine beneath
// Centrifugo, by its own JSON protocol at /connection/websocket, and publishes what
// comes by POST /broadcast.
//
// It follows the library's tutorial: its own node, hub and broker in memory, its
// net/http handler, every subscription and publication allowed. Its defaults hold:
// 1 MiB may wait for a client, a write may take a second, and a client that exceeds
// either is disconnected, so a slow one stalls nobody; pings each 25 seconds, which
// the client must answer within 10. Set are a larger size for messages, and a pool
// of write buffers, the library's way to hold none while a connection is idle.
package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/centrifugal/centrifuge"

	"wsify/bench/peers/internal/pubsub"
	"wsify/bench/peers/internal/serve"
)

// stopTimeout is how long the clients may take to be disconnected at the end.
const stopTimeout = 5 * time.Second

func main() {
	serve.Main("centrifuge", start)
}

func start(l net.Listener, failed chan<- error) (func(), error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil // an anonymous user
	})
	node.OnConnect(allow)
	if err := node.Run(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		MessageSizeLimit:   pubsub.MaxMessageSize,
		UseWriteBufferPool: true,
	}))
	mux.HandleFunc("/broadcast", func(w http.ResponseWriter, r *http.Request) {
		pubsub.ServeBroadcast(w, r, func(channel string, content []byte) error {
			_, err := node.Publish(channel, content)
			return err
		})
	})
	stopHTTP, err := serve.HTTP(mux)(l, failed)
	return func() {
		stopHTTP()
		shutdown(node)
	}, err
}

// allow lets a client subscribe and publish where it likes.
func allow(client *centrifuge.Client) {
	client.OnSubscribe(func(_ centrifuge.SubscribeEvent, done centrifuge.SubscribeCallback) {
		done(centrifuge.SubscribeReply{}, nil)
	})
	client.OnPublish(func(_ centrifuge.PublishEvent, done centrifuge.PublishCallback) {
		done(centrifuge.PublishReply{}, nil)
	})
}

func shutdown(node *centrifuge.Node) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	node.Shutdown(ctx) // the process ends next, whoever is still connected
}
