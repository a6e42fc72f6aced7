package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
)

// Examination is what wsify doctor learns about an engine.
type Examination struct {
	Engine     string        // where it is, without secrets
	Servers    []Server      // those whose facts are known
	Opened     time.Duration // how long it took to connect and to log in
	RoundTrip  time.Duration // from a publication until its own subscriber had it; 0 without one
	MaxContent int           // bytes of content that it takes; 0 when it does not say

	Channel   string // with which it was tried
	Subscribe error  // why the user may not subscribe, or nil
	Publish   error  // why the user may not publish, or nil
	Deaf      error  // why the subscriber did not hear the publication, or nil
	History   error  // why history cannot be kept or read, or nil; nil without Config.History
}

// Server is what one server of an engine says of itself.
type Server struct {
	Addr    string // as the engine's own tool takes it
	Version string
	Waiting *Waiting // nil when the server does not tell
	MayLose string   // why it may lose what it acknowledges, where the DSN says that it does not; or empty
}

// Waiting is how many bytes may wait at a server for a node that reads too slowly. The
// server ends the node's connection beyond Hard, or when it is beyond Soft for so many
// seconds. Zero is no limit.
type Waiting struct{ Hard, Soft, Seconds int }

var (
	errUnanswered = errors.New("the engine did not answer in time")
	errUnheard    = errors.New("the engine took a publication and did not deliver it to its subscriber")
	errForgotten  = errors.New("the engine took a publication, and history does not have it")
)

// Examine opens a link to e, and tries to subscribe and to publish with a channel of its
// own. facts adds what only the driver can learn, while the link is open. The error says
// why there is no link. Examine blocks until all that has been tried, by the timeouts of links,
// or until ctx ends.
func Examine(ctx context.Context, cfg Config, e Engine, facts func(context.Context, Link, *Examination)) (Examination, error) {
	x := Examination{Engine: e.String(), Channel: cfg.Prefix + "wsify-doctor-" + rand.Text()}
	s := newTrial(x.Channel)
	opening, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	began := time.Now()
	link, most, err := e.Open(opening, s)
	if err != nil {
		return x, err
	}
	defer link.Close()
	x.Opened, x.MaxContent = time.Since(began), most
	s.run(ctx, link, &x)
	if h, ok := link.(HistoryLink); ok && cfg.History != nil {
		x.History = s.keep(ctx, h)
	}
	facts(ctx, link, &x)
	return x, nil
}

// WithoutHistory examines an engine again that opens no link with history, to tell whether that is the
// reason. err is that of the first time.
func WithoutHistory(cfg Config, err error, examine func(Config) (Examination, error)) (Examination, error) {
	if err == nil || cfg.History == nil {
		return Examination{}, err
	}
	cfg.History = nil
	x, again := examine(cfg)
	if again != nil {
		return x, err
	}
	x.History = err
	return x, nil
}

// trial is the sink of a link that is examined. Each chan has room for the first of what
// it carries; the rest is left out.
type trial struct {
	channel    string
	subscribed chan error
	heard      chan error
	lost       chan error
}

var _ Sink = (*trial)(nil)

func newTrial(channel string) *trial {
	return &trial{channel: channel, subscribed: make(chan error, 1), heard: make(chan error, 1), lost: make(chan error, 1)}
}

// run subscribes, publishes, and waits for what was published.
func (s *trial) run(ctx context.Context, link Link, x *Examination) {
	subscribing, cancel := context.WithTimeout(ctx, SubscribeTimeout)
	defer cancel()
	if x.Subscribe = link.Subscribe(subscribing, []string{s.channel}); x.Subscribe == nil {
		x.Subscribe = s.await(subscribing, s.subscribed, errUnanswered)
	}
	publishing, cancel := context.WithTimeout(ctx, PublishTimeout)
	defer cancel()
	batch := []Publication{{Channel: s.channel, Content: []byte(`"wsify doctor"`)}}
	began := time.Now()
	link.Publish(publishing, batch)
	if x.Publish = batch[0].Err; x.Publish != nil || x.Subscribe != nil {
		return
	}
	if x.Deaf = s.await(publishing, s.heard, errUnheard); x.Deaf == nil {
		x.RoundTrip = time.Since(began)
	}
}

// keep publishes to history, and reads that.
func (s *trial) keep(ctx context.Context, link HistoryLink) error {
	ctx, cancel := context.WithTimeout(ctx, PublishTimeout)
	defer cancel()
	batch := []Publication{{Channel: s.channel, Content: []byte(`"wsify doctor"`), Keep: true}}
	if link.Publish(ctx, batch); batch[0].Err != nil {
		return batch[0].Err
	}
	page, err := link.ReadHistory(ctx, s.channel, Position{}, 1)
	if err == nil && (len(page.Entries) != 1 || page.Tail != batch[0].Receipt.Position) {
		err = errForgotten
	}
	return err
}

// await returns what outcome brings, or why nothing comes.
func (s *trial) await(ctx context.Context, outcome <-chan error, late error) error {
	select {
	case err := <-outcome:
		return err
	case err := <-s.lost:
		return err
	case <-ctx.Done():
		return late
	}
}

// note notes the first outcome.
func note(outcome chan<- error, err error) {
	select {
	case outcome <- err:
	default:
	}
}

func (s *trial) Received(channel, _ []byte) {
	if string(channel) == s.channel {
		note(s.heard, nil)
	}
}

func (s *trial) Confirmed(string)          { note(s.subscribed, nil) }
func (s *trial) Ended(_ string, why error) { note(s.subscribed, why) }
func (s *trial) Returned()                 {}
func (s *trial) Deaf(string) bool          { return false }
func (s *trial) Lost(cause error)          { note(s.lost, cause) }
