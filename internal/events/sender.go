package events

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync/atomic"
	"time"

	"wsify/auth"
	"wsify/internal/lastread"
)

const (
	maxQueue   = 10_000      // events that wait; further ones are lost
	maxBatch   = 100         // events in a POST
	sendEvery  = time.Second // how long an event waits for others
	retryAfter = time.Second // the pause before the one retry
)

// Config says which events are sent, and where to. Open copies it.
type Config struct {
	Kinds   []string      // names of kinds
	URL     string        // of the webhook, as in auth.Config
	Timeout time.Duration // of one try
	TLS     *tls.Config   // nil: Go's defaults
	Node    string        // names this node in each event
	Logger  *slog.Logger  // limits how often a message repeats
}

// Reasons why an event was lost.
const (
	lostQueueFull = iota // too many wait
	lostRefused          // the webhook has answered something else than 2xx, twice
	lostNoAnswer         // the webhook did not answer, twice
	lostShutdown         // there was no time left
	numLost
)

var lostNames = [numLost]string{"queue_full", "refused", "no_answer", "shutdown"}

// Sender sends events. Its methods may be called from any goroutine. A nil Sender wants no events.
type Sender struct {
	wants    [numKinds]bool // immutable
	node     string         // immutable
	client   *auth.Client
	log      *slog.Logger
	channels *Channels // nil when no event of channels is wanted

	queue    chan *Event
	full     chan struct{} // has a value when a batch is full
	stopping chan struct{} // closed by Stop, after due was set
	done     chan struct{} // closed at the end of run
	due      time.Time     // the end of Stop
	pause    time.Duration // before a retry
	every    time.Duration
	current  atomic.Pointer[batch]
	batches  uint64 // that were made; owned by run

	sent [numKinds]atomic.Uint64
	lost [numLost]atomic.Uint64
}

// Open returns nil when no kinds are wanted. Call Start next.
func Open(cfg Config) (*Sender, error) {
	if len(cfg.Kinds) == 0 {
		return nil, nil
	}
	s := &Sender{
		node: cfg.Node, log: cfg.Logger, queue: make(chan *Event, maxQueue), full: make(chan struct{}, 1),
		stopping: make(chan struct{}), done: make(chan struct{}), pause: retryAfter, every: sendEvery,
	}
	for _, name := range cfg.Kinds {
		kind, err := ParseKind(name)
		if err != nil {
			return nil, err
		}
		s.wants[kind] = true
	}
	if s.wants[Occupied] || s.wants[Vacated] {
		s.channels = &Channels{sender: s, settle: settleTime, most: maxChanges}
	}
	var err error
	s.client, err = auth.New(auth.Config{URL: cfg.URL, Timeout: cfg.Timeout, MaxConns: 1, HeadDecides: true, TLSConfig: cfg.TLS, Setting: "-events-url"})
	return s, err
}

// Wants reports whether events of this kind are sent.
func (s *Sender) Wants(kind Kind) bool { return s != nil && s.wants[kind] }

// Channels returns what has to be told of first and last members; nil when nothing has.
func (s *Sender) Channels() *Channels {
	if s == nil {
		return nil
	}
	return s.channels
}

// Add takes e, which it owns from then on, if the kind is wanted. It never waits: without room in
// the queue e is lost and counted.
func (s *Sender) Add(e *Event) {
	if !s.Wants(e.Kind) {
		return
	}
	e.Node, e.Time = s.node, stamp(e.Time)
	select {
	case s.queue <- e:
	default:
		s.lost[lostQueueFull].Add(1)
		return
	}
	if len(s.queue) >= maxBatch {
		select {
		case s.full <- struct{}{}:
		default: // run has been told
		}
	}
}

// Start begins to send.
func (s *Sender) Start() {
	if s != nil {
		go s.run()
	}
}

// Check logs whether the webhook can be reached. It waits for that, at most for Config.Timeout.
func (s *Sender) Check() {
	if s == nil {
		return
	}
	if report, err := s.client.Check(context.Background()); err != nil {
		s.log.Warn("the webhook for events cannot be reached", "url", report.URL, "hint", report.Hint, "err", noAnswer(err))
	} else {
		s.log.Info("the webhook for events is reached", "url", report.URL, "addr", report.Addr)
	}
}

// Stop sends what waits, at most until due, and ends the Sender. What is left is counted as lost.
// Nothing may be added any more. It must be called once, after Start.
func (s *Sender) Stop(due time.Time) {
	if s == nil {
		return
	}
	s.due = due
	close(s.stopping)
	lastread.Receive(s.done, max(time.Until(due), 0))
	lost := 0
	if b := s.current.Load(); b != nil && s.settle(b, lostShutdown) {
		lost = len(b.Events)
	}
	for events := s.rest(); len(events) > 0; events = s.rest() {
		s.lost[lostShutdown].Add(uint64(len(events)))
		lost += len(events)
	}
	if lost > 0 { // nobody can read the counters any more
		s.log.Warn("events are lost: the shutdown left no time for them", "events", lost, "reason", lostNames[lostShutdown])
	}
	s.client.Close()
}

// Stats are counters since the start. Maps have all values of their label.
type Stats struct {
	Waiting int               // events, and channels that may become some
	Sent    map[string]uint64 // events that the webhook has taken, by kind
	Lost    map[string]uint64 // by reason
}

// Stats returns the zero value for a nil Sender.
func (s *Sender) Stats() (st Stats) {
	if s == nil {
		return st
	}
	st = Stats{Waiting: len(s.queue) + s.channels.waiting(), Sent: map[string]uint64{}, Lost: map[string]uint64{}}
	for i, name := range kindNames {
		st.Sent[name] = s.sent[i].Load()
	}
	for i, name := range lostNames {
		st.Lost[name] = s.lost[i].Load()
	}
	return st
}
