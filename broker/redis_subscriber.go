package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A subscriber's server is asked for a sign of life every pingInterval; without any
// for silenceLimit the connection is lost.
const (
	redisPingInterval = 3 * time.Second
	redisSilenceLimit = 10 * time.Second
	redisWriteTimeout = 5 * time.Second
)

// redisRequest is a command whose answers have not all come.
type redisRequest struct {
	verb     string   // as the server answers: subscribe, unsubscribe, ssubscribe, sunsubscribe, pong
	channels []string // one answer for each, in this order, or one refusal for all
	answered int
}

// redisSubscriber is a connection that is used for subscriptions only. It is our own and
// not rueidis': that one panics, in a goroutine of its own, when a PING behind an
// UNSUBSCRIBE is answered by an error that it does not know, as MISCONF, which a
// server with a full disk gives; and it makes strings of each message.
//
// The server answers in the order of commands. What a command was is known from
// its place in the queue of requests, so a refusal is known to be of which channels.
type redisSubscriber struct {
	conn *redisConn
	to   sink
	done chan struct{} // closed when close begins

	writing sync.Mutex // held while commands are written, so that requests has their order
	out     []byte     // guarded by writing

	mu       sync.Mutex // a leaf lock
	requests []redisRequest
	again    [][]string // channels to ask for one by one, by their command
	verbs    []string   // and that command, for each

	wake    chan struct{} // holds one: again has something
	once    sync.Once
	running sync.WaitGroup
}

// newRedisSubscriber takes over a connection; it tells to what happens until close.
func newRedisSubscriber(conn *redisConn, to sink) *redisSubscriber {
	s := &redisSubscriber{conn: conn, to: to, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.running.Go(s.read)
	s.running.Go(s.keepAlive)
	return s
}

// close ends the connection and waits for what it runs.
func (s *redisSubscriber) close() {
	s.once.Do(func() {
		close(s.done)
		_ = s.conn.Close()
	})
	s.running.Wait()
}

// ask sends one command for each group of channels. It may be called from any
// goroutine, and returns when they are written.
func (s *redisSubscriber) ask(ctx context.Context, verb string, groups ...[]string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.out = s.out[:0]
	s.mu.Lock()
	for _, channels := range groups {
		s.requests = append(s.requests, redisRequest{verb: strings.ToLower(verb), channels: channels})
	}
	s.mu.Unlock()
	for _, channels := range groups {
		s.out = appendCommand(s.out, verb, channels...)
	}
	return s.write(ctx)
}

// ping asks for a sign of life.
func (s *redisSubscriber) ping() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	s.requests = append(s.requests, redisRequest{verb: "pong"})
	s.mu.Unlock()
	s.out = appendCommand(s.out[:0], "PING")
	return s.write(context.Background())
}

// write sends out. It may take redisWriteTimeout, or as long as ctx. The caller
// holds writing.
func (s *redisSubscriber) write(ctx context.Context) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(redisWriteTimeout))
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := s.conn.Write(s.out)
	if cap(s.out) > maxScratch {
		s.out = nil
	}
	if err != nil {
		return s.broke(err)
	}
	return nil
}

// broke says what happened to the connection.
func (s *redisSubscriber) broke(err error) error {
	if err == io.EOF {
		err = errors.New("closed by the server")
	}
	return fmt.Errorf("the connection for subscriptions to redis at %s: %w", s.conn.addr, err)
}

// read handles what the server sends until the connection ends.
func (s *redisSubscriber) read() {
	s.conn.in.br.Reset(silenceReader{s.conn}) // all that was sent before is read: nothing was asked for yet
	for {
		m, err := s.conn.in.message()
		if err == nil {
			err = s.handle(&m)
		}
		if err != nil {
			s.fail(s.broke(err))
			return
		}
	}
}

// fail tells that the connection is lost, unless it was closed by us.
func (s *redisSubscriber) fail(cause error) {
	select {
	case <-s.done:
	default:
		s.to.lost(cause)
	}
}

// silenceReader reads from a connection for as long as there are signs of life.
type silenceReader struct{ c *redisConn }

func (r silenceReader) Read(b []byte) (int, error) {
	_ = r.c.SetReadDeadline(time.Now().Add(redisSilenceLimit))
	return r.c.Conn.Read(b)
}

// handle is one message of the server.
func (s *redisSubscriber) handle(m *respMessage) error {
	if m.refusal != nil {
		return s.refused(m.refusal)
	}
	switch string(m.verb) {
	case "message", "smessage":
		s.to.received(m.channel, m.content)
		return nil
	case "pong", "PONG":
		_, _, err := s.answer("pong", nil)
		return err
	case "subscribe", "ssubscribe":
		channel, ours, err := s.answer(string(m.verb), m.channel)
		if err == nil && !ours {
			err = errRESP
		}
		if err == nil {
			s.to.confirmed(channel)
		}
		return err
	case "unsubscribe", "sunsubscribe":
		_, ours, err := s.answer(string(m.verb), m.channel)
		if err == nil && !ours && len(m.channel) > 0 { // a slot moved away
			s.to.ended(string(m.channel), errors.New("the server ended the subscription"))
		}
		return err
	}
	return errRESP
}

// answer takes an answer off the oldest request and returns the channel, as it was
// asked for. It is not ours when that request is about something else.
func (s *redisSubscriber) answer(verb string, channel []byte) (name string, ours bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		return "", false, nil
	}
	q := &s.requests[0]
	if q.verb != verb {
		return "", false, nil
	}
	if verb != "pong" {
		name = q.channels[q.answered]
		if !bytes.Equal(bytesOf(name), channel) {
			return "", false, nil
		}
		q.answered++
	}
	if q.answered == len(q.channels) {
		s.pop()
	}
	return name, true, nil
}

// pop forgets the oldest request. The caller holds mu.
func (s *redisSubscriber) pop() {
	s.requests[0] = redisRequest{}
	s.requests = s.requests[1:]
	if len(s.requests) == 0 {
		s.requests = nil
	}
}

// refused handles an error, which is the answer to the oldest request as a whole.
// Which of several channels it is about is found out by asking one by one.
func (s *redisSubscriber) refused(cause error) error {
	s.mu.Lock()
	if len(s.requests) == 0 { // as when the server says goodbye
		s.mu.Unlock()
		return cause
	}
	q := s.requests[0]
	s.pop()
	subscribing := q.verb == "subscribe" || q.verb == "ssubscribe"
	if subscribing && len(q.channels) > 1 && !strings.HasPrefix(cause.Error(), "MOVED") {
		s.again = append(s.again, q.channels)
		s.verbs = append(s.verbs, strings.ToUpper(q.verb))
		select {
		case s.wake <- struct{}{}:
		default:
		}
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	switch {
	case subscribing && strings.HasPrefix(cause.Error(), "NOPERM") && strings.Contains(cause.Error(), "to run the"):
		return fmt.Errorf("the DSN's user may not subscribe at all: %w", cause) // no other channel would fare better
	case subscribing:
		for _, channel := range q.channels {
			s.to.ended(channel, fmt.Errorf("redis refuses the subscription: %w", cause))
		}
	}
	return nil // a ping that is refused is a sign of life; what cannot be unsubscribed goes nowhere
}

// keepAlive pings, and asks one by one for channels that were refused together. It
// is a goroutine of its own because the one that reads must never wait for a write.
func (s *redisSubscriber) keepAlive() {
	tick := time.NewTicker(redisPingInterval)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-s.done:
			return
		case <-tick.C:
			err = s.ping()
		case <-s.wake:
			err = s.askAgain()
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// askAgain sends a command for each channel that was refused with others.
func (s *redisSubscriber) askAgain() error {
	s.mu.Lock()
	again, verbs := s.again, s.verbs
	s.again, s.verbs = nil, nil
	s.mu.Unlock()
	for i, channels := range again {
		groups := make([][]string, len(channels))
		for j := range channels {
			groups[j] = channels[j : j+1]
		}
		if err := s.ask(context.Background(), verbs[i], groups...); err != nil {
			return err
		}
	}
	return nil
}
