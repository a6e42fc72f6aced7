package broker

import (
	"context"
	"log/slog"
	"time"
)

// Broker carries publications to every node, this one included. No method but Settle and Close blocks,
// and every method may be called from any goroutine once Start has returned.
type Broker interface {
	// Start begins to work. It calls deliver for every publication that this node has to deliver,
	// whichever node published it, in one order per channel. deliver does not block. An error of it
	// means that the members have too much undelivered and deliver took nothing. Then the publisher
	// waits; with an asynchronous broker the publication itself waits until Room is called. ErrHead
	// means that the publication cannot be delivered at all. The slices are borrowed, but content with
	// a position of a broker that is not asynchronous is shared: nobody changes it any more. room is
	// called when there is room for a waiter of Publish.
	Start(deliver func(channel, content []byte) error, room func(w *Waiter)) error

	// Publish takes a publication and borrows both slices. content may begin with a Head. It either returns the outcome, with
	// pending false, or calls done once, later, from any goroutine. done may be nil when the
	// outcome does not matter. A nil error means that the engine has the publication, and its
	// history too where the channel keeps one: the Receipt then has the position. Publications
	// reach the engine in the order of the calls.
	//
	// ErrFull means that there is no room, or that others wait for it. Then w waits, first come,
	// first served; a nil w is for a publisher that cannot wait. After room was called for w, the
	// caller publishes the same again, which is not refused as full, or calls Forgo. Either may
	// happen more than once.
	Publish(w *Waiter, channel, content []byte, done func(Receipt, error)) (pending bool, r Receipt, err error)
	Forgo(w *Waiter)

	// Subscribe is called when a channel gets its first member on this node, and Unsubscribe after
	// the last has left (I12). Calls for one channel come in the order of these events, with a lock
	// of the hub held: implementations must only note them.
	Subscribe(channel string)
	Unsubscribe(channel string)

	// Await reports when the subscription of a channel is in force: nothing published from then on
	// is missed. With pending false, err is the answer. Otherwise done is called once, later, from
	// any goroutine. An error means that the subscription is not in force yet: ErrDown when the
	// link or the channel's server is unreachable, another error when the engine refuses or does
	// not answer. The broker keeps asking as long as there are members.
	Await(channel []byte, done func(error)) (pending bool, err error)

	// Room says that the members of a channel for which deliver returned an error
	// have room again.
	Room(channel string)

	// Settle waits until every publication before the call has its outcome and, if this node has
	// members for it, has been delivered. A node that shuts down calls it. An error means that ctx
	// has ended, or that the engine is unreachable.
	Settle(ctx context.Context) error

	// Asynchronous reports whether Publish or Await can return pending.
	Asynchronous() bool

	// Up reports whether the engine is reachable and the node has subscribed to all its channels.
	Up() bool

	// Close ends the work, and may be called more than once. Nothing published or received after it
	// returns is delivered.
	Close() error
}

// Receipt is what the engine says of a publication that it has taken.
type Receipt struct {
	Position Position // zero for a channel without history
}

// Driver is a kind of broker. The server lists the available drivers.
type Driver struct {
	Name string // as in -broker-driver

	// Open makes a broker; Start starts it. The errors are those of Check.
	Open func(Config) (Broker, error)

	// Check reports what is wrong with a configuration. It reads the files that the DSN names, and
	// connects to no engine. It is nil for a driver without an engine.
	Check func(Config) Problems

	// Examine connects to the engine and says what it is and lets our user do. It blocks
	// as broker.Examine does, and publishes to a channel of its own. Nil is for a driver
	// without an engine.
	Examine func(context.Context, Config) (Examination, error)
}

// Problems are the errors of a Config; a field is nil when there is none. They quote no secret.
type Problems struct {
	DSN        error
	Prefix     error
	MaxChannel error
}

// Config says how a node reaches its engine.
type Config struct {
	// DSN is the engine's address, in a form that the driver defines.
	DSN string
	// Prefix is put before the name of each channel at the engine, and removed from received names,
	// so that several services can share the engine. Default none.
	Prefix string
	// BufferSize bounds, in bytes, the received publications that wait for room in their channel;
	// one channel may take half. Publications that wait to be published have a quarter of it, so
	// that a node's own clients are stopped before their publications to a slow channel are
	// dropped. Zero means 16 MiB.
	BufferSize int
	// MaxContent is the most bytes of content, without its head, that is delivered; larger
	// publications are dropped and counted. Zero means 64 KiB.
	MaxContent int
	// MaxChannel is the most bytes in the name of a channel, for Driver.Check. Zero means unknown.
	MaxChannel int
	// PublishTook is called for each publication with the time until the engine had it. It must not
	// block, and may be nil.
	PublishTook func(time.Duration)
	// History says which channels keep what was published to them. Nil means none. An engine that
	// cannot keep history is an error of Open, or of each attempt to open a link.
	History *History
	// Logger may be nil.
	Logger *slog.Logger
}

// Filled returns c with defaults in place of zeros.
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
