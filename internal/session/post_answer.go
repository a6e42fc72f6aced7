package session

import (
	"errors"
	"fmt"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/command"
	"wsify/internal/publish"
	"wsify/internal/repeat"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// outcome counts and keeps the outcome of a send. It may be called from any goroutine.
func (p *posting) outcome(s *send, r broker.Receipt, err error) {
	if err != nil {
		p.failed(s, err)
		return
	}
	s.receipt = r
	p.counts().publishedHTTP.Add(1)
}

func (p *posting) failed(s *send, err error) {
	s.failed = unsentFor(err)
	p.counts().dropped[s.failed.why].Add(1)
}

func (p *posting) counts() *counts { return &p.node.loops[p.net.Index()].counts }

// uncounted counts a send that never got to the broker.
func (l *loop) uncounted(c *netpoll.Conn, failed *unsent) {
	if failed.status == 400 {
		l.unpublished(publish.Malformed, c, failed.Message)
	} else {
		l.counts.dropped[failed.why].Add(1)
	}
}

// release notes that one outcome is known, or that all is sent. After the last one, it makes the
// answer and reports true, unless nobody wants one.
func (p *posting) release() bool {
	if p.left.Add(-1) > 0 || !p.settled.CompareAndSwap(false, true) {
		return false
	}
	published := p.makeAnswer()
	switch {
	case p.manner.Key == "":
	case published > 0:
		p.node.answers.End(p.manner.Key, p.sum, p.answer, p.node.clock())
	default: // it may be tried again
		p.node.answers.Forget(p.manner.Key)
	}
	return true
}

// forget is called when the client has got another answer, which is not remembered.
func (p *posting) forget() {
	if p.settled.CompareAndSwap(false, true) && p.manner.Key != "" {
		p.node.answers.Forget(p.manner.Key)
	}
}

var errPublisherGone = errors.New("the publisher has disconnected")

// stop gives up what was not sent yet, with err as its outcome. It reports whether the answer is made.
func (p *posting) stop(err error) (answered bool) {
	if p.next == len(p.sends) {
		return false
	}
	if p.room != nil {
		p.node.hub.Forgo(p.room)
		p.room = nil
	}
	for ; p.next < len(p.sends); p.next++ {
		if s := &p.sends[p.next]; s.failed == nil {
			p.failed(s, err)
		}
	}
	return p.release()
}

// tooLate answers a posting that has taken too long. What waits for room is not published. Without
// the outcome of the rest, there is nothing to say but that it is unknown.
func (l *loop) tooLate(c *netpoll.Conn, s *session) {
	if p := l.more(s).post.many; p != nil && p.stop(hub.ErrBusy) {
		l.postingAnswered(c, p)
		return
	}
	l.unknown(c, s)
}

// unknown answers a backend whose publications the broker has not answered, and ends the connection.
func (l *loop) unknown(c *netpoll.Conn, s *session) {
	if p := l.more(s).post.many; p != nil {
		p.forget()
	}
	l.outcome(c, s, publish.Manner{}, broker.ErrUnknown)
}

// makeAnswer makes the answer and returns how many publications there were.
func (p *posting) makeAnswer() (published int) {
	outcomes, first := make([]publish.Outcome, len(p.sends)), (*unsent)(nil)
	for i := range p.sends {
		s, o := &p.sends[i], &outcomes[i]
		if s.failed != nil {
			o.Bad = s.failed.Error
			if first == nil {
				first = s.failed
			}
			continue
		}
		published++
		o.Members, o.Position = p.node.hub.Count(s.channel), s.receipt.Position.String()
	}
	switch {
	case p.batch:
		p.answer = repeat.Answer{Status: 200, Kind: wire.JSON, Body: p.appendBatch(outcomes)}
	case first != nil:
		p.answer = first.answer(published, len(p.sends))
	default:
		p.answer.Status = 201
	}
	if !p.batch && p.manner.Reply {
		p.answer.Kind, p.answer.Body = wire.JSON, publish.AppendOutcome(nil, outcomes)
	}
	return published
}

// appendBatch appends the outcome of each item.
func (p *posting) appendBatch(outcomes []publish.Outcome) (body []byte) {
	body = append(body, '[')
	for from := 0; from < len(p.sends); {
		to := from + 1
		for to < len(p.sends) && p.sends[to].item == p.sends[from].item {
			to++
		}
		if from > 0 {
			body = append(body, ',')
		}
		body = publish.AppendOutcome(body, outcomes[from:to])
		from = to
	}
	return append(body, ']')
}

// answer answers a request of which a part was not published.
func (u *unsent) answer(published, of int) repeat.Answer {
	text := u.Message + "\n"
	if of > 1 {
		text = fmt.Sprintf("published to %d of %d; the first failure: %s\n", published, of, u.Message)
	}
	return repeat.Answer{Status: u.status, Headers: u.retryAfter(), Kind: wire.PlainText, Body: []byte(text)}
}

// unsent is why a backend's publication was not published, or may not have been.
type unsent struct {
	*command.Error
	status int
	retry  string // seconds until a retry may succeed; empty: it cannot
	why    dropReason
}

// retryAfter returns the header that says when to retry.
func (u *unsent) retryAfter() string {
	if u.retry == "" {
		return ""
	}
	return "Retry-After: " + u.retry + "\r\n"
}

// unsentFor says what a backend is told of an error of the broker, or of a channel without room.
func unsentFor(err error) *unsent {
	said := func(code, text string, status int, retry string, why dropReason) *unsent {
		return &unsent{&command.Error{Code: code, Message: text}, status, retry, why}
	}
	switch {
	case errors.Is(err, hub.ErrBusy):
		return said(command.Limit, "not published: "+err.Error(), 503, "1", dropBusy)
	case errors.Is(err, errPublisherGone): // who sends it again, with the same Idempotency-Key, is told
		return said(command.Limit, "not published: "+err.Error(), 503, "1", dropGone)
	case errors.Is(err, broker.ErrFull):
		return said(command.Limit, "not published: "+err.Error(), 503, "1", dropFull)
	case errors.Is(err, broker.ErrUnknown):
		return said(command.BrokerDown, broker.ErrUnknown.Error(), 503, "5", dropBroker)
	case errors.Is(err, broker.ErrDown): // the cause may name machines, and is in the log
		return said(command.BrokerDown, "not published: "+broker.ErrDown.Error(), 503, "5", dropBroker)
	case errors.Is(err, broker.ErrTooBig): // a retry cannot succeed
		return said(command.Limit, "not published: "+broker.ErrTooBig.Error(), 413, "", dropBroker)
	}
	return said(command.BrokerDown, "not published: "+err.Error(), 503, "5", dropBroker)
}

// tooOften is for a channel that has had too many publications.
var tooOften = &unsent{errPublishRate, 429, "1", dropPublishRate}

// malformed is for what is no publication.
func malformed(bad *command.Error) *unsent { return &unsent{Error: bad, status: 400} }
