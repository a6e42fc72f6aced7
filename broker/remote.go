package broker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"wsify/broker/internal/link"
	"wsify/internal/logs"
)

// Remote is a broker with an engine elsewhere. The engine sends every publication to every node
// that has members of its channel, this one included. A node's own publications come back from the
// engine, so that all nodes deliver in one order. Any goroutine may call its methods once Start has
// returned.
//
// It holds one link at a time. While it has no link, or has not subscribed to everything again, it
// is down: Publish and Await return ErrDown, and members receive nothing.
type Remote struct {
	cfg    Config
	engine Engine
	log    *slog.Logger
	faults *slog.Logger // records that may come often

	deliver func(channel, content []byte) error // immutable after Start
	room    func(w *Waiter)                     // immutable after Start
	resumed func(channel string)                // immutable after Start; nil without history

	table   *table
	outbox  *outbox
	backlog *backlog
	counts  counts
	up      atomic.Bool
	pending atomic.Int64  // publications without an outcome
	most    atomic.Int64  // the largest content that the engine takes, in bytes; zero when it does not say
	news    chan struct{} // capacity one; holds a value when the table has something to ask for

	using   sync.Mutex               // locked while current is published to, and while it changes
	current atomic.Pointer[linkSink] // the link in use, nil while the node is down
	opened  atomic.Pointer[linkSink] // the link, nil without one; history is read before the node is up

	ctx     context.Context // ends when the broker is closed
	stop    context.CancelCauseFunc
	running sync.WaitGroup
}

var _ Historian = (*Remote)(nil)

// NewRemote returns a Remote for an engine; Start starts it.
func NewRemote(cfg Config, e Engine) *Remote {
	cfg = cfg.Filled()
	r := &Remote{
		cfg: cfg, engine: e, log: cfg.Logger.With("engine", e.String()),
		table: newTable(), outbox: newOutbox(cfg.BufferSize / 4), news: make(chan struct{}, 1),
		counts: counts{outcomes: newTally("ok", "down", "unknown", "refused"), dropped: newTally(dropBusy, dropTooBig, dropNotUTF8, dropHead)},
	}
	r.faults = slog.New(logs.Seldom(r.log.Handler()))
	r.backlog = newBacklog(cfg.BufferSize, r)
	r.ctx, r.stop = context.WithCancelCause(context.Background())
	return r
}

// Start begins to open a link and returns at once. It retries until the engine is reachable. room
// may be nil when no publisher waits.
func (r *Remote) Start(deliver func(channel, content []byte) error, room func(w *Waiter)) error {
	r.deliver, r.room = deliver, room
	r.running.Go(r.run)
	r.running.Go(r.publishing)
	r.running.Go(r.backlog.run)
	return nil
}

// Publish copies a publication. It returns ErrDown, ErrFull, ErrTooBig or ErrClosed; done may get
// any error.
func (r *Remote) Publish(w *Waiter, channel, content []byte, done func(Receipt, error)) (pending bool, _ Receipt, err error) {
	r.pending.Add(1)
	if err = r.put(w, channel, content, done); err != nil {
		r.pending.Add(-1)
	}
	if err != nil && err != ErrFull { // after ErrFull there is no outcome yet: the caller waits for room
		r.counts.outcome(err)
		if w != nil {
			r.Forgo(w)
		}
	}
	return err == nil, Receipt{}, err
}

func (r *Remote) put(w *Waiter, channel, content []byte, done func(Receipt, error)) error {
	now := time.Now()
	if !r.up.Load() {
		return ErrDown
	}
	if most := r.most.Load(); most > 0 && int64(len(content)) > most {
		return ErrTooBig
	}
	// One allocation for the name and the content.
	b := make([]byte, 0, len(r.cfg.Prefix)+len(channel)+len(content))
	b = append(append(append(b, r.cfg.Prefix...), channel...), content...)
	n := len(r.cfg.Prefix) + len(channel)
	name := link.String(b[:n:n])
	if r.table.isDeaf(name) {
		return ErrDown
	}
	keep := r.cfg.History != nil && r.cfg.History.Match(name[len(r.cfg.Prefix):])
	return r.outbox.put(Publication{Channel: name, Content: b[n:], Keep: keep, at: now, done: done}, w)
}

// Forgo ends a wait, or gives the room kept for w to the waiters behind it.
func (r *Remote) Forgo(w *Waiter) { r.tell(r.outbox.forgo(w)) }

// tell tells waiters that there is room for them.
func (r *Remote) tell(told []*Waiter) {
	for _, w := range told {
		r.room(w)
	}
}

// The other methods of Broker.

func (r *Remote) Subscribe(channel string) {
	if r.table.want(r.cfg.Prefix + channel) {
		r.wake()
	}
}

func (r *Remote) Unsubscribe(channel string) { r.table.unwant(r.cfg.Prefix+channel, time.Now()) }

func (r *Remote) Await(channel []byte, done func(error)) (pending bool, err error) {
	return r.table.await(r.cfg.Prefix+link.String(channel), done, time.Now())
}

func (r *Remote) Room(channel string) { r.backlog.ready(channel) }
func (r *Remote) Asynchronous() bool  { return true }
func (r *Remote) Up() bool            { return r.up.Load() }

// Close publishes what is in the outbox, for two seconds at most, and closes the link.
func (r *Remote) Close() error {
	r.outbox.close()
	patience := time.AfterFunc(closeTimeout, func() { r.stop(ErrClosed) })
	defer patience.Stop()
	r.running.Wait()
	return nil
}

// settleInterval is the time between two looks at whether publications have an outcome.
const settleInterval = 2 * time.Millisecond

// Settle implements Broker. Behind a cluster of Redis without sharding it may return early, as its
// masters pass publications on to each other.
func (r *Remote) Settle(ctx context.Context) error {
	tick := time.NewTicker(settleInterval)
	defer tick.Stop()
	for r.pending.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	l := r.current.Load()
	if l == nil {
		return ErrDown
	}
	within, cancel := link.Within(l.ctx, PublishTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	return l.link.Flush(within)
}

// wake makes run look at the table.
func (r *Remote) wake() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}
