package broker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of Publish and Await. The caller receives them, so every loss is known.
var (
	// ErrDown means that the engine is unreachable and the publication was not published. If it was
	// under way when the engine became unreachable, the error is ErrUnknown.
	ErrDown = errors.New("the broker is unreachable")
	// ErrUnknown means that the engine became unreachable while a publication was under way, or did
	// not answer in time: the publication may have been published.
	ErrUnknown = errors.New("the broker became unreachable before it answered: it may have been published")
	// ErrFull means that too much waits to be published already, or that others wait for room.
	ErrFull = errors.New("the broker has too much to publish")
	// ErrTooBig means that the content is larger than the engine takes. It was not published, and a
	// retry would fail too.
	ErrTooBig = errors.New("the content is larger than the broker takes")
)

// Causes of the end of a subscription that are not a refusal.
var (
	// ErrUnreachable means that the server of the channel is unreachable, while other servers of
	// the engine are reachable.
	ErrUnreachable = errors.New("the server of the channel is unreachable")
	// ErrNotYet means that the server of the channel answers but does not serve the channel yet.
	ErrNotYet = fmt.Errorf("%w: it does not serve yet", ErrUnreachable)
	// ErrMoved means that the channel has moved to another server.
	ErrMoved = fmt.Errorf("%w: it has moved to another one", ErrUnreachable)
)

// Engine opens links to a server that carries publications between nodes. It has all that differs
// between Redis and NATS; Remote has the rest.
type Engine interface {
	// Open returns a link that is ready for use. It may block until ctx ends. An error explains the
	// problem to an operator, without a secret. maxContent is the most bytes of content that the
	// server takes, or zero when the server does not say.
	Open(ctx context.Context, to Sink) (l Link, maxContent int, err error)

	// String returns the address of the engine, for logs, without a secret.
	String() string
}

// Link is one connection to the engine, until it is lost. Two goroutines call its methods: one
// publishes, the other does all the rest, but any may call Flush. Methods may block until ctx ends; when one fails, Remote
// closes the link and opens another.
type Link interface {
	// Subscribe asks for at most MaxBatch channels, which have not been asked for before. It may
	// return before they are in force: Sink.Confirmed reports that.
	Subscribe(ctx context.Context, channels []string) error

	// Unsubscribe ends these subscriptions, which are in force. A later Subscribe takes effect
	// after it.
	Unsubscribe(ctx context.Context, channels []string) error

	// Publish hands all of batch to the engine in order, and returns when each Err is set. A nil
	// Err means that the engine has the publication. batch is borrowed.
	Publish(ctx context.Context, batch []Publication)

	// Flush returns when Sink has received all that the engine had sent here before the call. ctx
	// ends the link, as for the other methods.
	Flush(ctx context.Context) error

	// Close ends the link and waits for its goroutines. It is called once, even after the link was
	// lost. The link does not call Sink after Close has returned.
	Close()
}

// HistoryLink is a Link of an engine that keeps history. It gives a Receipt to each publication that
// asks for it. Engines that can keep history open no other when Config.History is set; if the server
// cannot, that is an error of Engine.Open.
type HistoryLink interface {
	Link

	// ReadHistory implements Historian.ReadHistory. channel is the name at the engine. Any goroutine
	// may call it, several at once.
	ReadHistory(ctx context.Context, channel string, after Position, last int) (Page, error)
}

// Publication is content on its way to the engine.
type Publication struct {
	Channel string // its name at the engine: with the prefix
	Content []byte
	Keep    bool    // the channel keeps history
	Receipt Receipt // set by Link.Publish, with Err
	Err     error   // the outcome, set by Link.Publish

	at   time.Time
	done func(Receipt, error) // may be nil
}

// Sink receives what a link reports. Any goroutine may call it, and it blocks for no longer than a
// lock is held. Channels have the names that Subscribe was given. Slices are borrowed.
type Sink interface {
	// Received delivers a publication of a subscribed channel. For each channel, the calls come in
	// the engine's order.
	Received(channel, content []byte)

	// Confirmed means that the subscription is in force: the link will receive all that the engine
	// is given to publish from now on.
	Confirmed(channel string)

	// Ended means that a subscription that was asked for or in force has ended, while the link goes
	// on. As long as there are members, Remote asks again: with ErrUnreachable after Returned, with
	// ErrMoved at once, otherwise after a rest.
	Ended(channel string, cause error)

	// Returned means that a server is reachable again, or that channels have moved to another one.
	// Remote then asks for all channels that ended with ErrUnreachable. Without such a call it
	// tries one of them now and then, and asks for all when that one is confirmed.
	Returned()

	// Deaf reports whether the channel has members here that would miss a publication now.
	Deaf(channel string) bool

	// Lost means that the link can no longer be used.
	Lost(cause error)
}

// Bounds on what a link is given at once, and the timeouts of its contexts.
const (
	MaxBatch        = 512     // channels in one Subscribe or Unsubscribe
	MaxPublications = 1024    // publications in one batch
	MaxPublishBytes = 1 << 20 // bytes of content in one batch; a single publication may be larger

	OpenTimeout      = 10 * time.Second // to open a link
	SubscribeTimeout = 10 * time.Second // for a batch of subscriptions
	PublishTimeout   = 5 * time.Second  // for a batch of publications
	ReadTimeout      = 5 * time.Second  // for a page of history
)
