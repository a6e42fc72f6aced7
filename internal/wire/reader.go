package wire

import (
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Event is what a client sent: a whole message (OpText or OpBinary) or a control
// frame (OpClose, OpPing or OpPong). The text of an OpText event is valid UTF-8. A
// Close payload is not checked here; see [ParseClose].
type Event struct {
	Op      Opcode
	Payload []byte // borrowed; see Reader.Next
}

// Reader turns the bytes of one client into events. It belongs to the goroutine
// that reads the connection. The zero value is ready.
//
// A Reader is a pointer, nil while nothing is buffered, and a flag that its user knows
// from elsewhere: it need not be kept between messages.
type Reader struct {
	// Deflate says that permessage-deflate was agreed on: messages may be compressed.
	Deflate bool

	st *state
}

// Next takes bytes from in and returns the first event they complete, with n, the
// number of bytes taken. When ok is false, all of in was taken and more input is
// needed. Call it with the rest of in until ok is false. The last call is needed
// even if nothing is left: it frees the memory of the previous event.
//
// A message of more than maxMessage bytes, the sum of its fragments, is refused
// as soon as a header proves it. Zero or less admits only empty messages. A compressed
// message is inflated when it is complete, and refused when it proves to be larger.
//
// The event's payload is borrowed: it is valid until the next call of Next or
// Release, or until in is overwritten. Next unmasks in place, so the bytes of in
// that were taken are spoilt.
//
// Any error is a [*ProtocolError]. It is final, n is then len(in), and every
// later call returns the same error until Release.
func (r *Reader) Next(in []byte, maxMessage int) (ev Event, n int, ok bool, err error) {
	if r.st != nil {
		if !r.st.lent {
			return r.assemble(in, maxMessage)
		}
		r.Release()
	}
	if len(in) == 0 {
		return Event{}, 0, false, nil
	}
	h, size, bad := parseHeader(in, false, r.Deflate, room(maxMessage, 0))
	if bad != nil {
		return r.fail(in, bad)
	}
	if size == 0 || in[0]&(bitFin|bitRSV1) != bitFin || h.length > len(in)-size {
		r.st = newState()
		return r.assemble(in, maxMessage)
	}
	n = size + h.length
	payload := in[size:n:n]
	ws.Cipher(payload, h.mask, 0)
	if h.op == OpText && !utf8.Valid(payload) { // RFC 6455, section 8.1
		return r.fail(in, errText)
	}
	return Event{h.op, payload}, n, true, nil
}

// assemble is Next with a state: for incomplete frames and fragmented messages.
func (r *Reader) assemble(in []byte, maxMessage int) (ev Event, n int, ok bool, err error) {
	s := r.st
	if s.err != nil {
		return Event{}, len(in), false, s.err
	}
	for {
		if !s.inBody {
			used, bad := s.takeHeader(in[n:], maxMessage, r.Deflate)
			if bad != nil {
				return r.fail(in, bad)
			}
			n += used
			if !s.inBody {
				break
			}
		}
		piece := in[n : n+min(s.left, len(in)-n)]
		piece = piece[:len(piece):len(piece)]
		n += len(piece)
		ev, ok, bad := s.takePayload(piece, maxMessage)
		if bad != nil {
			return r.fail(in, bad)
		}
		if ok {
			r.settle()
			return ev, n, true, nil
		}
		if s.inBody {
			break
		}
	}
	r.settle()
	return Event{}, n, false, nil
}

// settle frees the state when there is nothing to keep and nothing lent.
func (r *Reader) settle() {
	if r.st.empty() && !r.st.lent {
		r.Release()
	}
}

// fail discards what was buffered and makes the error permanent.
func (r *Reader) fail(in []byte, bad *ProtocolError) (Event, int, bool, error) {
	r.Release()
	r.st = newState()
	r.st.err = bad
	return Event{}, len(in), false, bad
}

// Idle reports whether the Reader is between messages: no frame or message has
// begun, and it has not failed.
func (r *Reader) Idle() bool { return r.st == nil || r.st.lent }

// Buffered returns how many bytes of an unfinished frame or message are kept:
// payload and the received part of an incomplete header.
func (r *Reader) Buffered() int {
	if r.Idle() {
		return 0
	}
	return int(r.st.heldHead) + int(r.st.heldCtl) + r.st.size()
}

// Release frees everything buffered and ends the loan of the last event. It also
// discards a frame or message in progress, and an error: the Reader is then as new.
// It does nothing on an idle Reader that lends nothing.
func (r *Reader) Release() {
	if r.st != nil {
		r.st.free()
		r.st = nil
	}
}

// room returns how many bytes a message may still take after have bytes.
func room(maxMessage, have int) uint64 {
	return uint64(max(maxMessage-have, 0))
}
