// Package swarm is many client connections on one epoll loop: it opens them at a rate or as fast as a window allows,
// joins their channels, makes load with them, and counts what they hear. One goroutine, locked to a thread, owns
// everything in it; each method may be called from any other goroutine and waits for what it asks for.
package swarm

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"wsify/bench/internal/ledger"
)

type Swarm struct {
	epoll, wake, timer int
	conns              []*conn // by descriptor
	groups             map[string]*group
	timers             []timer // the earliest is last
	buf                []byte
	reader             *bufio.Reader // of answers
	now                int64         // ns since 1970, of the batch
	pings              uint64
	stopped            bool
	ended_             chan struct{}

	mu     sync.Mutex
	posted []func() // guarded by mu
	over   bool     // guarded by mu: the descriptors are closed
}

// group is the connections of one Plan.
type group struct {
	plan    Plan
	at      []*net.TCPAddr // where its nodes are
	dialect *Dialect
	conns   []*conn
	result  Opened
	opening *opening // nil once all are open, or were given up
	latency *hdrhistogram.Histogram
	tally   tally
	talk    *talk
	ends    Ends
	since   int64 // of ends
}

func New() (*Swarm, error) {
	s := &Swarm{groups: map[string]*group{}, buf: make([]byte, 256<<10), reader: bufio.NewReader(nil), ended_: make(chan struct{})}
	var errs [3]error
	s.epoll, errs[0] = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	s.wake, errs[1] = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	s.timer, errs[2] = unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("epoll_create1, eventfd, timerfd_create: %w", err)
	}
	for _, fd := range []int{s.wake, s.timer} {
		if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return nil, os.NewSyscallError("epoll_ctl", err)
		}
	}
	go s.run()
	return s, nil
}

// Close ends all connections and the swarm, and with it each call that waits. It may be called again.
func (s *Swarm) Close() {
	s.post(func() { s.stopped = true })
	<-s.ended_
}

// post has fn run on the swarm's goroutine, unless that has ended.
func (s *Swarm) post(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.posted = append(s.posted, fn)
	_, _ = unix.Write(s.wake, binary.NativeEndian.AppendUint64(nil, 1))
}

// call is post, and waits until done was called; it returns nothing when the swarm ends first.
func call[T any](s *Swarm, fn func(done func(T))) (v T) {
	got := make(chan T, 1)
	s.post(func() { fn(func(v T) { got <- v }) })
	select {
	case v = <-got:
	case <-s.ended_:
	}
	return v
}

// ask runs fn with a group on the swarm's goroutine; there is no answer without the group.
func ask[T any](s *Swarm, name string, out *T, fn func(g *group) T) error {
	*out = call(s, func(done func(T)) {
		var v T
		if g := s.groups[name]; g != nil {
			v = fn(g)
		}
		done(v)
	})
	return nil
}

func (s *Swarm) run() {
	runtime.LockOSThread()
	defer close(s.ended_)
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // 50 us, the default, would be in every latency
	events := make([]unix.EpollEvent, 512)
	for !s.stopped {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			panic(os.NewSyscallError("epoll_wait", err))
		}
		s.now = time.Now().UnixNano()
		for _, e := range events[:max(n, 0)] {
			switch fd := int(e.Fd); fd {
			case s.wake, s.timer:
				var count [8]byte
				_, _ = unix.Read(fd, count[:])
			default:
				s.event(fd, e.Events)
			}
		}
		s.runPosted()
		s.runTimers()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, c := range s.conns {
		if c != nil {
			_ = unix.Close(c.fd)
		}
	}
	for _, fd := range []int{s.epoll, s.wake, s.timer} {
		_ = unix.Close(fd)
	}
}

func (s *Swarm) runPosted() {
	s.mu.Lock()
	posted := s.posted
	s.posted = nil
	s.mu.Unlock()
	for _, fn := range posted {
		s.now = time.Now().UnixNano()
		fn()
	}
}

// after has fn run at a time in nanoseconds since 1970.
func (s *Swarm) after(at int64, fn func()) {
	i, _ := slices.BinarySearchFunc(s.timers, at, func(t timer, at int64) int { return cmp.Compare(at, t.at) }) // the earliest is last
	s.timers = slices.Insert(s.timers, i, timer{at, fn})
}

type timer struct {
	at int64
	fn func()
}

func (s *Swarm) runTimers() {
	for len(s.timers) > 0 && s.timers[len(s.timers)-1].at <= time.Now().UnixNano() {
		t := s.timers[len(s.timers)-1]
		s.timers = s.timers[:len(s.timers)-1]
		s.now = time.Now().UnixNano()
		t.fn()
	}
	var spec unix.ItimerSpec
	if len(s.timers) > 0 {
		spec.Value = unix.NsecToTimespec(s.timers[len(s.timers)-1].at)
	}
	_ = unix.TimerfdSettime(s.timer, unix.TFD_TIMER_ABSTIME, &spec, nil)
}

// event handles what epoll says of a connection.
func (s *Swarm) event(fd int, events uint32) {
	c := s.conns[fd]
	if c == nil {
		return
	}
	if events&unix.EPOLLOUT != 0 {
		if c.state == connecting {
			c.writing = false
			s.connected(c)
			s.interest(c)
		} else {
			s.flush(c)
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.state != closed && c.state != connecting {
		s.read(c)
	} else if c.state == connecting && events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		s.connected(c)
	}
}

// read reads once and handles what came.
func (s *Swarm) read(c *conn) {
	n, err := unix.Read(c.fd, s.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case n <= 0:
		s.ended(c, 1006)
		return
	}
	s.now = time.Now().UnixNano()
	p := s.buf[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, p...)
		p = c.in
	}
	if c.group.plan.HTTP {
		p = s.answers(c, p)
	} else if c.state == upgrading {
		p = s.head(c, p)
	}
	if !c.group.plan.HTTP && c.state != upgrading {
		p = s.frames(c, p)
	}
	if c.in = append(c.in[:0], p...); len(p) == 0 && cap(c.in) > 4<<10 {
		c.in = nil
	}
}

func (s *Swarm) send(c *conn, text string) { s.write(c, AppendFrame(nil, opText, []byte(text))) }

// write sends p, or keeps what the kernel does not take.
func (s *Swarm) write(c *conn, p []byte) {
	if c.state == closed {
		return
	}
	if len(c.out) == 0 {
		n, err := unix.Write(c.fd, p)
		if err != nil && err != unix.EAGAIN {
			return // reading tells
		}
		p = p[max(n, 0):]
	}
	if len(p) > 0 {
		c.out = append(c.out, p...)
		c.writing = true
		s.interest(c)
	}
}

func (s *Swarm) flush(c *conn) {
	n, _ := unix.Write(c.fd, c.out)
	c.out = c.out[:copy(c.out, c.out[max(n, 0):])]
	if len(c.out) == 0 {
		c.out, c.writing = nil, false
		s.interest(c)
	}
}

// interest tells epoll what the connection waits for.
func (s *Swarm) interest(c *conn) {
	if c.state == closed {
		return
	}
	var want uint32
	if !c.mute {
		want |= unix.EPOLLIN
	}
	if c.writing {
		want |= unix.EPOLLOUT
	}
	_ = unix.EpollCtl(s.epoll, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: want, Fd: int32(c.fd)})
}

// tally is what a group has heard since Watch, which was called with Args.
type tally struct {
	Args
	heard   []int32                 // by number, from First on: members that have heard it
	waiting map[int][]chan struct{} // likewise: who waits until all have; each is closed then
	Heard
	latency *hdrhistogram.Histogram
}

// heard notes a content that came.
func (s *Swarm) heard(c *conn, n uint32, due int64) {
	g := c.group
	if double, late := c.account.Note(n); double || late && g.plan.Recover {
		g.tally.Doubles++
		return
	}
	g.tally.Messages++
	if g.tally.latency != nil && !g.plan.Recover {
		ledger.Record(g.tally.latency, s.now-g.tally.Shift-due)
	}
	if i := int(n) - int(g.tally.First); g.tally.Members > 0 && i >= 0 && i < len(g.tally.heard) {
		g.tally.heard[i]++
		g.tally.tell(i)
	}
	if g.talk != nil {
		g.talk.back(s, c, due)
	}
}

// tell tells those that wait for a number, if every member has heard it.
func (t *tally) tell(i int) {
	if i >= len(t.heard) || int(t.heard[i]) != t.Members {
		return
	}
	for _, heard := range t.waiting[i] {
		close(heard)
	}
	delete(t.waiting, i)
}
