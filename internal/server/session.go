package server

import (
	"sync/atomic"

	"wsify/hub"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// session is the protocol state of one connection. It belongs to the connection's
// loop and lives in a slab, at the connection's slot.
//
// It is what every idle connection costs, so all that is needed only now and then
// is behind more.
type session struct {
	subs   hub.Memberships // channels joined
	more   *extra          // nil for an idle connection whose query need not be kept
	seen   uint32          // loop tick of the last bytes received
	state  state
	pinged bool // a ping was sent and nothing has come since
}

// state is where a session stands.
type state uint8

const (
	handshaking state = iota // the request head is incomplete
	connecting               // the authorizer is asked about the upgrade
	open                     // frames are read
	parked                   // one command waits; nothing is read (I6)
	ending                   // a Close frame or a refusal was sent
)

// extra is the part of a session that most connections do not have most of the
// time.
type extra struct {
	reader   wire.Reader  // of a message that is incomplete
	input    []byte       // incomplete head, or bytes behind what the session waits for
	searched int          // bytes of input that were searched for the end of the head
	reply    []byte       // 101 response, sent when the authorizer allows
	message  []byte       // the command that waits, as it came; borrowed by the call under way
	question []byte       // about the upgrade; borrowed by the call under way
	gone     *atomic.Bool // of the call under way: nobody waits for its answer
	allowed  bool         // message has been authorized; it waits for room
	room     *hub.Waiter  // of message, in its channel; nil when it waits for the broker
	asked    event        // what question is about
	query    string       // of the upgrade, as sent, for the authorizer
}

// empty reports whether nothing is worth keeping.
func (e *extra) empty() bool {
	return e.reader == wire.Reader{} && e.input == nil && e.reply == nil && e.message == nil && e.question == nil && e.query == ""
}

// extend returns the session's extra, made when there is none.
func (s *session) extend() *extra {
	if s.more == nil {
		s.more = new(extra)
	}
	return s.more
}

// trim gives up an extra that holds nothing. A parked session keeps it.
func (s *session) trim() {
	if s.more != nil && s.state != parked && s.more.empty() {
		s.more = nil
	}
}

// drop gives up everything that is kept for a session that ends.
func (l *loop) drop(s *session) {
	if s.more == nil {
		return
	}
	l.forgo(s.takeRoom())
	s.more.reader.Release()
	if s.more.gone != nil {
		s.more.gone.Store(true)
	}
	s.more = nil
}

// session returns the session of c.
func (l *loop) session(c *netpoll.Conn) *session {
	return l.sessions.At(c.Slot())
}
