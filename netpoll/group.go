package netpoll

import (
	"errors"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Config is the settings of a Group. The zero value works.
type Config struct {
	// Loops is the number of event loops. Zero means one per core (GOMAXPROCS);
	// at most 256.
	Loops int
	// ReadBufferSize is the size in bytes of the buffer that all connections of a
	// loop are read into, and the most that is read from one before another has
	// its turn. Zero means 64 KiB.
	ReadBufferSize int
	// MaxQueuedBytes is how many bytes of memory the outbound queue of one connection
	// may keep. Send refuses what would pass it, and the handler decides. Zero means 1 MiB;
	// at most 1 GiB.
	MaxQueuedBytes int
	// LingerTimeout is how long a connection whose peer has ended its side may
	// take to read what it is still owed. Zero means 5s.
	LingerTimeout time.Duration
	// Tick is the precision of deadlines. Zero means 250ms.
	Tick time.Duration
	// MaxDescriptor is the number from which on a descriptor is not spent on an
	// accepted connection, which is refused instead. The kernel gives the lowest free
	// number, so as many as lie between it and the process' limit are kept for other
	// uses, whatever the others are. Zero means that none are kept.
	MaxDescriptor int
	// Poller is the implementation of epoll that the loops use. Empty means
	// PollerNative.
	Poller Poller
	// SocketMode is that of a unix socket that Listen makes. Zero means 0660.
	SocketMode os.FileMode
	// Logger receives what an operator has to know, with a constant message for each
	// kind of fault. A fault may repeat many times in a second: the handler decides
	// how often it is logged. It must not wait, as loops call it. Nil discards it.
	Logger *slog.Logger
	// ConnName is what a connection is called in the log. Nil means its ID in
	// hexadecimal.
	ConnName func(id uint64) string
}

func (c Config) withDefaults() Config {
	if c.Loops <= 0 {
		c.Loops = runtime.GOMAXPROCS(0)
	}
	c.Loops = min(c.Loops, maxLoops)
	c.ReadBufferSize = positiveOr(c.ReadBufferSize, 64<<10)
	c.MaxQueuedBytes = min(positiveOr(c.MaxQueuedBytes, 1<<20), 1<<30)
	c.LingerTimeout = positiveOr(c.LingerTimeout, 5*time.Second)
	c.Tick = positiveOr(c.Tick, defaultTick)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.SocketMode == 0 {
		c.SocketMode = 0o660
	}
	if c.ConnName == nil {
		c.ConnName = func(id uint64) string { return strconv.FormatUint(id, 16) }
	}
	return c
}

func positiveOr[T ~int | ~int64](v, fallback T) T {
	if v > 0 {
		return v
	}
	return fallback
}

// Group is all event loops of a process.
type Group struct {
	loops      []*Loop
	log        *slog.Logger
	socketMode os.FileMode
	name       func(id uint64) string // of a connection, for the log
	refused    atomic.Int64           // connections closed for want of a descriptor
	failure    chan error             // the first error that ended a loop or a listener
	maxFD      int                    // Config.MaxDescriptor; immutable
	reserve    reserve

	mu        sync.Mutex // held over epoll_ctl, and so before easygo's own lock
	listeners []*listener
	stopped   bool

	closing  sync.Mutex // held by StopListening, so that Stop ends no loop under it; before mu
	stopOnce sync.Once
	stopErr  error
}

// Open starts the loops. newHandler is called once for each, before anything runs
// on it.
func Open(cfg Config, newHandler func(l *Loop) Handler) (*Group, error) {
	cfg = cfg.withDefaults()
	g := &Group{log: cfg.Logger, name: cfg.ConnName, socketMode: cfg.SocketMode, maxFD: cfg.MaxDescriptor, reserve: reserve{fd: -1}, failure: make(chan error, 1)}
	for i := range cfg.Loops {
		l := &Loop{
			index: i, group: g, log: cfg.Logger, wakeFD: -1,
			maxQueued: cfg.MaxQueuedBytes, lingerTimeout: cfg.LingerTimeout,
			readBuf: make([]byte, cfg.ReadBufferSize), dead: make(chan struct{}),
		}
		began := time.Now()
		l.now = func() time.Duration { return time.Since(began) }
		l.beginBatch(0)
		l.wheel.timerfd = -1
		l.handler = newHandler(l)
		g.loops = append(g.loops, l)
		if err := l.start(cfg.Poller, cfg.Tick); err != nil {
			return nil, errors.Join(err, g.Stop())
		}
	}
	return g, nil
}

// Loops returns the number of loops.
func (g *Group) Loops() int { return len(g.loops) }

// Loop returns the loop with this index.
func (g *Group) Loop(i int) *Loop { return g.loops[i] }

// LoopOf returns the loop that owns the connection named id.
func (g *Group) LoopOf(id uint64) *Loop { return g.loops[loopOf(id)] }

// Adopt makes a connected stream socket one of the group's. head is bytes already
// read from it, handled first, even if Opened paused; both belong to the group from
// here on, unless an error says that fd is no descriptor. It may be called from any
// goroutine. Once the group is stopped fd is closed.
func (g *Group) Adopt(fd int, head []byte) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	best := g.loops[0]
	for _, l := range g.loops {
		if l.load() < best.load() {
			best = l
		}
	}
	best.give(incoming{fd: fd, head: head})
	return nil
}

// Stop ends everything: listeners, connections (ReasonStopped), loops. It returns
// when the loops' goroutines are gone, and must not be called on a loop. Calling it
// again waits for the first call and returns the same.
func (g *Group) Stop() error {
	g.stopOnce.Do(func() {
		g.mu.Lock()
		g.stopped = true
		g.mu.Unlock()
		g.StopListening()
		var errs []error
		for _, l := range g.loops {
			errs = append(errs, l.stop())
		}
		g.stopErr = errors.Join(errs...)
	})
	return g.stopErr
}

// stop closes the connections of a loop on its goroutine, then ends it.
func (l *Loop) stop() error {
	if l.poller == nil {
		return nil
	}
	if l.started() {
		l.do(func() {
			l.stopping = true
			l.Each(func(c *Conn) { c.Close(ReasonStopped) })
			l.finishCloses()
		})
	}
	err := l.poller.close()
	l.closeDescriptors()
	return err
}

func (l *Loop) started() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wakeFD >= 0
}

// closeDescriptors runs when the loop's goroutine is gone. What is posted or
// given from here on is dropped.
func (l *Loop) closeDescriptors() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.incoming {
		_ = unix.Close(in.fd)
	}
	l.incoming, l.tasks = nil, nil
	for _, fd := range []int{int(l.wakeFD), l.wheel.timerfd} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	l.wakeFD, l.wheel.timerfd = -1, -1
	l.ended = true
}

// Failed yields the first error that ended a loop or a listener. Without it the
// process is as good as dead, so the owner of the group has to watch it.
func (g *Group) Failed() <-chan error { return g.failure }

func (g *Group) fail(err error) {
	select {
	case g.failure <- err:
	default:
	}
}

// Stats are counts of a group since it was opened; gauges where said.
type Stats struct {
	Connections   int64 // open now
	QueuedBytes   int64 // that all queues keep now; see Queued
	BytesReceived uint64
	BytesSent     uint64
	Refused       int64 // connections closed for want of a descriptor
	Panics        int64 // panics of handlers that were contained
}

// Stats adds up the counts of all loops. It may be called from any goroutine;
// bytes lag by up to a turn.
func (g *Group) Stats() Stats {
	s := Stats{Refused: g.refused.Load(), QueuedBytes: g.Queued()}
	for _, l := range g.loops {
		s.Connections += l.open.Load()
		s.BytesReceived += l.totals.bytesIn.Load()
		s.BytesSent += l.totals.bytesOut.Load()
		s.Panics += l.panics.Load()
	}
	return s
}

// Connections returns how many connections are open.
func (g *Group) Connections() int64 {
	var n int64
	for _, l := range g.loops {
		n += l.open.Load()
	}
	return n
}
