package broker

import (
	"context"
	"errors"
	"net"
	"time"
)

// Errors of Publish and Await. Whoever asked is told, so nothing is lost in silence.
var (
	// ErrDown says that the engine is away. What failed with it was not published,
	// unless it was under way when the engine went: ErrUnknown.
	ErrDown = errors.New("the broker is away")
	// ErrUnknown says that a publication was under way when the engine went, or
	// that the engine did not answer in time: it may have been published.
	ErrUnknown = errors.New("the broker went away before it answered: published or not, nobody knows")
	// ErrFull says that so much waits to be published that no more is taken, or that
	// others wait for room already.
	ErrFull = errors.New("the broker has too much to publish")
	// ErrTooBig says that the content is larger than the engine takes. It was not
	// published, and will not be when it is tried again.
	ErrTooBig = errors.New("the content is larger than the broker takes")
)

// errAway marks the cause of the end of a subscription that is no refusal: the server
// of its channel cannot be reached, while others of the engine can.
var errAway = errors.New("the server of the channel is away")

// withoutAddresses is the cause in an error of a connection in use, whose address is in
// words of our own: net's have a port besides that is another one each time, and the
// same trouble would be logged as often as it is met.
func withoutAddresses(err error) error {
	if op, ok := err.(*net.OpError); ok && op.Op != "dial" {
		return op.Err
	}
	return err
}

// engine opens links to what carries publications between nodes. It is what tells
// Redis and NATS apart; all else is in Remote.
type engine interface {
	// open returns a link that is ready for use. It may block until ctx ends. An
	// error says what is wrong in words for an operator, without a secret.
	open(ctx context.Context, to sink) (link, error)

	// maxContent is the most bytes of content that the server takes to which open has
	// opened a link, or zero when it does not say. It is called behind open.
	maxContent() int
}

// link is one way to the engine, until it is lost. Its methods are called by two
// goroutines: one that publishes, and one for all the rest. They may block until
// ctx ends; when they fail, Remote closes the link and opens another.
type link interface {
	// subscribe asks for these channels, at most maxBatch, none of which is asked
	// for. It may return before they are in force: sink.confirmed tells.
	subscribe(ctx context.Context, channels []string) error

	// unsubscribe ends these subscriptions, which are in force. A subscribe that
	// follows takes effect after it.
	unsubscribe(ctx context.Context, channels []string) error

	// publish hands all of batch to the engine, in its order, and returns when the
	// outcome of each is in its err: nil says that the engine has it. batch is
	// borrowed.
	publish(ctx context.Context, batch []publication)

	// close ends the link and waits for what it runs. It is called once, also after
	// the link was lost; sink is not called after it has returned.
	close()
}

// publication is content on its way to the engine.
type publication struct {
	channel string // as the engine knows it: with the prefix
	content []byte
	err     error // the outcome, set by link.publish
	at      time.Time
	done    func(error) // may be nil
}

// sink is what a link tells. It may be called from any goroutine, and never blocks
// for longer than a lock is held. Channels are as they were asked for. Slices are
// borrowed.
type sink interface {
	// received gives a publication of a channel that is subscribed to. The order of
	// calls is the order of the engine, for each channel.
	received(channel, content []byte)

	// confirmed says that the subscription is in force: what the engine is given to
	// publish from now on will be received.
	confirmed(channel string)

	// ended says that a subscription that was asked for, or was in force, is no more,
	// while the link goes on. Remote asks again after a while, as long as there are
	// members; when the cause is errAway, after returned, and when it is errMoved, at once.
	ended(channel string, cause error)

	// returned says that a server is there that was away, or that a channel's server is
	// another one: what ended with errAway is worth asking for. Without it Remote asks for
	// one of them now and then, and for all when that one is confirmed.
	returned()

	// deaf reports whether the channel has members here that would not hear what is
	// published to it now.
	deaf(channel string) bool

	// lost says that the link is of no use any more.
	lost(cause error)
}

// maxBatch is how many channels are subscribed or unsubscribed at once, and
// maxPublications and maxPublishBytes bound what is published at once.
const (
	maxBatch        = 512
	maxPublications = 1024
	maxPublishBytes = 1 << 20
)
