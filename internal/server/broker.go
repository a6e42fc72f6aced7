package server

import "wsify/broker"

// Broker carries publications to every node, this one included. Implementations
// are in package broker. No method blocks, and every method may be called from
// any goroutine once Start has returned.
type Broker interface {
	// Start begins to work. deliver is called for every publication that this
	// node has to deliver, by whatever node it was published, in one order per
	// channel. It does not block; an error says that the members have too much
	// undelivered and nothing was taken.
	Start(deliver func(channel, content []byte) error) error

	// Publish takes a publication; both slices are borrowed. Either the outcome
	// is returned with pending false, or done is called with it once, later, from
	// any goroutine. done may be nil when the outcome does not matter. A nil
	// error means that the engine has it.
	Publish(channel, content []byte, done func(error)) (pending bool, err error)

	// Subscribe is called when a channel gets its first member on this node, and
	// Unsubscribe after the last has left (I12). Calls for one channel come in the
	// order of the events, with a lock of the hub held: they must only note it.
	Subscribe(channel string)
	Unsubscribe(channel string)

	// Await tells when the subscription of a channel is in force, so that nothing
	// published from then on is missed. It reports false when it is now; else done
	// is called once, later, from any goroutine.
	Await(channel []byte, done func(error)) (pending bool)

	// Asynchronous reports whether Publish or Await may ever be pending.
	Asynchronous() bool

	// Close ends the work. Nothing is delivered after it returns.
	Close() error
}

var _ Broker = (*broker.Memory)(nil)
