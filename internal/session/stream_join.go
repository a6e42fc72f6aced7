package session

import (
	"slices"
	"strings"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/internal/follow"
	"wsify/internal/sse"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// reached is how far a stream has come in one of its channels that keep history.
type reached struct {
	data     []byte // how the data of its events begins
	position string // of the last event; empty if it is not known
}

// streamClass returns the class of a stream. In one with several channels that keep history
// the id of an event is for all of them, so that each stream has its own.
func (l *loop) streamClass(o *opening) hub.Class {
	for _, name := range o.request.Channels {
		if l.node.keepsHistory(name) {
			o.reached = append(o.reached, reached{data: sse.DataOf(name)})
		}
	}
	for i := range o.reached { // until it has joined the channel, it goes on from here when it is cut
		o.reached[i].position = o.from(i).Since.String()
	}
	if len(o.reached) > 1 {
		return hub.Streams
	}
	return hub.Stream
}

// joinStream joins the next channels of a stream that is being opened, one after another. One that
// keeps history goes on where the client says.
func (l *loop) joinStream(c *netpoll.Conn, s *session, o *opening) {
	for o.joined < len(o.request.Channels) {
		name := o.request.Channels[o.joined]
		o.joined++
		if !l.hoard(c, s, membershipPrice+len(name)) {
			return
		}
		if !l.node.keepsHistory(name) {
			if !slices.Contains(o.revoked, name) {
				l.hub.Join(c.Slot(), &s.subs, []byte(name))
			}
			continue
		}
		if l.recoverStream(c, s, o, name) || s.state != streaming || !c.Open() {
			return
		}
	}
	l.confirm(c, s, o.confirmed())
}

// recoverStream joins a channel with history. It reports true if the stream has to wait; it goes
// on by itself then.
func (l *loop) recoverStream(c *netpoll.Conn, s *session, o *opening, name string) (pending bool) {
	i := o.recovered
	o.recovered++
	if slices.Contains(o.revoked, name) {
		return false
	}
	pending = l.recover(c, s, []byte(name), o.from(i), func(c *netpoll.Conn, s *session, r recovered) {
		l.recoveredStream(c, s, o, i, name, r)
		if pending && s.state == streaming && c.Open() {
			l.joinStream(c, s, o)
		}
	})
	return pending
}

// from returns where a stream goes on in its channel number i of those that keep history. An id
// that is of other channels is none of this history.
func (o *opening) from(i int) follow.From {
	f := follow.From{Asked: o.request.After != ""}
	if ids := strings.Split(o.request.After, ","); len(ids) == len(o.reached) {
		f.Since, _ = broker.ParsePosition([]byte(ids[i]))
	}
	return f
}

// recoveredStream notes the outcome of a join of a channel with history, and says if something
// is missing. A stream that cannot be told what it has missed, because the engine does not answer, ends
// with the id that it came with: it comes back, and a gap would have no reason.
func (l *loop) recoveredStream(c *netpoll.Conn, s *session, o *opening, i int, name string, r recovered) {
	if r.asked && (r.err == errHistory || r.err == errJoinedDeaf) {
		l.end(c, s, reasonBrokerDown, wire.TryAgainLater, "the history cannot be read now, try again later")
		return
	}
	o.reached[i].position = r.position.String()
	if r.lost && r.asked {
		o.lost = true
		l.answer(c, sse.AppendGap(nil, o.id(), name, o.reached[i].position))
	}
}

// id returns the position of a stream in all its channels.
func (o *opening) id() string {
	all := make([]string, len(o.reached))
	for i := range o.reached {
		all[i] = o.reached[i].position
	}
	return strings.Join(all, ",")
}

// openedStream tells a stream with history that it has joined all its channels: the id of this event
// is where it goes on if no other event comes. The rest of the opening is not needed any more.
func (l *loop) openedStream(c *netpoll.Conn, s *session, o *opening) {
	if len(o.reached) > 0 {
		l.answer(c, sse.AppendJoined(nil, o.id(), o.request.After != "", !o.lost))
	}
	if s.state != streaming || !c.Open() {
		return
	}
	l.forget(s)
	if s.subs.Class == hub.Streams {
		l.extend(s).stream = &opening{reached: o.reached}
	}
	l.flushCork(c)
	c.LetGo()
}

// appendOwn appends an event as one stream of the class Streams gets it: its id has the positions
// in all channels.
func (o *opening) appendOwn(dst, event []byte) []byte {
	position, rest, ok := sse.CutID(event)
	if !ok {
		return append(dst, event...)
	}
	for i := range o.reached {
		if sse.HasData(rest, o.reached[i].data) {
			o.reached[i].position = string(position)
			break
		}
	}
	return append(sse.AppendID(dst, o.id()), rest...)
}

// own returns what a stream of the class Streams gets of b, in which each event is a hole. The
// caller releases it. It has no messages when the stream gets nothing.
func (l *loop) own(c *netpoll.Conn, b *buffer.Buffer) *buffer.Buffer {
	o := l.more(l.session(c)).stream
	own := buffer.New(b.Len() + len(b.Holes())*len(o.id()))
	for _, h := range b.Holes() {
		if slices.Contains(h.Conns, c.ID()) {
			continue
		}
		own.SetBytes(o.appendOwn(own.Bytes(), b.Bytes()[h.Start:h.End]))
		own.Messages += int(h.Messages)
	}
	return own
}

// giveEach is give for the class Streams.
func (l *loop) giveEach(b *buffer.Buffer, members []hub.Member, gather bool) {
	for i, m := range members {
		own := l.own(l.net.ConnAt(m.Conn), b)
		if own.Messages > 0 {
			l.give(own, members[i:i+1], gather)
		}
		own.Release()
	}
}

// ownForm is form, which a record has for the class of s, as s gets it. It is borrowed until the
// next call.
func (l *loop) ownForm(s *session, form []byte) []byte {
	if s.subs.Class != hub.Streams {
		return form
	}
	l.frame = l.more(s).stream.appendOwn(l.frame[:0], form)
	return l.frame
}
