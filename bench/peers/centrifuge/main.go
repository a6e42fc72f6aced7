// Command centrifuge serves github.com/centrifugal/centrifuge, the engine beneath Centrifugo, by its own JSON
// protocol (the dialect centrifuge of wsbench), as its tutorial does: node, hub and broker in memory, its
// net/http handler, everything allowed, defaults. Set are a larger size for messages, and a pool of write
// buffers, so that an idle connection holds none.
package main

import (
	"context"
	"net/http"

	"github.com/centrifugal/centrifuge"

	"wsify/bench/peers/internal/peer"
)

func main() {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		panic(err)
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil // an anonymous user
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(_ centrifuge.SubscribeEvent, done centrifuge.SubscribeCallback) {
			done(centrifuge.SubscribeReply{}, nil)
		})
		c.OnPublish(func(_ centrifuge.PublishEvent, done centrifuge.PublishCallback) { done(centrifuge.PublishReply{}, nil) })
	})
	if err := node.Run(); err != nil {
		panic(err)
	}
	handler := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{MessageSizeLimit: peer.MaxMessageSize, UseWriteBufferPool: true})
	peer.Main(peer.HTTP("/connection/websocket", handler, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer.Broadcast(w, r, func(channel string, content []byte) { _, _ = node.Publish(channel, content) })
	})))
}
