package server

import (
	"errors"
	"fmt"

	"wsify/broker"
	"wsify/internal/command"
)

// Broker carries publications to every node, this one included. Implementations
// are in package broker. No method but Close blocks, and every method may be called
// from any goroutine once Start has returned.
type Broker interface {
	// Start begins to work. deliver is called for every publication that this
	// node has to deliver, by whatever node it was published, in one order per
	// channel. It does not block; an error says that the members have too much
	// undelivered and nothing was taken: the publisher waits, or, when the broker is
	// asynchronous, the publication itself does until Room is called. room is told
	// when there is room after ErrFull.
	Start(deliver func(channel, content []byte) error, room func()) error

	// Publish takes a publication; both slices are borrowed. Either the outcome
	// is returned with pending false, or done is called with it once, later, from
	// any goroutine. done may be nil when the outcome does not matter. A nil
	// error means that the engine has it. broker.ErrFull means that the caller
	// should wait for room.
	Publish(channel, content []byte, done func(error)) (pending bool, err error)

	// Subscribe is called when a channel gets its first member on this node, and
	// Unsubscribe after the last has left (I12). Calls for one channel come in the
	// order of the events, with a lock of the hub held: they must only note it.
	Subscribe(channel string)
	Unsubscribe(channel string)

	// Await tells when the subscription of a channel is in force, so that nothing
	// published from then on is missed. With pending false the answer is err; else
	// done is called with it once, later, from any goroutine.
	Await(channel []byte, done func(error)) (pending bool, err error)

	// Room says that the members of a channel for which deliver returned an error
	// have room again.
	Room(channel string)

	// Asynchronous reports whether Publish or Await may ever be pending.
	Asynchronous() bool

	// Up reports whether the engine is there, and the node subscribed to all that it
	// has to be.
	Up() bool

	// Close ends the work. What is published or received after it returns is not
	// delivered.
	Close() error
}

var (
	_ Broker = (*broker.Memory)(nil)
	_ Broker = (*broker.Remote)(nil)
)

// newBroker makes the broker that the configuration names.
func newBroker(cfg *Config) (Broker, error) {
	remote := broker.Config{
		DSN: cfg.BrokerDSN, Prefix: cfg.BrokerPrefix, BufferSize: cfg.BrokerBuffer, MaxContent: cfg.MaxMessageSize, Logger: cfg.Logger,
	}
	switch cfg.BrokerDriver {
	case brokerMemory:
		return &broker.Memory{}, nil
	case brokerRedis:
		return broker.NewRedis(remote)
	case brokerNATS:
		return broker.NewNATS(remote)
	}
	return nil, fmt.Errorf("there is no broker %q", cfg.BrokerDriver)
}

// brokerWaits is who waits for room in a channel when it is the broker that has
// something to deliver. No connection has this ID: a generation is never 0.
const brokerWaits = 0

// roomInBroker lets sessions go on that waited to publish. The broker calls it.
func (srv *Server) roomInBroker() {
	for _, l := range srv.loops {
		if l.unsent.waits.Load() {
			l.net.Post(l.republish)
		}
	}
}

// What clients are told of an error of the broker, which itself may name machines.
var (
	errBrokerUnknown = &command.Error{Code: command.BrokerDown, Message: "the broker went away meanwhile; it may have been published"}
	errBrokerLimit   = &command.Error{Code: command.Limit, Message: broker.ErrTooBig.Error() + ": not published"}
	errBrokerRefused = &command.Error{Code: command.BrokerDown, Message: "the broker refused it"}
	errJoinedDeaf    = &command.Error{Code: command.BrokerDown, Message: "joined, but the broker is away: nothing is heard until it is back"}
	errJoinedRefused = &command.Error{Code: command.BrokerDown, Message: "joined, but the broker does not confirm the subscription: nothing may be heard"}
)

// publishError returns what a client is told about its publication.
func publishError(err error) *command.Error {
	switch {
	case errors.Is(err, broker.ErrUnknown):
		return errBrokerUnknown
	case errors.Is(err, broker.ErrDown), errors.Is(err, broker.ErrClosed):
		return command.ErrBrokerDown
	case errors.Is(err, broker.ErrTooBig):
		return errBrokerLimit
	}
	return errBrokerRefused
}

// joinError returns what a client is told about its join, which stands: the
// subscription is asked for again until it is in force.
func joinError(err error) *command.Error {
	if errors.Is(err, broker.ErrDown) || errors.Is(err, broker.ErrClosed) {
		return errJoinedDeaf
	}
	return errJoinedRefused
}
