package broker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of Publish and Await. The caller gets them, so every loss is known.
var (
	// ErrDown says that the engine is unreachable. What failed with it was not published,
	// unless it was under way when the engine went: ErrUnknown.
	ErrDown = errors.New("the broker is unreachable")
	// ErrUnknown says that a publication was under way when the engine went, or
	// that the engine did not answer in time: it may have been published.
	ErrUnknown = errors.New("the broker became unreachable before it answered: it may have been published")
	// ErrFull says that so much waits to be published that no more is taken, or that
	// others wait for room already.
	ErrFull = errors.New("the broker has too much to publish")
	// ErrTooBig says that the content is larger than the engine takes. It was not
	// published, and will not be when it is tried again.
	ErrTooBig = errors.New("the content is larger than the broker takes")
)

// Causes of the end of a subscription that are no refusal.
var (
	// ErrUnreachable says that the server of the channel cannot be reached, while others of the
	// engine can.
	ErrUnreachable = errors.New("the server of the channel is unreachable")
	// ErrNotYet says that the server of the channel answers, and does not serve it yet.
	ErrNotYet = fmt.Errorf("%w: it does not serve yet", ErrUnreachable)
	// ErrMoved says that the channel has gone to another server.
	ErrMoved = fmt.Errorf("%w: it has moved to another one", ErrUnreachable)
)

// Engine opens links to what carries publications between nodes. It is what tells
// Redis and NATS apart; all else is in Remote.
type Engine interface {
	// Open returns a link that is ready for use. It may block until ctx ends. An
	// error says what is wrong in words for an operator, without a secret. maxContent is
	// the most bytes of content that the server takes, or zero when it does not say.
	Open(ctx context.Context, to Sink) (l Link, maxContent int, err error)

	// String says where the engine is, for logs, without a secret.
	String() string
}

// Link is one way to the engine, until it is lost. Its methods are called by two
// goroutines: one that publishes, and one for all the rest. They may block until
// ctx ends; when they fail, Remote closes the link and opens another.
type Link interface {
	// Subscribe asks for these channels, at most MaxBatch, none of which is asked
	// for. It may return before they are in force: Sink.Confirmed tells.
	Subscribe(ctx context.Context, channels []string) error

	// Unsubscribe ends these subscriptions, which are in force. A Subscribe that
	// follows takes effect after it.
	Unsubscribe(ctx context.Context, channels []string) error

	// Publish hands all of batch to the engine, in its order, and returns when the
	// outcome of each is in its Err: nil says that the engine has it. batch is
	// borrowed.
	Publish(ctx context.Context, batch []Publication)

	// Close ends the link and waits for what it runs. It is called once, also after
	// the link was lost; Sink is not called after it has returned.
	Close()
}

// Publication is content on its way to the engine.
type Publication struct {
	Channel string // as the engine knows it: with the prefix
	Content []byte
	Err     error // the outcome, set by Link.Publish

	at   time.Time
	done func(error) // may be nil
}

// Sink is what a link tells. It may be called from any goroutine, and never blocks
// for longer than a lock is held. Channels are as they were asked for. Slices are
// borrowed.
type Sink interface {
	// Received gives a publication of a channel that is subscribed to. The order of
	// calls is the order of the engine, for each channel.
	Received(channel, content []byte)

	// Confirmed says that the subscription is in force: what the engine is given to
	// Publish from now on will be received.
	Confirmed(channel string)

	// Ended says that a subscription that was asked for, or was in force, is no more,
	// while the link goes on. Remote asks again after a while, as long as there are
	// members; when the cause is ErrUnreachable, after Returned, and when it is ErrMoved, at once.
	Ended(channel string, cause error)

	// Returned says that a server is back that was unreachable, or that a channel's server is
	// another one: what ended with ErrUnreachable is worth asking for. Without it Remote asks for
	// one of them now and then, and for all when that one is confirmed.
	Returned()

	// Deaf reports whether the channel has members here that would not hear what is
	// published to it now.
	Deaf(channel string) bool

	// Lost says that the link is of no use any more.
	Lost(cause error)
}

// What a link has to carry, and the time that its contexts give it.
const (
	MaxBatch        = 512     // channels that are subscribed or unsubscribed at once
	MaxPublications = 1024    // publications at once
	MaxPublishBytes = 1 << 20 // and their content; of one publication it may be more

	OpenTimeout      = 10 * time.Second // to open a link
	SubscribeTimeout = 10 * time.Second // for a batch of subscriptions
	PublishTimeout   = 5 * time.Second  // for a batch of publications
)
