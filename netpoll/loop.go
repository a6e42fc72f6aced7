package netpoll

import (
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/invariants"
	"wsify/internal/slab"
)

// Handler is what a loop calls. Each loop has a handler of its own, and calls it
// on its goroutine only, so a handler needs no lock for its own state. No method
// may block: the loop waits for nothing but epoll (I2).
type Handler interface {
	// Opened is called once, when c has been given to the loop.
	Opened(c *Conn)
	// Data hands over bytes that were read. p is borrowed and may be changed in
	// place; it is overwritten after the call.
	Data(c *Conn, p []byte)
	// Expired is called when the deadline of c has passed. c then has no deadline.
	Expired(c *Conn)
	// Turn is called once a turn, after events, tasks and deadlines. It reports
	// whether work is left; if so, the next turn follows without waiting.
	Turn() (more bool)
	// Closed is called once, as the last call for c, unless Detach was used.
	Closed(c *Conn, reason Reason)
}

// Loop is one event loop: one goroutine, one epoll instance, its connections.
type Loop struct {
	index   int // immutable, as is everything up to lingerTimeout
	group   *Group
	handler Handler
	poller  poller
	log     *slog.Logger

	maxQueued     int
	lingerTimeout time.Duration
	now           func() time.Duration // since a fixed instant

	// Owned by the loop's goroutine.
	owner    string // name of that goroutine, in builds with assertions
	readBuf  []byte
	conns    pages
	slots    slab.Indexes
	limbo    []uint32 // slots of connections that ended since leaveLimbo was called
	limboOld []uint32 // slots of those that ended before it
	closing  []*Conn  // Close was called, Closed not yet
	dirty    []uint64 // connections with something queued in this turn
	wheel    wheel
	batch    batch
	bytesIn  uint64
	bytesOut uint64
	stopping bool
	tap      func(*Conn) // for tests: called before each event of a connection
	inTurn   bool        // what is queued now is flushed without asking for a turn

	queues   slab.Pool[queue] // of connections that have something queued
	enqueued uint64           // bytes of memory that queues have taken up

	whenWritten map[uint64]func(*Conn) // by ID: the functions of WhenWritten

	// Read by every loop that accepts; written when a connection is opened or ends.
	// They are not on the cache lines that the loop writes after each event.
	_      [64]byte
	open   atomic.Int64
	coming atomic.Int64 // descriptors in incoming
	_      [64]byte

	// Written by the loop, read by anyone.
	queuedBytes atomic.Int64 // memory of queues; the loop that holds a shared buffer first adds it, the one that drops it last subtracts it
	largest     atomic.Int64 // no queue has more bytes
	panics      atomic.Int64
	totals      totals

	waking atomic.Bool // a turn has been asked for
	busy   atomic.Bool // the poller looks at waking before it sleeps (PollerNative)

	dead     chan struct{} // closed when epoll failed: nothing runs on the loop any more
	deadOnce sync.Once

	mu       sync.Mutex // a leaf lock: only the eventfd is written while it is held
	wakeFD   int32      // guarded by mu; -1 before start and after stop
	tasks    []func()   // guarded by mu
	incoming []incoming // guarded by mu
	ended    bool       // guarded by mu; the loop's goroutine is gone

	// The previous slices of tasks and incoming, for the next swap. The loop owns them.
	spare         []func()
	incomingSpare []incoming
}

// totals are counts published after each event and turn.
type totals struct {
	bytesIn, bytesOut atomic.Uint64
}

// incoming is a descriptor that another goroutine gives to this loop.
type incoming struct {
	fd   int
	head []byte // bytes already read from it; owned by the loop from here on
}

// Index returns the number of the loop in its group, from 0.
func (l *Loop) Index() int { return l.index }

// Wake requests a turn. It never blocks, and may be called from any goroutine. It
// makes a system call only if no turn is requested yet and the loop may be asleep.
func (l *Loop) Wake() {
	if l.waking.Load() || !l.waking.CompareAndSwap(false, true) || l.busy.Load() {
		return
	}
	l.mu.Lock()
	if l.wakeFD >= 0 { // the lock keeps stop from closing it under us
		signal(l.wakeFD)
	}
	l.mu.Unlock()
}

// Post queues fn to run on the loop, in the order of the calls. It never blocks
// and may be called from any goroutine. Once the group is stopped fn is dropped.
//
// The queue has no bound of its own. Callers post one answer for each call they
// were asked to make, so the bound on calls bounds the queue.
func (l *Loop) Post(fn func()) {
	l.mu.Lock()
	if !l.ended {
		l.tasks = append(l.tasks, fn)
	}
	l.mu.Unlock()
	l.Wake()
}

// PostTo is Post for the connection named id, which must belong to this loop. If
// the connection has ended by then, fn is dropped.
func (l *Loop) PostTo(id uint64, fn func(c *Conn)) {
	l.Post(func() {
		if c := l.conn(id); c != nil {
			defer c.contain()
			fn(c)
		}
	})
}

// Conn returns the open connection with this ID, or nil. Only the loop's
// goroutine may call it.
func (l *Loop) Conn(id uint64) *Conn {
	l.checkOwner()
	return l.conn(id)
}

// ConnAt returns the connection in a slot that is known to be in use. Only the loop's
// goroutine may call it. A fan-out calls it for each member, so it checks nothing.
func (l *Loop) ConnAt(slot uint32) *Conn {
	return l.conns.at(slot)
}

// Each calls fn for every open connection. Only the loop's goroutine may call it.
func (l *Loop) Each(fn func(c *Conn)) {
	l.checkOwner()
	for _, p := range l.conns.list {
		for i := range p.conns {
			if c := &p.conns[i]; c.flags&(flagOpen|flagClosing) == flagOpen {
				fn(c)
			}
		}
	}
}

// conn finds a connection by ID; nil when it has been closed.
func (l *Loop) conn(id uint64) *Conn {
	if !l.conns.has(slotOf(id)) {
		return nil
	}
	c := l.conns.at(slotOf(id))
	if c.ID() != id || c.flags&(flagOpen|flagClosing) != flagOpen {
		return nil
	}
	return c
}

// start opens the loop's descriptors. Nothing runs on the loop before it returns.
func (l *Loop) start(kind Poller, tick time.Duration) error {
	p, err := openPoller(kind, l, l.failed)
	if err != nil {
		return err
	}
	l.poller = p
	if err := l.openWheel(tick); err != nil {
		return err
	}
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err := p.addWake(fd); err != nil {
		_ = unix.Close(fd)
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeFD = int32(fd)
	if l.waking.Load() { // requested before the eventfd existed
		signal(l.wakeFD)
	}
	return nil
}

// failed is called when epoll itself fails, which ends the loop.
func (l *Loop) failed(err error) {
	l.log.Error("event loop ended", "loop", l.index, "err", err)
	l.deadOnce.Do(func() {
		l.owner = ""
		close(l.dead)
	})
	l.group.fail(err)
}

// do runs fn on the loop and waits for it. A loop that has failed runs nothing any
// more; fn then runs on the caller's goroutine.
func (l *Loop) do(fn func()) {
	done := make(chan struct{})
	l.Post(func() {
		defer close(done)
		fn()
	})
	select {
	case <-done:
		return
	case <-l.dead:
	}
	select {
	case <-done: // it was the last thing the loop did
	default:
		l.enter()
		fn()
	}
}

// turn does the work that events, tasks and deadlines left. Wake requests it. Between
// two batches, endBatch calls it.
func (l *Loop) turn() {
	l.enter()
	l.waking.Store(false)
	l.inTurn = true
	l.takeIncoming()
	l.runTasks()
	more := l.fireDue()
	if l.handlerTurn() {
		more = true
	}
	l.flushDirty()
	l.inTurn = false
	l.finishCloses()
	l.publishTotals()
	if more || len(l.limbo)+len(l.limboOld) > 0 {
		l.Wake()
	}
}

// handlerTurn calls Handler.Turn. After a panic, which must not end the process, it
// reports that work is left. Otherwise the rest might wait forever, because its
// deliveries count as requested already.
func (l *Loop) handlerTurn() (more bool) {
	defer l.contain("turn")
	more = true
	return l.handler.Turn()
}

// runTasks runs what was posted before the turn. Tasks posted by these wait for the
// next turn, so a task cannot keep the loop from its events.
func (l *Loop) runTasks() {
	l.mu.Lock()
	if len(l.tasks) == 0 {
		l.mu.Unlock()
		return
	}
	tasks := l.tasks
	l.tasks = l.spare[:0]
	l.mu.Unlock()
	for i, fn := range tasks {
		l.runTask(fn)
		tasks[i] = nil
	}
	l.spare = tasks
	if cap(tasks) > 1024 {
		l.spare = nil
	}
}

func (l *Loop) runTask(fn func()) {
	defer l.contain("task")
	fn()
}

// finishCloses ends every connection that Close was called for, including calls
// made while it runs.
func (l *Loop) finishCloses() {
	for i := 0; i < len(l.closing); i++ {
		l.finish(l.closing[i])
	}
	clear(l.closing)
	l.closing = l.closing[:0]
	if cap(l.closing) > 1024 {
		l.closing = nil
	}
}

// contain logs a panic and lets the loop continue. In builds with assertions the
// panic ends the process.
func (l *Loop) contain(during string) {
	if invariants.Enabled {
		return
	}
	if p := recover(); p != nil {
		l.panics.Add(1)
		l.log.Error("panic on an event loop", "loop", l.index, "during", during, "panic", p, "stack", string(debug.Stack()))
	}
}

func (l *Loop) sent(n int) { l.bytesOut += uint64(n) }

func (l *Loop) publishTotals() {
	l.totals.bytesIn.Store(l.bytesIn)
	l.totals.bytesOut.Store(l.bytesOut)
}

// enter marks the goroutine as the loop's, in builds with assertions.
func (l *Loop) enter() {
	if invariants.Enabled && l.owner == "" {
		l.owner = invariants.Goroutine()
	}
}

// checkOwner asserts I1 in builds with assertions.
func (l *Loop) checkOwner() {
	if invariants.Enabled {
		g := invariants.Goroutine()
		invariants.Check(l.owner == g, "I1: loop %d belongs to goroutine %s, called on %s", l.index, l.owner, g)
	}
}
