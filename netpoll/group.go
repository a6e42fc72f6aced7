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

// Config holds the settings of a Group. The zero value works.
type Config struct {
	// Loops is the number of event loops. Zero means one per core (GOMAXPROCS);
	// at most 256.
	Loops int
	// ReadBufferSize is the size in bytes of a loop's read buffer, which its
	// connections share. It is also the most that one event reads from a
	// connection. Zero means 64 KiB.
	ReadBufferSize int
	// MaxQueuedBytes is how many bytes of memory the outbound queue of one connection may
	// keep. Send refuses a message that would pass it, and the handler decides what to do.
	// Zero means 1 MiB; at most 1 GiB.
	MaxQueuedBytes int
	// LingerTimeout is how long a peer that has ended its side may take to read
	// what is still queued for it. Zero means 5s.
	LingerTimeout time.Duration
	// Tick is the precision of deadlines. Zero means 250ms.
	Tick time.Duration
	// MaxDescriptor is the lowest descriptor number that accepted connections do not
	// use: a connection that gets it or a higher one is refused. The kernel gives the
	// lowest free number, so those from here to the process's limit are kept for
	// other uses. Zero means that none are kept.
	MaxDescriptor int
	// Poller is the implementation of epoll that the loops use. Empty means
	// PollerNative.
	Poller Poller
	// SocketMode is the file mode of a unix socket that Listen creates. Zero means 0660.
	SocketMode os.FileMode
	// Logger gets what an operator has to know, with a constant message for each kind
	// of fault. A fault may repeat many times a second; the log handler decides how
	// often to log it. It must not block, because loops call it. Nil discards all.
	Logger *slog.Logger
	// ConnName returns a connection's name for the log. Nil means its ID in
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

// Group holds all event loops of a process.
type Group struct {
	loops      []*Loop
	log        *slog.Logger
	socketMode os.FileMode
	name       func(id uint64) string // of a connection, for the log
	refused    atomic.Int64           // connections closed for lack of a descriptor
	failure    chan error             // the first error that ended a loop or a listener
	maxFD      int                    // Config.MaxDescriptor; immutable
	reserve    reserve

	mu        sync.Mutex // held over epoll_ctl; taken before easygo's own lock
	listeners []*listener
	stopped   bool

	closing  sync.Mutex // held by StopListening, so that Stop ends no loop during it; taken before mu
	stopOnce sync.Once
	stopErr  error
}

// Open starts the loops. It calls newHandler once for each, before anything runs on
// that loop.
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

// Adopt gives the group a connected stream socket. head is bytes already read from
// it, which are handled first, even if Opened paused. The group owns both from here
// on, unless an error says that fd is not a descriptor. It may be called from any
// goroutine. Once the group is stopped, it closes fd.
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
// when the loops' goroutines have ended, and must not be called on one of them. A
// later call waits for the first and returns the same error.
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

// stop closes the connections of a loop on its goroutine, then ends the loop.
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

// closeDescriptors runs after the loop's goroutine has ended. From here on, posted
// tasks are dropped and given descriptors are closed.
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

// Failed delivers the first error that ended a loop or a listener. The process
// cannot serve without it, so the owner of the group has to watch this chan.
func (g *Group) Failed() <-chan error { return g.failure }

func (g *Group) fail(err error) {
	select {
	case g.failure <- err:
	default:
	}
}

// Stats are counters of a group since it was opened, and gauges of what is now.
type Stats struct {
	Connections   int64 // open now
	QueuedBytes   int64 // memory that all queues keep now; see Queued
	BytesReceived uint64
	BytesSent     uint64
	Refused       int64 // connections closed for lack of a descriptor
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
