package session

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"wsify/internal/command"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// maxKept is how many bytes of later input a parked session keeps before it is no longer
// read. One read may exceed it.
const maxKept = 64 << 10

// unkept is the value of searched for input that no parked session has kept.
const unkept = -1

// readFrames handles the frames in p, in order, until p is used up, the session parks,
// or it ends. If it parks, it keeps the rest of p. If p was kept before, searched is how
// many bytes of it were searched for pings; otherwise it is unkept.
//
// Most input consists of whole frames and leaves no state. Only the Reader of an
// incomplete message is kept with the session.
func (l *loop) readFrames(c *netpoll.Conn, s *session, p []byte, searched int) {
	size, inflated := len(p), 0
	var r wire.Reader
	if e := l.more(s); e != nil {
		r, e.reader = e.reader, wire.Reader{}
	}
	r.Deflate = s.deflated()
	begun := r.Idle() // an incomplete message at the end began in p
	for s.state == open {
		ev, n, ok, err := r.Next(p, l.node.cfg.MaxMessageSize)
		p = p[n:]
		if err != nil {
			l.protocolError(c, s, err)
		} else if !ok {
			break
		} else {
			l.event(c, s, ev)
			begun = begun || r.Idle()
			if r.Deflate {
				inflated += len(ev.Payload)
				l.letOthers(c, s, inflated, len(p))
			}
		}
	}
	if r.Idle() || s.state == ending {
		r.Release()
	} else {
		l.extend(s).reader = r
		if begun {
			l.startMessage(c, s)
		}
		l.hoard(c, s, size)
	}
	if s.state == parked {
		e := l.more(s)
		if searched == unkept {
			e.input = append(e.input, p...)
		} else {
			e.input, e.searched = p, max(searched-(size-len(p)), 0)
		}
		l.keep(c, s)
		l.hoard(c, s, len(p))
	}
	l.trim(s)
}

// keep searches the input that a parked session has kept. It answers pings at once, so
// that the peer does not take the connection for dead. All else keeps its order, also a
// Close frame and the end of the stream: commands before them still take effect.
func (l *loop) keep(c *netpoll.Conn, s *session) {
	e := l.more(s)
	for {
		control, next, ok := wire.FindControl(e.input, e.searched, s.deflated())
		e.searched = next
		if !ok {
			break
		}
		if control.Op == ws.OpPing {
			if l.pong(c, s, control.Payload); s.state != parked {
				return
			}
		}
		e.input = slices.Delete(e.input, control.Start, control.End)
	}
	switch {
	case len(e.input) >= maxKept:
		c.Pause()
	case c.Paused(): // some of the input was handled
		c.Resume()
	}
	c.HoldEnd()
}

// event handles one message or control frame. Its payload is borrowed.
func (l *loop) event(c *netpoll.Conn, s *session, ev wire.Event) {
	switch ev.Op {
	case ws.OpText:
		l.message(c, s, ev.Payload)
	case ws.OpBinary:
		if !utf8.Valid(ev.Payload) || !json.Valid(command.TrimBOM(ev.Payload)) {
			l.end(c, s, reasonUnsupported, wire.Unsupported, "binary messages must hold JSON text")
			return
		}
		l.message(c, s, ev.Payload)
	case ws.OpPing:
		l.pong(c, s, ev.Payload)
	case ws.OpClose:
		l.closeFrame(c, s, ev.Payload)
	case ws.OpPong: // any bytes count as alive
	}
}

// pong answers a ping with its payload; RFC 6455, section 5.5.3.
func (l *loop) pong(c *netpoll.Conn, s *session, payload []byte) {
	if l.corked == c {
		if l.answers > 0 || len(l.cork) > maxPongs {
			l.flushCork(c)
		}
		l.cork = wire.AppendFrame(l.cork, ws.OpPong, payload)
		return
	}
	var frame [2 + 125]byte
	l.sendUrgent(c, s, wire.AppendFrame(frame[:0], ws.OpPong, payload))
}

// maxPongs is how many bytes of pongs are sent at once. Pongs may exceed the high-water
// mark, but not by much.
const maxPongs = 8 << 10

// closeFrame answers the peer's Close frame with its code, or with 1002 or 1007
// when the frame is wrong; RFC 6455, section 5.5.1.
func (l *loop) closeFrame(c *netpoll.Conn, s *session, payload []byte) {
	code, _, err := wire.ParseClose(payload)
	if err != nil {
		l.protocolError(c, s, err)
		return
	}
	if code == wire.NoStatus {
		code = 0 // the answer to an empty Close frame is empty
	}
	l.end(c, s, reasonClientClose, code, "")
}

// protocolError ends the session with the close code of the peer's error.
func (l *loop) protocolError(c *netpoll.Conn, s *session, err error) {
	code, detail := wire.ProtocolViolation, ""
	if e, ok := err.(*wire.ProtocolError); ok {
		code, detail = e.Code, e.Detail
	}
	if l.node.debugging() {
		l.node.log.Debug("protocol error", "conn", l.node.connID(c.ID()), "code", uint16(code), "detail", detail)
	}
	l.end(c, s, reasonOf(code), code, detail)
}
