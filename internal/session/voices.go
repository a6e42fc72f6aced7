package session

import (
	"bytes"

	"github.com/gobwas/ws"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/internal/sse"
	"wsify/internal/wire"
)

// published is a publication as the members of a channel get it. Its slices are borrowed.
// It is passed by value: what a voice is given by pointer would escape.
type published struct {
	channel []byte
	content []byte      // without the head
	head    broker.Head // what the publisher and the engine say of it
	stamp   int64       // see Times
	except  []uint64    // the connections of this node that do not get it
}

// voice is how the server speaks to the connections of one class.
type voice struct {
	// publication encodes what each member gets. The caller owns the buffer.
	publication func(p published) *buffer.Buffer
	// ping is sent when a connection may be idle.
	ping []byte
	// farewell appends what tells the client why its connection ends.
	farewell func(dst []byte, code wire.CloseCode, text string) []byte

	deflated bool // messages may be compressed, in both directions
	// What a class with compression compresses, and for which clients; see wire.Deflate.
	plain  hub.Class
	narrow bool
}

// voices has the voice of each class. It is read-only. A class without a voice has no
// connections.
var voices = [hub.NumClasses]voice{
	hub.Raw:         {publication: rawPublication, ping: pingFrame, farewell: wire.AppendClose},
	hub.RawDeflated: {deflated: true, plain: hub.Raw, ping: pingFrame, farewell: wire.AppendClose},
	hub.RawNarrow:   {deflated: true, plain: hub.Raw, narrow: true, ping: pingFrame, farewell: wire.AppendClose},
	hub.Stream:      {publication: streamPublication, ping: []byte(sse.Heartbeat), farewell: streamFarewell},
}

// rawPublication is the bare content.
func rawPublication(p published) *buffer.Buffer {
	b := buffer.New(wire.FrameSize(len(p.content)))
	b.SetBytes(wire.AppendFrame(b.Bytes(), ws.OpText, p.content))
	b.Messages = 1
	return b
}

// streamPublication is an event. What is for a user has no channel.
func streamPublication(p published) *buffer.Buffer {
	if bytes.HasPrefix(p.channel, []byte(userPrefix)) {
		p.channel = nil
	}
	b := buffer.New(sse.EventSize(len(p.channel), len(p.content)))
	b.SetBytes(sse.AppendEvent(b.Bytes(), p.head.Position.String(), p.channel, p.content))
	b.Messages = 1
	return b
}

// streamFarewell is the last event, and when the client shall reconnect.
func streamFarewell(dst []byte, code wire.CloseCode, text string) []byte {
	return sse.AppendClose(dst, uint16(code), text, retryAfter(code))
}
