package broker

import (
	"context"
	"log/slog"
	"time"
)

// Broker carries publications to every node, this one included. No method but Close blocks,
// and every method may be called from any goroutine once Start has returned.
type Broker interface {
	// Start begins to work. deliver is called for every publication that this
	// node has to deliver, by whatever node it was published, in one order per
	// channel. It does not block; an error says that the members have too much
	// undelivered and nothing was taken: the publisher waits, or, when the broker is
	// asynchronous, the publication itself does until Room is called. room is told
	// when there is room for a waiter of Publish.
	Start(deliver func(channel, content []byte) error, room func(w *Waiter)) error

	// Publish takes a publication; both slices are borrowed. Either the outcome
	// is returned with pending false, or done is called with it once, later, from
	// any goroutine. done may be nil when the outcome does not matter. A nil
	// error means that the engine has it: publications reach it in the order of the calls.
	//
	// ErrFull means that there is no room, or that others wait for it. Then w, which is nil
	// for a publisher that cannot wait, waits, first come first served. Once it was told it
	// publishes the same again, which is not refused as full, or Forgo is called; that may be
	// done more than once.
	Publish(w *Waiter, channel, content []byte, done func(error)) (pending bool, err error)
	Forgo(w *Waiter)

	// Subscribe is called when a channel gets its first member on this node, and
	// Unsubscribe after the last has left (I12). Calls for one channel come in the
	// order of the events, with a lock of the hub held: they must only note it.
	Subscribe(channel string)
	Unsubscribe(channel string)

	// Await tells when the subscription of a channel is in force, so that nothing
	// published from then on is missed. With pending false the answer is err; else
	// done is called with it once, later, from any goroutine. An error says that it is not
	// in force yet: ErrDown when the link or the channel's server is unreachable, another one when
	// the engine refuses or does not answer. It is asked for again as long as there are members.
	Await(channel []byte, done func(error)) (pending bool, err error)

	// Room says that the members of a channel for which deliver returned an error
	// have room again.
	Room(channel string)

	// Asynchronous reports whether Publish or Await may ever be pending.
	Asynchronous() bool

	// Up reports whether the engine is there, and the node subscribed to all that it
	// has to be.
	Up() bool

	// Close ends the work, and may be called more than once. What is published or received
	// after it returns is not delivered.
	Close() error
}

// Driver is a kind of broker. Its user lists those that there are.
type Driver struct {
	Name string // as in -broker-driver

	// Open makes a broker that Start brings to life. The error is one of Check's.
	Open func(Config) (Broker, error)

	// Check says what is wrong with a configuration. It reads the files that the DSN
	// names, and reaches no engine. Nil is for a driver without an engine.
	Check func(Config) Problems

	// Examine connects to the engine and says what it is and lets our user do. It blocks
	// as broker.Examine does, and publishes to a channel of its own. Nil is for a driver
	// without an engine.
	Examine func(context.Context, Config) (Examination, error)
}

// Problems is what is wrong with a Config, nil where nothing is. It quotes no secret.
type Problems struct {
	DSN        error
	Prefix     error
	MaxChannel error
}

// Config is how a node reaches its engine.
type Config struct {
	// DSN is the engine's address; its forms are those of the driver.
	DSN string
	// Prefix is put before the name of each channel at the engine, and taken off
	// again, so that several services can share it. Default none.
	Prefix string
	// BufferSize bounds, in bytes, what was received and waits for room in its
	// channel, of which one channel may take half; what waits to be published is
	// bounded by a quarter of it, so that a node's own clients are stopped before what
	// they published to a slow channel has to be dropped. Zero means 16 MiB.
	BufferSize int
	// MaxContent is the most bytes of content that is delivered; what is larger is
	// dropped and counted. Zero means 64 KiB.
	MaxContent int
	// MaxChannel is the most bytes that the name of a channel has; it is for Driver.Check.
	// Zero means that nobody says.
	MaxChannel int
	// PublishTook is told for each publication how long it took until the engine had it. It
	// must not block, and may be nil.
	PublishTook func(time.Duration)
	// Logger may be nil.
	Logger *slog.Logger
}

// Filled returns c with the defaults in place of zeros.
func (c Config) Filled() Config {
	if c.BufferSize <= 0 {
		c.BufferSize = 16 << 20
	}
	if c.MaxContent <= 0 {
		c.MaxContent = 64 << 10
	}
	if c.PublishTook == nil {
		c.PublishTook = func(time.Duration) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
