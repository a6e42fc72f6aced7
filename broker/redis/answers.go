package redis

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// command is a command that was sent, or is about to be, and is not fully answered.
type command struct {
	// A command that changes subscriptions is answered by a push for each channel, in this order,
	// or by one refusal of all.
	verb     string
	channels []string

	// All other commands have answers, each of which may be a refusal. An error of answer ends the
	// connection. answer is called with the connection's mu held.
	answer func(i int, r respReply, refusal error) error

	want int           // the number of answers, or pushes
	got  int           // how many of them have come
	all  chan struct{} // closed when all have come; may be nil
}

// change subscribes or unsubscribes channels, and returns when the command is written.
func (c *conn) change(ctx context.Context, verb string, channels []string) error {
	c.await(ctx, c.ask(verb, slices.Clone(channels)))
	return ctx.Err()
}

// ask sends verb for groups of channels, a command for each, and keeps the groups. written is that
// of write.
//
// A HELLO follows each unsubscription, and all that comes before its answer belongs to the
// unsubscription. Answers cannot be counted, because a server that gives a slot away reports each
// unsubscribed channel in the form of an answer.
func (c *conn) ask(verb string, groups ...[]string) (written <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		return nil
	}
	for _, channels := range groups {
		c.out = appendCommand(c.out, verb, channels...)
		if subscribes(verb) {
			c.awaited = append(c.awaited, &command{verb: verb, channels: channels, want: len(channels)})
		}
	}
	if unsubscribes(verb) {
		c.awaited = append(c.awaited, &command{verb: verb, channels: slices.Concat(groups...)})
		c.hello()
	}
	return c.write()
}

// await returns when the commands are written, or the connection or ctx has ended.
func (c *conn) await(ctx context.Context, written <-chan struct{}) {
	if written == nil {
		return
	}
	select {
	case <-written:
	case <-c.done:
	case <-ctx.Done():
	}
}

func subscribes(verb string) bool   { return verb == "SUBSCRIBE" || verb == "SSUBSCRIBE" }
func unsubscribes(verb string) bool { return verb == "UNSUBSCRIBE" || verb == "SUNSUBSCRIBE" }

// is reports whether the next answer of q is about channel.
func (q *command) is(channel []byte) bool {
	return q.got < len(q.channels) && bytes.Equal(link.Bytes(q.channels[q.got]), channel)
}

// first returns the command that the next answer belongs to, or an empty one when none is
// outstanding. The caller holds mu.
func (c *conn) first() *command {
	if len(c.awaited) == 0 {
		return &command{}
	}
	return c.awaited[0]
}

// pop removes the first command. The caller holds mu.
func (c *conn) pop() {
	c.awaited[0] = nil
	if c.awaited = c.awaited[1:]; len(c.awaited) == 0 {
		c.awaited = nil
	}
}

// answered handles an answer that is not a refusal.
func (c *conn) answered(r respReply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if unsubscribes(c.first().verb) { // r answers the HELLO that follows it
		c.pop()
	}
	return c.answer(r, nil)
}

// answer passes an answer to the first command. An unsolicited answer ends the connection. The
// caller holds mu.
func (c *conn) answer(r respReply, refusal error) error {
	q := c.first()
	if q.answer == nil {
		return errRESP
	}
	err := q.answer(q.got, r, refusal)
	c.count(q)
	return err
}

// count counts an answer of the first command. The caller holds mu.
func (c *conn) count(q *command) {
	if q.got++; q.got < q.want {
		return
	}
	c.pop()
	if q.all != nil {
		close(q.all)
	}
}

// refused handles a refusal.
func (c *conn) refused(refusal respError) error {
	c.mu.Lock()
	q := c.first()
	switch {
	case q.answer != nil:
		defer c.mu.Unlock()
		return c.answer(respReply{}, refusal)
	case subscribes(q.verb):
		c.pop()
		c.mu.Unlock()
		return c.mayNot(q, refusal)
	}
	c.mu.Unlock()
	if unsubscribes(q.verb) {
		return nil // a refused unsubscription changes nothing
	}
	return refusal // for example, when the server is about to close the connection
}

// mayNot handles a refused subscription. For several channels it asks one by one, to find out which
// are refused.
func (c *conn) mayNot(q *command, refusal respError) error {
	switch {
	case strings.HasPrefix(string(refusal), "NOPERM") && strings.Contains(string(refusal), "to run the"):
		return fmt.Errorf("the DSN's user may not subscribe at all: %w", refusal) // no other channel would succeed
	case len(q.channels) > 1 && !refusal.unreachable():
		c.ask(q.verb, slices.Collect(slices.Chunk(q.channels, 1))...)
		return nil
	}
	for _, channel := range q.channels {
		c.to.Ended(channel, fmt.Errorf("redis refuses the subscription: %w", refusal))
	}
	return nil
}

// pushed handles a push: a publication, or a change of a subscription.
func (c *conn) pushed(m *respMessage) error {
	if c.to == nil {
		return errRESP
	}
	switch string(m.verb) {
	case "message", "smessage":
		c.to.Received(m.channel, m.content)
	case "subscribe", "ssubscribe":
		channel, ok := c.confirmed(m.channel)
		if !ok {
			return errRESP
		}
		c.to.Confirmed(channel)
	case "unsubscribe", "sunsubscribe":
		if !c.unsubscribed(m.channel) {
			c.to.Ended(string(m.channel), broker.ErrMoved) // a server does this when it gives the slot away
		}
	default:
		return errRESP
	}
	return nil
}

// confirmed returns the name, as it was asked for, of a channel that is now subscribed to.
func (c *conn) confirmed(channel []byte) (name string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.first()
	if !subscribes(q.verb) || !q.is(channel) {
		return "", false
	}
	name = q.channels[q.got]
	c.count(q)
	return name, true
}

// unsubscribed reports whether the first command unsubscribes channel; the server may have ended
// the subscription before it read the command.
func (c *conn) unsubscribed(channel []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.first()
	switch {
	case !unsubscribes(q.verb):
		return false
	case q.is(channel):
		q.got++
		return true
	}
	return slices.Contains(q.channels, string(channel))
}
