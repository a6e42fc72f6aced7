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

// command is what was sent, or is about to be, and not answered yet.
type command struct {
	// What changes subscriptions is answered by a push for each channel, in this order, or by
	// one refusal of all.
	verb     string
	channels []string

	// Everything else has answers, of which each may be a refusal. An error of answer is the
	// end of the connection. It is called with the connection's mu held.
	answer func(i int, r respReply, refusal error) error

	want int           // answers, or pushes
	got  int           // of these
	all  chan struct{} // closed when all have come; may be nil
}

// change asks for channels, or gives them up, and returns when that is written.
func (c *conn) change(ctx context.Context, verb string, channels []string) error {
	c.await(ctx, c.ask(verb, slices.Clone(channels)))
	return ctx.Err()
}

// ask asks for groups of channels, which it keeps, by a command for each, or gives them up.
// written is that of write.
//
// What is given up is followed by a question, and what comes before the answer to that is
// about these channels: a server that gives a slot away says that each channel is
// unsubscribed from in the words of an answer, so nobody can count answers to it.
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

// await returns when what was asked for is written, the connection has ended, or ctx has.
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

// is reports whether its next answer is about channel.
func (q *command) is(channel []byte) bool {
	return q.got < len(q.channels) && bytes.Equal(link.Bytes(q.channels[q.got]), channel)
}

// first returns the command that what comes now belongs to; nobody waits when it is empty.
// The caller holds mu.
func (c *conn) first() *command {
	if len(c.awaited) == 0 {
		return &command{}
	}
	return c.awaited[0]
}

// pop takes the first command. The caller holds mu.
func (c *conn) pop() {
	c.awaited[0] = nil
	if c.awaited = c.awaited[1:]; len(c.awaited) == 0 {
		c.awaited = nil
	}
}

// answered is an answer that is no refusal.
func (c *conn) answered(r respReply) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if unsubscribes(c.first().verb) { // this is the answer to the question behind it
		c.pop()
	}
	return c.answer(r, nil)
}

// answer gives the first command an answer. One that nobody waits for is the end of the
// connection. The caller holds mu.
func (c *conn) answer(r respReply, refusal error) error {
	q := c.first()
	if q.answer == nil {
		return errRESP
	}
	err := q.answer(q.got, r, refusal)
	c.count(q)
	return err
}

// count notes that an answer of the first command has come. The caller holds mu.
func (c *conn) count(q *command) {
	if q.got++; q.got < q.want {
		return
	}
	c.pop()
	if q.all != nil {
		close(q.all)
	}
}

// refused is an answer that is a refusal.
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
		return nil // what cannot be unsubscribed from goes nowhere
	}
	return refusal // as when the server says goodbye
}

// mayNot is the refusal of subscriptions. Which of several channels may not be subscribed to
// is found out by asking one by one.
func (c *conn) mayNot(q *command, refusal respError) error {
	switch {
	case strings.HasPrefix(string(refusal), "NOPERM") && strings.Contains(string(refusal), "to run the"):
		return fmt.Errorf("the DSN's user may not subscribe at all: %w", refusal) // no other channel would fare better
	case len(q.channels) > 1 && !refusal.unreachable():
		c.ask(q.verb, slices.Collect(slices.Chunk(q.channels, 1))...)
		return nil
	}
	for _, channel := range q.channels {
		c.to.Ended(channel, fmt.Errorf("redis refuses the subscription: %w", refusal))
	}
	return nil
}

// pushed is what is no answer: a publication, or what becomes of a subscription.
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
			c.to.Ended(string(m.channel), broker.ErrMoved) // a server does so when it gives the slot away
		}
	default:
		return errRESP
	}
	return nil
}

// confirmed returns a channel that is subscribed to now as it was asked for.
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

// unsubscribed reports whether a channel is one that is given up, maybe by the server
// before it met the command.
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
