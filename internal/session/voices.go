package session

import (
	"github.com/gobwas/ws"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/internal/command"
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

// shown is the channel as members see it. A user's implicit channel has no name.
func (p published) shown() []byte {
	if p.channel[0] == command.ReservedPrefix[0] {
		return nil
	}
	return p.channel
}

// voice is how the server speaks to the connections of one class.
type voice struct {
	name string // for operators
	// publication encodes what each member gets. The caller owns the buffer.
	publication func(p published) *buffer.Buffer
	// reply appends the message that answers a command. answer is what package command has
	// made. A class that sends no commands has none.
	reply func(dst, answer []byte) []byte
	// gap encodes that something is missing before a position. Nil for a class that is told
	// nothing.
	gap func(channel []byte, position string) *buffer.Buffer
	// ping is sent when a connection may be idle.
	ping []byte
	// farewell appends what tells the client why its connection ends.
	farewell func(dst []byte, code wire.CloseCode, text string) []byte

	apart    bool // each connection has its own form: see loop.own
	tells    bool // answers that no command has asked for are no surprise: they cannot look like content
	deflated bool // messages may be compressed, in both directions
	// What a class with compression compresses, and for which clients; see wire.Deflate.
	plain  hub.Class
	narrow bool
}

// The voices of WebSocket clients: raw, and with the subprotocol.
var (
	raw   = voice{name: "websocket", publication: rawPublication, reply: rawReply, ping: pingFrame, farewell: wire.AppendClose}
	typed = voice{name: envelope, publication: envelopePublication, gap: envelopeGap, reply: envelopeReply, ping: pingFrame, farewell: wire.AppendClose, tells: true}
)

// streamed is the voice of streams of events.
var streamed = voice{name: "sse", publication: streamPublication, gap: streamGap, ping: []byte(sse.Heartbeat), farewell: streamFarewell}

// each returns the voice of a class in which each connection has its own form of an event.
func (v voice) each() voice {
	v.apart = true
	v.gap = func(channel []byte, position string) *buffer.Buffer {
		b := streamGap(channel, position)
		b.Apart(nil)
		return b
	}
	return v
}

// compressed returns the voice of the class plain for clients that have agreed on
// compression. Only publications are compressed.
func (v voice) compressed(plain hub.Class, narrow bool) voice {
	v.publication = nil
	v.deflated, v.plain, v.narrow = true, plain, narrow
	return v
}

// voices has the voice of each class. It is read-only. A class without a voice has no
// connections.
var voices = [hub.NumClasses]voice{
	hub.Raw:              raw,
	hub.RawDeflated:      raw.compressed(hub.Raw, false),
	hub.RawNarrow:        raw.compressed(hub.Raw, true),
	hub.Envelope:         typed,
	hub.EnvelopeDeflated: typed.compressed(hub.Envelope, false),
	hub.EnvelopeNarrow:   typed.compressed(hub.Envelope, true),
	hub.Stream:           streamed,
	hub.Streams:          streamed.each(),
}

// voice returns how the server speaks to this session.
func (s *session) voice() *voice { return &voices[s.subs.Class] }

// pingFrame is an empty ping; RFC 6455, section 5.5.2.
var pingFrame = wire.AppendFrame(nil, ws.OpPing, nil)

// rawPublication is the bare content.
func rawPublication(p published) *buffer.Buffer {
	b := buffer.New(wire.FrameSize(len(p.content)))
	b.SetBytes(wire.AppendFrame(b.Bytes(), ws.OpText, p.content))
	b.Messages = 1
	return b
}

func rawReply(dst, answer []byte) []byte { return wire.AppendFrame(dst, ws.OpText, answer) }

// envelope is the subprotocol of clients that get objects with a type.
const envelope = "wsify.v1"

// envelopePublication is an object of the type message.
func envelopePublication(p published) *buffer.Buffer {
	channel, user, position := p.shown(), p.head.User, p.head.Position.String()
	b := buffer.New(wire.MaxHeader + command.EnvelopeOverhead + len(channel) + len(p.content) + len(user) + len(position))
	room := b.Bytes()[:wire.MaxHeader]
	b.SetBytes(wire.FrameInPlace(command.AppendEnvelope(room, channel, p.content, user, position), ws.OpText))
	b.Messages = 1
	return b
}

// envelopeReply is an object of the type reply.
func envelopeReply(dst, answer []byte) []byte {
	dst = wire.AppendFrameHeader(dst, ws.OpText, len(answer)+command.ReplyOverhead)
	return command.AppendReply(dst, answer)
}

// envelopeGap is an object of the type gap.
func envelopeGap(channel []byte, position string) *buffer.Buffer {
	b := buffer.New(wire.MaxHeader + command.EnvelopeOverhead + len(channel) + len(position))
	b.SetBytes(wire.FrameInPlace(command.AppendGap(b.Bytes()[:wire.MaxHeader], channel, position), ws.OpText))
	b.Messages = 1
	return b
}

// streamPublication is an event.
func streamPublication(p published) *buffer.Buffer {
	channel := p.shown()
	b := buffer.New(sse.EventSize(len(channel), len(p.content)))
	b.SetBytes(sse.AppendEvent(b.Bytes(), p.head.Position.String(), channel, p.content))
	b.Messages = 1
	return b
}

// streamGap is the event that says that something is missing.
func streamGap(channel []byte, position string) *buffer.Buffer {
	b := buffer.New(sse.EventSize(len(channel), 2*len(position)))
	b.SetBytes(sse.AppendGap(b.Bytes(), position, string(channel), position))
	b.Messages = 1
	return b
}

// streamFarewell is the last event, and when the client shall reconnect.
func streamFarewell(dst []byte, code wire.CloseCode, text string) []byte {
	return sse.AppendClose(dst, uint16(code), text, retryAfter(code))
}
