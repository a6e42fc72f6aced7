package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
	"unsafe"
)

// How patient a Remote is.
const (
	openTimeout      = 10 * time.Second       // to open a link
	subscribeTimeout = 10 * time.Second       // to ask for a batch of subscriptions
	publishTimeout   = 5 * time.Second        // to publish a batch
	sweepInterval    = 500 * time.Millisecond // between two looks at what is due
	closeTimeout     = 2 * time.Second        // to publish what waits when the broker is closed

	backoffFirst = 100 * time.Millisecond // the first pause between attempts to open a link; it doubles
	backoffLast  = 5 * time.Second        // the longest
	steadyAfter  = 10 * time.Second       // a link that was up for so long starts the pauses anew
	sayAgain     = time.Minute            // between two records of the same trouble
)

var (
	errNoAnswer = errors.New("the engine does not answer")
	errNoAck    = errors.New("the engine does not confirm subscriptions")
)

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
	// Logger may be nil.
	Logger *slog.Logger
}

// Remote is a broker with an engine elsewhere, which gives every publication to
// every node that has members of its channel, this one included: what is published
// here comes back from there, so that all nodes deliver one order. Its methods may
// be called from any goroutine once Start has returned.
//
// It holds one link at a time. While it has none, or has not subscribed to
// everything again yet, it is down: Publish and Await answer ErrDown, and members
// hear nothing.
type Remote struct {
	cfg    Config
	engine engine
	log    *slog.Logger

	deliver func(channel, content []byte) error // immutable after Start
	room    func()                              // immutable after Start; may be nil

	table   *table
	outbox  *outbox
	backlog *backlog
	counts  counts
	up      atomic.Bool
	news    chan struct{} // holds one: the table has something to ask for

	refusing, rejecting atomic.Int64 // when it was last logged, in seconds since 1970

	using   sync.RWMutex // read-locked while current is published to
	current *linkSink    // the link in use, nil while there is none; guarded by using

	ctx      context.Context // ends when the broker is closed
	stop     context.CancelFunc
	stopOnce sync.Once
	running  sync.WaitGroup
	emptied  chan struct{} // closed when the outbox is closed and empty
	started  bool
}

// newRemote returns a Remote for an engine; Start brings it to life.
func newRemote(cfg Config, e engine) *Remote {
	if cfg.BufferSize <= 0 {
		cfg.BufferSize = 16 << 20
	}
	if cfg.MaxContent <= 0 {
		cfg.MaxContent = 64 << 10
	}
	r := &Remote{cfg: cfg, engine: e, log: cfg.Logger, table: newTable(), outbox: newOutbox(cfg.BufferSize / 4), news: make(chan struct{}, 1), emptied: make(chan struct{})}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if s, ok := e.(fmt.Stringer); ok {
		r.log = r.log.With("engine", s.String())
	}
	r.backlog = newBacklog(cfg.BufferSize, r)
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Start begins to open a link and returns at once: an engine that is away at start
// is tried until it is there. deliver is called for each publication received; when
// it answers an error, the publication waits in a bounded buffer until Room is
// called for its channel. room is called when Publish, having answered ErrFull,
// would take more; it must not block, and may be nil.
func (r *Remote) Start(deliver func(channel, content []byte) error, room func()) error {
	r.deliver, r.room, r.started = deliver, room, true
	r.running.Go(r.run)
	r.running.Go(r.publishing)
	r.running.Go(r.backlog.run)
	r.running.Go(r.awaiting)
	return nil
}

// Publish takes a copy of a publication and is pending until the engine has it; it
// then calls done, if that is not nil, from a goroutine of its own. Publications
// reach the engine in the order of the calls. The error is ErrDown, ErrFull or
// ErrClosed; that of done, any.
func (r *Remote) Publish(channel, content []byte, done func(error)) (pending bool, err error) {
	now := time.Now()
	if !r.up.Load() || r.table.isDeaf(channel) {
		r.counts.outcome(ErrDown, 0)
		return false, ErrDown
	}
	// One allocation for both.
	b := make([]byte, 0, len(r.cfg.Prefix)+len(channel)+len(content))
	b = append(append(append(b, r.cfg.Prefix...), channel...), content...)
	n := len(r.cfg.Prefix) + len(channel)
	err = r.outbox.put(publication{channel: stringOf(b[:n:n]), content: b[n:], at: now, done: done})
	if err != nil {
		if err != ErrFull { // that is not the end of it: the caller waits for room
			r.counts.outcome(err, 0)
		}
		return false, err
	}
	return true, nil
}

// Subscribe notes that a channel has its first member here.
func (r *Remote) Subscribe(channel string) {
	if r.table.want(channel) {
		r.wake()
	}
}

// Unsubscribe notes that a channel has lost its last member here. The subscription
// ends a second later, unless there are members again.
func (r *Remote) Unsubscribe(channel string) {
	if r.table.unwant(channel, time.Now()) {
		r.wake()
	}
}

// Await tells when the subscription of a channel is in force: pending false and a
// nil error say that it is. While pending, done is called once, from a goroutine of
// the broker: with nil, with ErrDown when the link was lost, or with another error
// when the engine refused or did not confirm it in time. As long as there are
// members, what was refused or lost is asked for again.
func (r *Remote) Await(channel []byte, done func(error)) (pending bool, err error) {
	return r.table.await(channel, done, time.Now())
}

// Asynchronous reports that answers come later.
func (r *Remote) Asynchronous() bool { return true }

// Up reports whether the engine is there and has confirmed every subscription there
// was when the link to it was opened.
func (r *Remote) Up() bool { return r.up.Load() }

// Room says that members of a channel, for which deliver answered an error, have
// room again.
func (r *Remote) Room(channel string) { r.backlog.ready(channel) }

// Close publishes what waits, for two seconds at most, and ends the link. Nothing
// is delivered after it returns. It may be called more than once.
func (r *Remote) Close() error {
	r.stopOnce.Do(func() {
		r.outbox.close()
		if r.started {
			select {
			case <-r.emptied:
			case <-time.After(closeTimeout):
			}
		}
		r.stop()
		r.backlog.close()
	})
	r.running.Wait()
	return nil
}

// wake makes run look at the table.
func (r *Remote) wake() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// run holds a link to the engine until the broker is closed.
func (r *Remote) run() {
	for attempt := 0; r.ctx.Err() == nil; attempt++ {
		l := r.open()
		if l == nil {
			return
		}
		began := time.Now()
		cause := r.serve(l)
		r.giveUp(l, cause)
		if r.ctx.Err() != nil {
			return
		}
		steady := time.Since(began) > steadyAfter
		r.log.Warn("the broker is lost; clients stay, publications are refused until it is back", "cause", cause, "was_up", time.Since(began).Round(time.Millisecond).String())
		if steady {
			attempt = 0
		}
		pause(r.ctx, backoff(attempt))
	}
}

// backoff is the pause after so many attempts: twice as long each time, and at
// random between nothing and all of it, so that nodes do not come back all at once.
func backoff(attempt int) time.Duration {
	longest := min(backoffFirst<<min(attempt, 16), backoffLast)
	return time.Duration(rand.Int64N(int64(longest)) + int64(time.Millisecond))
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// open tries to open a link until it succeeds, and returns nil when the broker is
// closed. What is wrong is logged when it changes, and again once a minute.
func (r *Remote) open() *linkSink {
	var said string
	var saidAt time.Time
	for attempt := 0; r.ctx.Err() == nil; attempt++ {
		l := &linkSink{r: r, gone: make(chan struct{})}
		l.ctx, l.cancel = context.WithCancel(r.ctx)
		ctx, cancel := context.WithTimeout(l.ctx, openTimeout)
		began := time.Now()
		link, err := r.engine.open(ctx, l)
		cancel()
		if err == nil {
			l.link = link
			r.log.Info("the broker is connected", "took", time.Since(began).Round(time.Millisecond).String(), "attempts", attempt+1)
			return l
		}
		l.cancel()
		if r.ctx.Err() != nil {
			return nil
		}
		r.counts.failedOpens.Add(1)
		if text := err.Error(); text != said || time.Since(saidAt) > sayAgain {
			r.log.Error("the broker cannot be reached, trying again", "err", err)
			said, saidAt = text, time.Now()
		}
		pause(r.ctx, backoff(attempt))
	}
	return nil
}

// serve makes a link useful until it is lost, and returns why it was. Subscriptions
// go out in batches, one behind the other; between two there is a look at all else,
// so that neither many joins nor many leaves keep the rest waiting.
func (r *Remote) serve(l *linkSink) error {
	owed := r.table.opened()
	r.counts.opened.Add(1)
	r.using.Lock()
	r.current = l
	r.using.Unlock()
	began := time.Now()
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	for sweeping := false; ; {
		asking, err := r.ask(l)
		if err == nil && sweeping {
			sweeping, err = r.end(l)
		}
		if err != nil {
			return err
		}
		if !r.up.Load() && r.table.settled() {
			r.up.Store(true)
			r.log.Info("the broker is up", "subscriptions", owed, "took", time.Since(began).Round(time.Millisecond).String())
		}
		if asking || sweeping {
			r.wake()
		}
		select {
		case <-l.gone:
			return l.reason
		case <-r.ctx.Done():
			return ErrClosed
		case <-r.news:
		case <-sweep.C:
			sweeping = true
			if r.table.stuck(time.Now()) {
				return errNoAck
			}
		}
	}
}

// ask subscribes to a batch of what is wanted. It reports whether there may be more.
func (r *Remote) ask(l *linkSink) (more bool, err error) {
	names := r.table.take(time.Now())
	if len(names) == 0 {
		return false, nil
	}
	return len(names) == maxBatch, r.change(l, l.link.subscribe, names)
}

// end ends a batch of subscriptions that nobody wants, and puts back what rested.
// It reports whether there may be more.
func (r *Remote) end(l *linkSink) (more bool, err error) {
	names, fresh := r.table.sweep(time.Now())
	if fresh {
		r.wake()
	}
	if len(names) == 0 {
		return false, nil
	}
	return len(names) == maxBatch, r.change(l, l.link.unsubscribe, names)
}

// awaiting is one goroutine that tells who waited too long for a subscription,
// whatever the engine holds up.
func (r *Remote) awaiting() {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case now := <-tick.C:
			for more := true; more; {
				var late *waiter
				late, more = r.table.overdue(now)
				tell(late, errNoAck)
			}
		}
	}
}

// change subscribes to channels, or unsubscribes, under their names at the engine.
func (r *Remote) change(l *linkSink, do func(context.Context, []string) error, names []string) error {
	if r.cfg.Prefix != "" {
		for i := range names {
			names[i] = r.cfg.Prefix + names[i]
		}
	}
	ctx, cancel := context.WithTimeout(l.ctx, subscribeTimeout)
	defer cancel()
	err := do(ctx, names)
	if err == nil {
		return nil
	}
	select {
	case <-l.gone: // that is why
		return l.reason
	default:
		return err
	}
}

// giveUp ends a link that is of no use.
func (r *Remote) giveUp(l *linkSink, cause error) {
	r.up.Store(false)
	l.lost(cause) // what is published with it returns
	r.using.Lock()
	r.current = nil
	r.using.Unlock()
	l.link.close()
	for _, c := range r.table.closed() {
		tell(c.first, ErrDown)
	}
}

// linkSink is a link and what it tells. It implements sink.
type linkSink struct {
	r      *Remote
	link   link
	ctx    context.Context // ends when the link is lost
	cancel context.CancelFunc

	once   sync.Once
	gone   chan struct{} // closed when the link is lost
	reason error         // set before gone is closed
}

var _ sink = (*linkSink)(nil)

// lost notes the first cause.
func (l *linkSink) lost(cause error) {
	l.once.Do(func() {
		l.reason = cause
		close(l.gone)
		l.cancel()
	})
}

// received delivers what the engine sent, or says why not.
func (l *linkSink) received(channel, content []byte) {
	r := l.r
	channel, ours := bytes.CutPrefix(channel, bytesOf(r.cfg.Prefix))
	if !ours {
		return
	}
	r.counts.received.Add(1)
	switch {
	case len(content) > r.cfg.MaxContent:
		r.drop(dropTooBig, channel, len(content))
	case !utf8.Valid(content): // no text message may hold it; RFC 6455, section 8.1
		r.drop(dropNotUTF8, channel, len(content))
	default:
		r.backlog.deliver(channel, content)
	}
}

// warn logs a trouble that may come often, at most once a minute.
func (r *Remote) warn(last *atomic.Int64, text string) {
	now := time.Now().Unix()
	if before := last.Load(); now-before >= int64(sayAgain/time.Second) && last.CompareAndSwap(before, now) {
		r.log.Warn(text)
	}
}

// drop counts what is not delivered. The channel is a stranger's word: it is logged
// for debugging only.
func (r *Remote) drop(reason dropReason, channel []byte, size int) {
	r.counts.dropped[reason].Add(1)
	r.log.Debug("a publication was dropped", "reason", reason.String(), "channel", string(channel), "bytes", size)
}

func (l *linkSink) confirmed(channel string) {
	r := l.r
	channel, ours := strings.CutPrefix(channel, r.cfg.Prefix)
	if !ours {
		return
	}
	tell(r.table.confirm(channel, time.Now()), nil)
	if !r.up.Load() {
		r.wake()
	}
}

func (l *linkSink) ended(channel string, cause error) {
	r := l.r
	channel, ours := strings.CutPrefix(channel, r.cfg.Prefix)
	if !ours {
		return
	}
	r.counts.ended.Add(1)
	r.log.Debug("a subscription ended", "channel", channel, "cause", cause)
	away := errors.Is(cause, errAway)
	if !away {
		r.warn(&r.refusing, "the engine refuses subscriptions; joins of these channels stand and hear nothing (at debug the log names them)")
	}
	tell(r.table.end(channel, time.Now(), away), cause)
	if !r.up.Load() {
		r.wake()
	}
}

// stringOf is b as a string; b is not changed any more.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf is s as bytes that nobody changes.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
