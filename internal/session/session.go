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
// Every idle connection has one. It holds no pointer, so the garbage collector need not
// scan it. State that is rarely needed is in an extra.
type session struct {
	subs  hub.Memberships // channels joined
	seen  uint32          // loop tick of the last bytes received
	more  extraRef        // none for an idle connection, unless its query is kept
	state state
}

// extraRef is the index of one of the loop's extras in three bytes, the size of a slot.
type extraRef [3]byte

var none extraRef

func (r extraRef) ref() uint32 { return uint32(r[0]) | uint32(r[1])<<8 | uint32(r[2])<<16 }

func refOf(n uint32) extraRef { return extraRef{byte(n), byte(n >> 8), byte(n >> 16)} }

// state is the state of a session.
type state uint8

const (
	handshaking state = iota // the request head is incomplete
	introducing              // the PROXY header before it is incomplete
	connecting               // the authorizer is asked about the upgrade
	open                     // frames are read
	pinged                   // open, and a ping was sent since the last bytes arrived
	parked                   // one command waits, nothing after it is handled (I6)
	streaming                // events are sent, and what the client sends is ignored
	receiving                // the body of a publication is incomplete
	publishing               // the broker has a backend's publication; reading is paused
	kept                     // a request was answered, and the next may follow
	ending                   // a Close frame or a last answer was sent
)

// why is what a parked session waits for. Each wait has a bound.
type why uint8

const (
	whyNothing      why = iota // the session is not parked
	whyAuthorizer              // the decision: -authorizer-timeout from when the session parked
	whyRoom                    // room in its channel: until the loops have delivered, or closed slow consumers
	whyBroker                  // room in the broker: until the engine has answered, or its link is given up
	whySubscription            // the broker's confirmation of a join: the broker's own timeout
	whyOthers                  // compressed messages behind the last one have their turn after other connections: one turn
	whyHistory                 // what a join has missed: readTimeout for each question, and until the client has read
)

// extra is the part of a session that most connections do not need most of the
// time.
type extra struct {
	reader     wire.Reader    // reader of an incomplete message
	begun      uint32         // loop tick at which that message began
	why        why            // what a parked session waits for
	pinged     bool           // like the state pinged, for a parked session
	asked      event          // the event that the authorizer is asked about
	revoked    bool           // an operator took the channel of the join that waits, so it is denied
	input      []byte         // incomplete head, or input after the request or command that waits
	searched   int            // bytes of input that were searched for the end of the head, or for pings
	reply      []byte         // 101 response, sent when the authorizer allows
	message    []byte         // the command that waits, as received; borrowed by the call in progress
	question   []byte         // body of the question about the upgrade; borrowed by the call in progress
	gone       *atomic.Bool   // set when the session no longer waits for the call in progress
	due        time.Time      // deadline of the authorizer's decision
	room       *hub.Waiter    // room for message in its channel, or a place in the queue
	brokerRoom *broker.Waiter // room for message in the broker, or a place in the queue
	spread     *spread        // message, if it goes to several channels and waits for room in one of them
	post       *pendingPost   // a backend's publication, in the states receiving and publishing
	stream     *opening       // a stream of events that is not open yet
	recovery   *recovery      // a join of a channel with history that is under way
	orders     []*Order       // of operators since the authorizer is asked about the connection, if its answer may be older
	joins      []string       // channels that the authorizer has ordered to join, and that are not confirmed
	query      string         // query of the upgrade, as sent, for the authorizer
}

// empty reports whether e holds nothing that must be kept.
func (e *extra) empty() bool {
	return e.reader == wire.Reader{} && e.input == nil && e.reply == nil && e.message == nil && e.question == nil && e.recovery == nil && e.joins == nil && e.query == ""
}

// more returns the session's extra, or nil if it has none.
func (l *loop) more(s *session) *extra {
	if s.more == none {
		return nil
	}
	return l.extras.At(s.more.ref())
}

// extend returns the session's extra. It makes one if there is none.
func (l *loop) extend(s *session) *extra {
	if s.more != none {
		return l.more(s)
	}
	ref, e := l.extras.Take()
	s.more = refOf(ref)
	return e
}

// trim frees an extra that is empty. A parked session keeps its extra.
func (l *loop) trim(s *session) {
	if s.more != none && s.state != parked && l.more(s).empty() {
		l.forget(s)
	}
}

// forget frees the session's extra, if there is one.
func (l *loop) forget(s *session) {
	if s.more != none {
		*l.more(s) = extra{}
		l.extras.Give(s.more.ref())
		s.more = none
	}
}

// drop frees everything that a session holds in its extra. The session ends.
func (l *loop) drop(s *session) {
	if s.more == none {
		return
	}
	l.forgo(l.takeRoom(s))
	l.forgoBrokerRoom(s)
	e := l.more(s)
	l.dropRecovery(e)
	if e.post != nil {
		l.underWay.Add(-1)
		if p := e.post.many; p != nil {
			p.stop(errPublisherGone)
		}
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
