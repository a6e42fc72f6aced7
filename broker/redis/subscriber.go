package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// Without any sign of life from a subscriber's server for silenceLimit the connection is
// lost.
const (
	silenceLimit = 10 * time.Second
	writeTimeout = 5 * time.Second // for writeChunk
	writeChunk   = 1 << 20
)

// errUnasked is why a subscription ended that nobody has given up: its slot has moved.
var errUnasked = errors.New("the server ended the subscription")

// subscriber is a connection that is used for subscriptions only. One goroutine
// reads, and never waits for a write; another one writes, so that nobody waits for a
// server that does not read.
type subscriber struct {
	conn    *serverConn
	to      broker.Sink       // its Lost is called by lost alone, if at all
	lost    func(cause error) // called when the connection is lost, once
	done    chan struct{}     // closed when it is lost or closed
	wake    chan struct{}     // holds one: out has something
	running sync.WaitGroup

	mu       sync.Mutex // a leaf lock
	requests requestList
	out      []byte        // commands that are not written yet: each channel that is asked for, and pings
	written  chan struct{} // closed when all commands are written; nil then
	over     bool          // lost or closed
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
	s.finish()
	s.running.Wait()
}

// finish ends the connection, and reports whether it had not ended before.
func (s *subscriber) finish() (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.over = true
	close(s.done)
	_ = s.conn.Close()
	return true
}

// fail ends the connection and tells why, unless it has ended already.
func (s *subscriber) fail(err error) {
	if !s.finish() {
		return
	}
	if err == io.EOF {
		err = errors.New("closed by the server")
	}
	s.lost(fmt.Errorf("the connection for subscriptions to redis at %s: %w", s.conn.addr, link.WithoutAddresses(err)))
}

// ask sends commands, and does not wait: written is closed when they are written. It is
// nil when others still wait, as the server does not read what is written, and when the
// connection has ended.
func (s *subscriber) ask(requests ...request) (written <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := s.written == nil
	s.send(requests...)
	if idle {
		written = s.written
	}
	return written
}

// change asks for one change to channels, and returns when that is written.
func (s *subscriber) change(ctx context.Context, verb string, channels []string) error {
	s.await(ctx, s.ask(request{verb: verb, channels: slices.Clone(channels)}))
	return ctx.Err()
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

// send has commands written. The caller holds mu.
func (s *subscriber) send(requests ...request) {
	if s.over || len(requests) == 0 {
		return
	}
	for _, q := range requests {
		s.out = q.appendTo(s.out)
	}
	s.requests.list = append(s.requests.list, requests...)
	if s.written == nil {
		s.written = make(chan struct{})
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// askAgain asks one by one for channels that were asked for together. The caller holds mu.
func (s *subscriber) askAgain(requests ...request) {
	for _, q := range requests {
		for channels := range slices.Chunk(q.channels[q.answered:], 1) {
			s.send(request{verb: q.verb, channels: channels})
		}
	}
}

// write writes commands, and asks for signs of life, until the connection ends.
func (s *subscriber) write() {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			s.ask(request{verb: "pong"})
		case <-s.wake:
			for out := s.take(); len(out) > 0; out = s.take() {
				if err := s.writeAll(out); err != nil {
					s.fail(err)
					return
				}
			}
		}
	}
}

// take returns commands to write, none when all are written.
func (s *subscriber) take() (out []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, s.out = s.out, nil
	if len(out) == 0 && s.written != nil {
		close(s.written)
		s.written = nil
	}
	return out
}

func (s *subscriber) writeAll(out []byte) error {
	for chunk := range slices.Chunk(out, writeChunk) {
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := s.conn.Write(chunk); err != nil {
			return err
		}
	}
	return nil
}

// read handles what the server sends until the connection ends.
func (s *subscriber) read() {
	s.conn.in.br.Reset(silenceReader{s.conn.Conn}) // all that was sent before is read: nothing was asked for yet
	for {
		m, err := s.conn.in.message()
		if refusal, refused := errors.AsType[respError](err); refused {
			err = s.refused(refusal)
		} else if err == nil {
			err = s.handle(&m)
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// silenceReader reads from a connection for as long as there are signs of life.
type silenceReader struct{ conn net.Conn }

func (r silenceReader) Read(b []byte) (int, error) {
	_ = r.conn.SetReadDeadline(time.Now().Add(silenceLimit))
	return r.conn.Read(b)
}

// handle is one message of the server.
func (s *subscriber) handle(m *respMessage) error {
	switch string(m.verb) {
	case "message", "smessage":
		s.to.Received(m.channel, m.content)
	case "pong", "PONG":
		s.mu.Lock()
		s.askAgain(s.requests.pong()...)
		s.mu.Unlock()
	case "subscribe", "ssubscribe":
		s.confirmed(m)
	case "unsubscribe", "sunsubscribe":
		s.mu.Lock()
		ours := s.requests.ended(string(m.verb), m.channel)
		s.mu.Unlock()
		if !ours && len(m.channel) > 0 {
			s.to.Ended(string(m.channel), errUnasked)
		}
	default:
		return errRESP
	}
	return nil
}

// confirmed tells that a channel is subscribed to; one that nobody has asked for was given
// up for another reason.
func (s *subscriber) confirmed(m *respMessage) {
	s.mu.Lock()
	channel, missed, ok := s.requests.confirm(string(m.verb), m.channel)
	s.askAgain(missed...)
	s.mu.Unlock()
	if ok {
		s.to.Confirmed(channel)
	}
}

// refused handles an error, which is the answer to a request as a whole. Which of several
// channels may not be subscribed to is found out by asking one by one.
func (s *subscriber) refused(refusal respError) error {
	s.mu.Lock()
	q, ok := s.requests.refused(refusal)
	if ok && q.subscribes() && len(q.channels) > 1 && !refusal.unreachable() {
		s.askAgain(q)
		q = request{}
	}
	s.mu.Unlock()
	switch {
	case !ok: // as when the server says goodbye
		return refusal
	case !q.subscribes():
		return nil // a ping that is refused is a sign of life; what cannot be unsubscribed goes nowhere
	case strings.HasPrefix(string(refusal), "NOPERM") && strings.Contains(string(refusal), "to run the"):
		return fmt.Errorf("the DSN's user may not subscribe at all: %w", refusal) // no other channel would fare better
	}
	for _, channel := range q.channels {
		s.to.Ended(channel, fmt.Errorf("redis refuses the subscription: %w", refusal))
	}
	return nil
}
