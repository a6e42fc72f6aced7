package server

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"wsify/internal/command"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// readFrames handles the frames in p, in order, until p is used up, the session
// parks, or it ends. What is behind a command that parks is kept.
//
// Most input is whole frames and leaves nothing behind: only the Reader of an
// incomplete message is kept with the session.
func (l *loop) readFrames(c *netpoll.Conn, s *session, p []byte) {
	var r wire.Reader
	if e := l.more(s); e != nil {
		r, e.reader = e.reader, wire.Reader{}
	}
	begun := r.Idle() // a message in p, and not one before
	for s.state == open {
		ev, n, ok, err := r.Next(p, l.srv.cfg.MaxMessageSize)
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
	if s.state == parked && len(p) > 0 {
		e := l.extend(s)
		e.input = append(e.input, p...)
	}
	l.trim(s)
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
	l.flushCork(c)
	var frame [2 + 125]byte
	if !c.SendUrgent(wire.AppendFrame(frame[:0], ws.OpPong, payload)) && c.Open() {
		l.slowConsumer(c, s)
	}
}

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
	if l.srv.debugging() {
		l.srv.log.Debug("protocol error", "conn", l.srv.connID(c.ID()), "code", uint16(code), "detail", detail)
	}
	l.end(c, s, reasonOf(code), code, detail)
}
