package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"wsify/auth"
)

// batch is what one POST has.
type batch struct {
	ID      string      `json:"batch"` // the same in both tries, so that a webhook can tell them
	Events  []*Event    `json:"events"`
	settled atomic.Bool // its events are counted
}

// run sends batches until Stop: a full one at once, others once every interval.
func (s *Sender) run() {
	defer close(s.done)
	tick := time.NewTicker(s.every)
	defer tick.Stop()
	for {
		select {
		case <-s.full:
			for !s.stopped() && len(s.queue) >= maxBatch && s.send(s.take(time.Now())) {
			}
		case <-tick.C:
			for !s.stopped() && s.send(s.take(time.Now())) {
			}
		case <-s.stopping:
			for time.Now().Before(s.due) && s.send(s.rest()) {
			}
			return
		}
	}
}

// rest is take at the end: a change of a channel that has not settled will not be undone any more.
func (s *Sender) rest() []*Event { return s.take(time.Now().Add(settleTime)) }

// take returns what waits, at most a batch: of the changes of channels those that have settled at
// now.
func (s *Sender) take(now time.Time) (events []*Event) {
	for len(events) < maxBatch {
		select {
		case e := <-s.queue:
			events = append(events, e)
			continue
		default:
		}
		break
	}
	return s.channels.take(events, now)
}

// send sends a batch, once more if it fails, and counts its events. It reports false if there is
// nothing to send.
func (s *Sender) send(events []*Event) bool {
	if len(events) == 0 {
		return false
	}
	b := &batch{Events: events}
	s.batches++
	b.ID = s.node + "/" + strconv.FormatUint(s.batches, 10)
	s.current.Store(b)
	body, err := json.Marshal(b)
	if err != nil {
		panic(err) // all its fields can be written
	}
	outcome, cause := s.try(body)
	if cause != nil && s.wait() {
		outcome, cause = s.try(body)
	}
	if cause != nil && s.stopped() && !time.Now().Before(s.due) {
		outcome = lostShutdown
	}
	if s.settle(b, outcome) && cause != nil {
		s.log.Warn("events are lost: -events-url does not take them", "events", len(b.Events), "reason", lostNames[outcome], "err", cause)
	}
	s.current.Store(nil)
	return true
}

// stopped reports whether Stop was called. From then on due is set.
func (s *Sender) stopped() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// wait is the pause before a retry. It reports false if there is no time for it.
func (s *Sender) wait() bool {
	select {
	case <-time.After(s.pause):
		return true
	case <-s.stopping:
	}
	if time.Until(s.due) <= s.pause {
		return false
	}
	time.Sleep(s.pause)
	return true
}

// taken is the outcome of a batch that the webhook has taken. The others are why it is lost.
const taken = -1

// try makes one POST. The head of any answer of 2xx takes the batch.
func (s *Sender) try(body []byte) (outcome int, cause error) {
	call := &auth.Call{Body: body}
	if s.stopped() {
		call.Deadline = s.due
	}
	_, err := s.client.Ask(call)
	var answer *auth.StatusError
	switch {
	case err == nil, errors.As(err, &answer) && answer.Status >= 200 && answer.Status <= 299:
		return taken, nil
	case answer != nil:
		return lostRefused, errors.New("it answers " + strconv.Itoa(answer.Status))
	}
	return lostNoAnswer, noAnswer(err)
}

// noAnswer returns the cause without the name of the authorizer, for which the client was made.
func noAnswer(err error) error {
	failed := (*auth.CallError)(nil)
	switch {
	case !errors.As(err, &failed):
		return err
	case failed.Err == nil:
		return errors.New(failed.Result.String())
	}
	return fmt.Errorf("%s: %w", failed.Result, failed.Err)
}

// settle counts the events of a batch. It reports false if that was done already.
func (s *Sender) settle(b *batch, outcome int) bool {
	if !b.settled.CompareAndSwap(false, true) {
		return false
	}
	if outcome != taken {
		s.lost[outcome].Add(uint64(len(b.Events)))
		return true
	}
	for _, e := range b.Events {
		s.sent[e.Kind].Add(1)
	}
	return true
}
