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

// maxKept is how many bytes a parked session keeps, of those that came behind what it
// waits for, before it is not read any more. One read may go beyond it.
const maxKept = 64 << 10

// unkept says of input that it is not what a parked session has kept.
const unkept = -1

// readFrames handles the frames in p, in order, until p is used up, the session
// parks, or it ends. What is behind a command that parks is kept. searched is how much
// of p, which was kept then, has been searched for pings.
//
// Most input is whole frames and leaves nothing behind: only the Reader of an
// incomplete message is kept with the session.
func (l *loop) readFrames(c *netpoll.Conn, s *session, p []byte, searched int) {
	size := len(p)
	var r wire.Reader
	if e := l.more(s); e != nil {
		r, e.reader = e.reader, wire.Reader{}
	}
	begun := r.Idle() // a message in p, and not one before
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
		}
	}
	if r.Idle() || s.state == ending {
		r.Release()
	} else {
		l.extend(s).reader = r
		if begun {
			l.startMessage(c, s)
		}
	}
	if s.state == parked {
		e := l.more(s)
		if searched == unkept {
			e.input = append(e.input, p...)
		} else {
			e.input, e.searched = p, max(searched-(size-len(p)), 0)
		}
		l.keep(c, s)
	}
	l.trim(s)
}

// keep looks through what a parked session has kept. Its pings are answered at once, so
// that the peer need not take it for dead; what is to be handled in order stays, and so
// do a Close frame and the end of the stream: what was sent before them still counts.
func (l *loop) keep(c *netpoll.Conn, s *session) {
	e := l.more(s)
	for {
		control, next, ok := wire.FindControl(e.input, e.searched)
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
	case c.Paused(): // some of it was handled
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

// maxPongs is how many bytes of pongs are sent at once: they may pass the high-water
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
		code = 0 // an empty Close frame is answered by an empty one
	}
	l.end(c, s, reasonClientClose, code, "")
}

// protocolError ends the session with the close code of what the peer broke.
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
