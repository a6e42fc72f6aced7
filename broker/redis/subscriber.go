package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// A subscriber's server is asked for a sign of life every pingInterval; without any
// for silenceLimit the connection is lost.
const (
	pingInterval = 3 * time.Second
	silenceLimit = 10 * time.Second
	writeTimeout = 5 * time.Second
)

// errUnasked is why a subscription ended that nobody has given up: its slot has moved.
var errUnasked = errors.New("the server ended the subscription")

// command is commands that wait to be written.
type command struct {
	verb    string
	groups  [][]string    // one command for each
	written chan struct{} // closed when they are written
}

// subscriber is a connection that is used for subscriptions only. One goroutine
// reads, and never waits for a write; another one writes, so that nobody waits for a
// server that does not read.
type subscriber struct {
	conn  *serverConn
	to    broker.Sink       // its lost is not called
	lost  func(cause error) // called when the connection is lost, once
	done  chan struct{}     // closed when it is lost or closed
	heard time.Time         // when something was read last; for the reading goroutine
	out   []byte            // for the writing goroutine

	mu       sync.Mutex // a leaf lock
	asks     []command  // not written yet; what is asked for waits here, each channel once
	requests requestList
	left     int64 // subscriptions in force
	over     bool  // lost or closed

	wake    chan struct{} // holds one: asks has something
	running sync.WaitGroup
}

// newSubscriber takes over a connection; it tells to what happens until close.
func newSubscriber(conn *serverConn, to broker.Sink, lost func(cause error)) *subscriber {
	s := &subscriber{conn: conn, to: to, lost: lost, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.running.Go(s.read)
	s.running.Go(s.write)
	return s
}

// close ends the connection and waits for what it runs.
func (s *subscriber) close() {
	_, _ = s.finish(nil)
	s.running.Wait()
}

// finish ends the connection. first says that it had not ended before, and idle that it
// served nobody. From then on nothing more can be asked for.
func (s *subscriber) finish(err error) (idle, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false, false
	}
	s.over = true
	close(s.done)
	_ = s.conn.Close()
	return err == errIdle && s.left == 0 && len(s.asks) == 0 && s.requests.idle(), true
}

// fail ends the connection and tells why, unless it has ended already.
func (s *subscriber) fail(err error) {
	idle, first := s.finish(err)
	if !first {
		return
	}
	if err == io.EOF || err == errIdle && !idle {
		err = errors.New("closed by the server")
	}
	s.lost(fmt.Errorf("the connection for subscriptions to redis at %s: %w", s.conn.addr, err))
}

// ask sends one command for each group of channels. It may be called from any goroutine
// and does not wait: written is closed when they are written. It is nil when others still
// wait, as the server does not read what is written; and there is an error when the
// connection has ended.
func (s *subscriber) ask(verb string, groups ...[]string) (written <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, errIdle
	}
	a := command{verb: verb, groups: groups, written: make(chan struct{})}
	if s.asks = append(s.asks, a); len(s.asks) == 1 {
		written = a.written
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return written, nil
}

// askAgain asks one by one for channels that were asked for together. The caller holds mu.
func (s *subscriber) askAgain(requests ...request) {
	for _, q := range requests {
		a := command{verb: strings.ToUpper(q.verb), written: make(chan struct{})}
		for i := range q.channels[q.answered:] {
			a.groups = append(a.groups, q.channels[q.answered+i:][:1])
		}
		s.asks = append(s.asks, a)
	}
	if len(s.asks) > 0 {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// write sends what is asked for, and pings, until the connection ends.
func (s *subscriber) write() {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		var asks []command
		select {
		case <-s.done:
			return
		case <-tick.C:
			asks = []command{{verb: "PING"}}
		case <-s.wake:
			s.mu.Lock()
			asks = s.asks
			s.mu.Unlock()
		}
		for i := range asks {
			if err := s.send(&asks[i]); err != nil {
				s.fail(link.WithoutAddresses(err))
				return
			}
			if asks[i].written != nil {
				s.sent(asks[i].written)
			}
		}
	}
}

// send writes commands.
func (s *subscriber) send(a *command) error {
	s.mu.Lock()
	if a.verb == "PING" {
		s.requests.list = append(s.requests.list, request{verb: "pong"})
	}
	for _, channels := range a.groups {
		s.requests.list = append(s.requests.list, request{verb: strings.ToLower(a.verb), channels: channels})
	}
	s.mu.Unlock()
	s.out = s.out[:0]
	if a.verb == "PING" {
		s.out = appendCommand(s.out, a.verb)
	}
	for _, channels := range a.groups {
		s.out = appendCommand(s.out, a.verb, channels...)
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := s.conn.Write(s.out)
	if cap(s.out) > maxScratch {
		s.out = nil
	}
	return err
}

// sent takes the first of asks, which is written, off the list.
func (s *subscriber) sent(written chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks[0] = command{}
	if s.asks = s.asks[1:]; len(s.asks) == 0 {
		s.asks = nil
	}
	close(written)
}

// read handles what the server sends until the connection ends.
func (s *subscriber) read() {
	s.heard = time.Now()
	s.conn.in.br.Reset(silenceReader{s}) // all that was sent before is read: nothing was asked for yet
	for {
		m, err := s.conn.in.message()
		if err == nil {
			err = s.handle(&m)
		}
		if closedIdle(err, s.heard) {
			err = errIdle
		}
		if err != nil {
			s.fail(link.WithoutAddresses(err))
			return
		}
	}
}

// silenceReader reads from a connection for as long as there are signs of life.
type silenceReader struct{ s *subscriber }

func (r silenceReader) Read(b []byte) (int, error) {
	_ = r.s.conn.SetReadDeadline(time.Now().Add(silenceLimit))
	n, err := r.s.conn.Conn.Read(b)
	if n > 0 {
		r.s.heard = time.Now()
	}
	return n, err
}

// handle is one message of the server.
func (s *subscriber) handle(m *respMessage) error {
	if m.refusal != nil {
		return s.refused(m.refusal)
	}
	switch string(m.verb) {
	case "message", "smessage":
		s.to.Received(m.channel, m.content)
		return nil
	case "pong", "PONG":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.askAgain(s.requests.pong()...)
		return nil
	case "subscribe", "ssubscribe":
		s.confirmed(m)
		return nil
	case "unsubscribe", "sunsubscribe":
		s.mu.Lock()
		s.left = m.left
		ours := s.requests.ended(string(m.verb), m.channel)
		s.mu.Unlock()
		if !ours && len(m.channel) > 0 {
			s.to.Ended(string(m.channel), errUnasked)
		}
		return nil
	}
	return errRESP
}

// confirmed tells that a channel is subscribed to; one that nobody has asked for was given
// up for another reason.
func (s *subscriber) confirmed(m *respMessage) {
	s.mu.Lock()
	s.left = m.left
	channel, missed, ok := s.requests.confirm(string(m.verb), m.channel)
	s.askAgain(missed...)
	s.mu.Unlock()
	if ok {
		s.to.Confirmed(channel)
	}
}

// refused handles an error, which is the answer to a request as a whole. Which of several
// channels may not be subscribed to is found out by asking one by one.
func (s *subscriber) refused(cause error) error {
	refusal, _ := errors.AsType[respError](cause)
	s.mu.Lock()
	q, ok := s.requests.refused(refusal)
	if ok && q.subscribes() && len(q.channels) > 1 && !refusal.unreachable() {
		s.askAgain(q)
		q = request{}
	}
	s.mu.Unlock()
	switch {
	case !ok: // as when the server says goodbye
		return cause
	case !q.subscribes():
		return nil // a ping that is refused is a sign of life; what cannot be unsubscribed goes nowhere
	case strings.HasPrefix(string(refusal), "NOPERM") && strings.Contains(string(refusal), "to run the"):
		return fmt.Errorf("the DSN's user may not subscribe at all: %w", cause) // no other channel would fare better
	}
	for _, channel := range q.channels {
		s.to.Ended(channel, fmt.Errorf("redis refuses the subscription: %w", cause))
	}
	return nil
}

// await returns when commands are written, the connection is lost, or ctx ends.
func (s *subscriber) await(ctx context.Context, written <-chan struct{}) {
	if written == nil {
		return
	}
	select {
	case <-written:
	case <-s.done:
	case <-ctx.Done():
	}
}
