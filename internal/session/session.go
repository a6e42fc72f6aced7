package session

import (
	"sync/atomic"
	"time"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// session is the protocol state of one connection. It belongs to the connection's
// loop and lives in a slab, at the connection's slot.
//
// It is what every idle connection costs, and holds no pointer, so that the collector
// has nothing to read; all that is needed only now and then is an extra.
type session struct {
	subs  hub.Memberships // channels joined
	seen  uint32          // loop tick of the last bytes received
	more  extraRef        // none for an idle connection whose query need not be kept
	state state
}

// extraRef names an extra of the loop's in three bytes, as many as a slot has.
type extraRef [3]byte

var none extraRef

func (r extraRef) ref() uint32 { return uint32(r[0]) | uint32(r[1])<<8 | uint32(r[2])<<16 }

func refOf(n uint32) extraRef { return extraRef{byte(n), byte(n >> 8), byte(n >> 16)} }

// state is where a session stands.
type state uint8

const (
	handshaking state = iota // the request head is incomplete
	connecting               // the authorizer is asked about the upgrade
	open                     // frames are read
	pinged                   // open, and a ping was sent since the last bytes came
	parked                   // one command waits, nothing behind it is handled (I6)
	receiving                // the body of a publication is incomplete
	publishing               // the broker has a backend's publication; nothing is read
	kept                     // a request was answered, and the next may come
	ending                   // a Close frame or a last answer was sent
)

// why is what a parked session waits for. Each wait has its bound.
type why uint8

const (
	whyNothing      why = iota // it is not parked
	whyAuthorizer              // the decision: -authorizer-timeout from when it parked
	whyRoom                    // room in its channel: until the loops have delivered, or closed slow consumers
	whyBroker                  // room in the broker: until the engine has answered, or its link is given up
	whySubscription            // the broker's confirmation of a join: the broker's own timeout
)

// extra is the part of a session that most connections do not have most of the
// time.
type extra struct {
	reader     wire.Reader    // of a message that is incomplete
	begun      uint32         // loop tick at which that message was
	input      []byte         // incomplete head, or bytes behind what the session waits for
	searched   int            // bytes of input that were searched for the end of the head, or for pings
	reply      []byte         // 101 response, sent when the authorizer allows
	message    []byte         // the command that waits, as it came; borrowed by the call under way
	question   []byte         // about the upgrade; borrowed by the call under way
	gone       *atomic.Bool   // of the call under way: nobody waits for its answer
	why        why            // what a parked session waits for
	pinged     bool           // as the state pinged, for a parked session
	due        time.Time      // when it is too late for the authorizer's decision
	room       *hub.Waiter    // of message, in its channel
	brokerRoom *broker.Waiter // of message, in the broker
	asked      event          // what question is about
	post       *publication   // of a backend, in the states receiving and publishing
	query      string         // of the upgrade, as sent, for the authorizer
}

// empty reports whether nothing is worth keeping.
func (e *extra) empty() bool {
	return e.reader == wire.Reader{} && e.input == nil && e.reply == nil && e.message == nil && e.question == nil && e.query == ""
}

// more returns the session's extra; nil when there is none.
func (l *loop) more(s *session) *extra {
	if s.more == none {
		return nil
	}
	return l.extras.At(s.more.ref())
}

// extend returns the session's extra, made when there is none.
func (l *loop) extend(s *session) *extra {
	if s.more != none {
		return l.more(s)
	}
	ref, e := l.extras.Take()
	s.more = refOf(ref)
	return e
}

// trim gives up an extra that holds nothing. A parked session keeps it.
func (l *loop) trim(s *session) {
	if s.more != none && s.state != parked && l.more(s).empty() {
		l.forget(s)
	}
}

// forget gives up the session's extra, if there is one.
func (l *loop) forget(s *session) {
	if s.more != none {
		*l.more(s) = extra{}
		l.extras.Give(s.more.ref())
		s.more = none
	}
}

// drop gives up everything that is kept for a session that ends.
func (l *loop) drop(s *session) {
	if s.more == none {
		return
	}
	l.forgo(l.takeRoom(s))
	l.forgoBrokerRoom(s)
	e := l.more(s)
	if e.post != nil {
		l.underWay.Add(-1)
	}
	e.reader.Release()
	if e.gone != nil {
		e.gone.Store(true)
	}
	l.forget(s)
}

// session returns the session of c.
func (l *loop) session(c *netpoll.Conn) *session {
	return l.sessions.At(c.Slot())
}
