package wire

import (
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"wsify/internal/invariants"
)

// state is what a Reader keeps while the input ends inside a frame or a message. It
// belongs to its Reader, which returns it to a pool.
type state struct {
	head   header
	left   int  // payload bytes of the current frame that are missing
	taken  int  // payload bytes of the current frame that arrived
	inBody bool // head is set and the frame is not finished

	op       Opcode    // of the message in progress; OpContinuation when there is none
	deflated bool      // the message in progress is compressed
	text     textCheck // of the message in progress, unless it is compressed
	msg      *buffer   // payload of the message in progress; nil when empty

	lent bool           // the state holds the last event's payload, and nothing else
	err  *ProtocolError // sticky

	heldHead uint8 // header bytes in rawHead
	heldCtl  uint8 // control payload bytes in rawCtl
	rawHead  [maxHeader]byte
	rawCtl   [maxControl]byte
}

var states = sync.Pool{New: func() any { return new(state) }}

func newState() *state { return states.Get().(*state) }

// free returns the state and its buffer to their pools. The loan of both ends here.
func (s *state) free() {
	if s.msg != nil {
		s.msg.free()
	}
	*s = state{}
	if invariants.Enabled {
		invariants.Clobber(s.rawCtl[:])
	}
	states.Put(s)
}

// open reports whether a message is in progress.
func (s *state) open() bool { return s.op != ws.OpContinuation }

// empty reports whether no frame or message has begun.
func (s *state) empty() bool { return !s.inBody && s.heldHead == 0 && !s.open() }

// size returns how many bytes of the message in progress are kept.
func (s *state) size() int {
	if s.msg == nil {
		return 0
	}
	return len(s.msg.p)
}

// takeHeader takes header bytes from in and returns their number. If inBody is set
// afterwards, the header is complete; otherwise in is used up.
func (s *state) takeHeader(in []byte, maxMessage int, deflate bool) (n int, err *ProtocolError) {
	n = copy(s.rawHead[s.heldHead:], in)
	if s.deflated {
		maxMessage = int(deflatedRoom(room(maxMessage, 0)))
	}
	h, size, err := parseHeader(s.rawHead[:int(s.heldHead)+n], s.open(), deflate, room(maxMessage, s.size()))
	if err != nil {
		return n, err
	}
	if size == 0 {
		s.heldHead += uint8(n)
		return n, nil
	}
	n = size - int(s.heldHead)
	s.heldHead = 0
	s.head, s.left, s.taken, s.inBody = h, h.length, 0, true
	if h.op.IsData() && h.op != ws.OpContinuation {
		s.op, s.deflated = h.op, h.deflated
	}
	return n, nil
}

// takePayload takes piece, the next payload bytes of the current frame, unmasks
// it in place, and returns the event it completes, if any.
func (s *state) takePayload(piece []byte, maxMessage int) (ev Event, ok bool, err *ProtocolError) {
	ws.Cipher(piece, s.head.mask, s.taken)
	s.taken += len(piece)
	s.left -= len(piece)
	s.inBody = s.left > 0
	if s.head.op.IsControl() {
		ev, ok = s.takeControl(piece)
		return ev, ok, nil
	}
	if s.deflated {
		return s.takeDeflated(piece, maxMessage)
	}
	return s.takeData(piece)
}

// takeControl keeps the control payload until it is complete. A payload that
// arrived in one piece is lent from the input.
func (s *state) takeControl(piece []byte) (ev Event, ok bool) {
	if !s.inBody && s.heldCtl == 0 {
		return Event{s.head.op, piece}, true
	}
	s.heldCtl += uint8(copy(s.rawCtl[s.heldCtl:], piece))
	if s.inBody {
		return Event{}, false
	}
	payload := s.rawCtl[:s.heldCtl:s.heldCtl]
	s.heldCtl = 0
	s.lent = !s.open()
	return Event{s.head.op, payload}, true
}

// takeDeflated keeps compressed payload until the message is complete, then inflates it.
func (s *state) takeDeflated(piece []byte, maxMessage int) (ev Event, ok bool, err *ProtocolError) {
	if len(piece) > 0 {
		s.msg = s.msg.extend(piece)
	}
	if s.inBody || !s.head.fin {
		return Event{}, false, nil
	}
	packed := s.msg.extend(deflateTail)
	s.msg, err = inflate(packed.p, maxMessage)
	packed.free()
	if err != nil {
		return Event{}, false, err
	}
	payload := s.msg.p[:len(s.msg.p):len(s.msg.p)]
	if s.op == OpText && !utf8.Valid(payload) { // RFC 6455, section 8.1
		return Event{}, false, errText
	}
	ev = Event{s.op, payload}
	s.op, s.deflated, s.lent = ws.OpContinuation, false, true
	return ev, true, nil
}

// takeData keeps message payload until the message is complete. A payload that
// arrived in one piece is lent from the input.
func (s *state) takeData(piece []byte) (ev Event, ok bool, err *ProtocolError) {
	last := !s.inBody && s.head.fin
	if s.op == OpText && (!s.text.feed(piece) || last && !s.text.complete()) {
		return Event{}, false, errText // RFC 6455, section 8.1
	}
	if !last || s.size() > 0 {
		if len(piece) > 0 {
			s.msg = s.msg.extend(piece)
		}
		if !last {
			return Event{}, false, nil
		}
		piece = s.msg.p[:len(s.msg.p):len(s.msg.p)]
		s.lent = true
	}
	ev = Event{s.op, piece}
	s.op = ws.OpContinuation
	return ev, true, nil
}
