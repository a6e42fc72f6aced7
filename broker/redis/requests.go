package redis

import (
	"bytes"
	"slices"
	"strings"

	"wsify/broker/internal/link"
)

// request is a command of a subscriber.
type request struct {
	verb     string   // as the server answers: subscribe, unsubscribe, ssubscribe, sunsubscribe, pong
	channels []string // one answer for each, in this order, or one refusal for all
	answered int
}

// appendTo appends the command as it is sent.
func (q *request) appendTo(b []byte) []byte {
	if q.verb == "pong" {
		return appendCommand(b, "PING")
	}
	return appendCommand(b, strings.ToUpper(q.verb), q.channels...)
}

// subscribes reports whether it asks for channels.
func (q *request) subscribes() bool { return q.verb == "subscribe" || q.verb == "ssubscribe" }

// unsubscribes reports whether it gives channels up.
func (q *request) unsubscribes() bool {
	return q.verb == "unsubscribe" || q.verb == "sunsubscribe"
}

// perhaps reports whether all of its answers may have come, or have not: a server that
// gives a slot away says of each of its channels that it is unsubscribed, in the words of
// an answer, and may then refuse the command.
func (q *request) perhaps() bool { return q.unsubscribes() && q.answered == len(q.channels) }

// sharded reports whether it is about channels of one slot.
func (q *request) sharded() bool { return q.verb == "ssubscribe" || q.verb == "sunsubscribe" }

// is reports whether its next answer is about channel.
func (q *request) is(channel []byte) bool {
	return q.answered < len(q.channels) && bytes.Equal(link.Bytes(q.channels[q.answered]), channel)
}

// requestList is commands whose answers have not all come, in the order in which they
// were sent, which is that of the answers. Answers are known by what they are about, and
// not by their number: the server may end a subscription at any time.
type requestList struct{ list []request }

// first returns the place of the first request that certainly lacks an answer.
func (r *requestList) first() int {
	at := slices.IndexFunc(r.list, func(q request) bool { return !q.perhaps() })
	if at < 0 {
		return len(r.list)
	}
	return at
}

// drop forgets the first n requests, and returns those of them that asked for channels and
// were not answered: a refusal of theirs was taken for another's.
func (r *requestList) drop(n int) (missed []request) {
	for i := range n {
		if q := r.list[i]; q.subscribes() && q.answered < len(q.channels) {
			missed = append(missed, q)
		}
		r.list[i] = request{}
	}
	if r.list = r.list[n:]; len(r.list) == 0 {
		r.list = nil
	}
	return missed
}

// confirm takes the answer that a channel is subscribed to, and returns the channel as
// it was asked for. It is not ok when nobody has asked.
func (r *requestList) confirm(verb string, channel []byte) (name string, missed []request, ok bool) {
	for i := range r.list {
		if r.list[i].verb != verb || !r.list[i].is(channel) {
			continue
		}
		missed = r.drop(i)
		q := &r.list[0]
		name = q.channels[q.answered]
		if q.answered++; q.answered == len(q.channels) {
			r.drop(1)
		}
		return name, missed, true
	}
	return "", nil, false
}

// ended takes the word that a channel is unsubscribed from. It is not ours when we have
// not asked for that: the server has done it.
func (r *requestList) ended(verb string, channel []byte) (ours bool) {
	for i := range min(r.first()+1, len(r.list)) {
		q := &r.list[i]
		switch {
		case q.verb != verb:
		case q.is(channel):
			r.drop(i)
			r.list[0].answered++
			return true
		case slices.Contains(q.channels, string(channel)): // by the server, before it met the command
			return true
		}
	}
	return false
}

// pong takes the answer to a ping.
func (r *requestList) pong() (missed []request) {
	at := slices.IndexFunc(r.list, func(q request) bool { return q.verb == "pong" })
	return r.drop(at + 1)
}

// refused takes an error, which answers a request as a whole, and returns that request.
// It is not ok when nothing was asked for. Of a request that does not matter any more, the
// one returned has no verb.
func (r *requestList) refused(cause respError) (q request, ok bool) {
	at := r.first()
	if slot, _, moved := cause.moved(""); moved {
		for i := range min(at+1, len(r.list)) {
			if r.list[i].sharded() && slotOf(r.list[i].channels[0]) == slot {
				r.drop(i)
				return r.pop(), true
			}
		}
		return request{}, true // to give up what the server had ended already
	}
	switch {
	case len(r.list) == 0:
		return request{}, false
	case at == len(r.list): // likewise
		at--
	}
	r.drop(at)
	return r.pop(), true
}

// pop takes the first request.
func (r *requestList) pop() request {
	q := r.list[0]
	r.list[0].answered = len(q.channels) // it has its answer
	r.drop(1)
	return q
}
