package session

import (
	"wsify/hub"
	"wsify/internal/buffer"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// deflated reports whether the client has agreed on compression.
func (s *session) deflated() bool { return voices[s.subs.Class].deflated }

// agreeToDeflate answers an offer of compression that can be accepted: it adds the answer to
// reply, and gives the session the class that goes with it.
func (l *loop) agreeToDeflate(s *session, r *wire.Request, reply []byte) []byte {
	d, ok := r.Deflate()
	if !ok {
		return reply
	}
	plain := s.subs.Class
	for class, v := range voices {
		if v.deflated && v.plain == plain && v.narrow == d.Narrow() {
			s.subs.Class = hub.Class(class)
			return d.AppendTo(reply)
		}
	}
	return reply
}

// speak encodes a publication for a class. A class with compression has the frame of its
// plain class where that is not worth compressing.
func (n *Node) speak(f *hub.Frames, class hub.Class, p published) {
	v := &voices[class]
	if !v.deflated {
		f[class] = v.publication(p)
		f[class].Stamp = p.stamp
		if v.apart {
			f[class].Apart(p.except)
		} else {
			f[class].Except(p.except)
		}
		return
	}
	if f[v.plain] == nil {
		n.speak(f, v.plain, p)
	}
	f[class] = n.deflate(f[v.plain], v.narrow)
}

// deflate returns a compressed form of plain, or one more reference to it.
func (n *Node) deflate(plain *buffer.Buffer, narrow bool) (b *buffer.Buffer) {
	n.deflater.Deflate(plain.Bytes(), narrow, func(frame []byte) {
		b = buffer.New(len(frame))
		b.Append(frame, plain.Messages)
		b.Stamp = plain.Stamp
		for _, h := range plain.Holes() { // at most one, for all bytes
			b.Except(h.Conns)
		}
	})
	if b == nil {
		b = plain.Retain()
	}
	return b
}

// maxInflated is how many bytes of messages a session with compression handles before other
// connections have their turn. Without it, a read of 64 KiB could hold a thousand messages of the
// largest size, and the loop for tens of milliseconds.
const maxInflated = 256 << 10

// letOthers parks a session that has inflated much, if there is more input: it goes on in the
// next turn.
func (l *loop) letOthers(c *netpoll.Conn, s *session, inflated, left int) {
	if inflated < maxInflated || left == 0 || s.state != open {
		return
	}
	l.park(c, s, nil, whyOthers)
	l.net.PostTo(c.ID(), func(c *netpoll.Conn) {
		if s := l.session(c); c.Open() && s.state == parked && l.more(s).why == whyOthers {
			l.resume(c, s)
		}
	})
}
