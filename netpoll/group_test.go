package netpoll

import (
	"io"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

func TestZeroConfigMeansTheDefaults(t *testing.T) {
	got := Config{Loops: 1}.withDefaults()
	got.Logger, got.ConnName = nil, nil
	want := Config{Loops: 1, ReadBufferSize: 64 << 10, MaxQueuedBytes: 1 << 20, LingerTimeout: 5 * time.Second, Tick: defaultTick, SocketMode: 0o660}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("defaults are %+v, want %+v", got, want)
	}
	if n := (Config{}).withDefaults().Loops; n < 1 {
		t.Errorf("Loops defaults to %d", n)
	}
	if got := (Config{Loops: 10_000, MaxQueuedBytes: 1 << 40}).withDefaults(); got.Loops != maxLoops || got.MaxQueuedBytes != 1<<30 {
		t.Errorf("Loops is limited to %d, MaxQueuedBytes to %d", got.Loops, got.MaxQueuedBytes)
	}
}

func TestAdoptHandlesTheHeadFirst(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	ours, peer := socketPair(t)
	write(t, descriptor(peer), "and the rest")
	if err := p.g.Adopt(ours, []byte("already read ")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"already read ", "and the rest"} {
		if got := await(t, p.data, "Data"); got != want {
			t.Fatalf("Data got %q, want %q", got, want)
		}
	}
}

func TestAdoptMakesTheDescriptorNonBlocking(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if err := p.g.Adopt(fds[0], nil); err != nil {
		t.Fatal(err)
	}
	p.with(await(t, p.opened, "Opened"), func(c *Conn) { c.ready(unix.EPOLLIN) }) // would block
	if err := p.g.Adopt(-1, nil); err == nil {
		t.Error("Adopt of no descriptor gave no error")
	}
}

func TestAdoptedConnectionsSpreadOverTheLoops(t *testing.T) {
	opened := make(chan int, 64)
	g := start(t, Config{Loops: 3}, &hooks{opened: func(c *Conn) { opened <- c.Loop().Index() }})
	count := make([]int, g.Loops())
	for range 30 {
		ours, _ := socketPair(t)
		if err := g.Adopt(ours, nil); err != nil {
			t.Fatal(err)
		}
		count[await(t, opened, "Opened")]++
	}
	if !reflect.DeepEqual(count, []int{10, 10, 10}) {
		t.Errorf("30 connections went %v", count)
	}
}

func TestStopClosesEverything(t *testing.T) {
	before := testtool.Descriptors()
	var reasons sync.Map
	g := start(t, Config{Loops: 2}, &hooks{closed: func(c *Conn, r Reason) { reasons.Store(c.ID(), r) }})
	addr := listen(t, g, "127.0.0.1:0")
	var clients []io.Reader
	for range 10 {
		clients = append(clients, dial(t, addr))
	}
	until(t, "ten connections", func() bool { return g.Connections() == 10 })
	b := shared(strings.Repeat("queued ", 1<<20))
	defer b.Release()
	on(t, g.Loop(0), func() {
		first := true
		g.Loop(0).Each(func(c *Conn) {
			if first { // in any state
				c.SetDeadline(time.Hour)
				c.SendShared(b)
				c.Linger(ReasonUser, time.Hour)
			}
			first = false
		})
	})
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	closed, lingering := 0, 0
	reasons.Range(func(_, r any) bool {
		closed++
		if r == ReasonUser {
			lingering++
		} else if r != ReasonStopped {
			t.Errorf("a connection ended with reason %v", r)
		}
		return true
	})
	if closed != 10 || lingering != 1 {
		t.Errorf("%d were closed, %d of them with the reason they lingered for: want 10 and 1", closed, lingering)
	}
	for _, c := range clients[1:] {
		_, _ = io.Copy(io.Discard, c) // ends
	}
	if g.Connections() != 0 || g.Stats().QueuedBytes != 0 || !b.Sole() {
		t.Errorf("after Stop: %+v, sole reference %v", g.Stats(), b.Sole())
	}
	for number, target := range testtool.Opened(before) {
		if strings.HasPrefix(target, "anon_inode:") {
			t.Errorf("descriptor %s (%s) is left", number, target)
		}
	}
}

func TestAfterStopEveryDoorIsHarmless(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	_, id := p.connect()
	if err := p.g.Stop(); err != nil {
		t.Fatal(err)
	}
	p.l.Post(func() { t.Error("a task ran after Stop") })
	p.l.PostTo(id, func(*Conn) { t.Error("a task ran after Stop") })
	p.l.Wake()
	ours, peer := socketPair(t)
	if err := p.g.Adopt(ours, []byte("head")); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(peer, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the peer of an adopted descriptor reads %d, %v: want the end", n, err)
	}
	p.g.StopListening()
	if err := p.g.Stop(); err != nil {
		t.Errorf("Stop again: %v", err)
	}
}

// StopListening has closed one of three listeners and waits for the loop of the second
// when Stop begins. Stop must not end the loop of the third before that.
func TestStopWaitsForStopListening(t *testing.T) {
	g := start(t, Config{Loops: 2}, &hooks{})
	for range 3 {
		listen(t, g, "127.0.0.1:0")
	}
	held, free := make(chan struct{}), make(chan struct{})
	g.Loop(1).Post(func() {
		close(held)
		<-free
	})
	await(t, held, "the second loop to be held")
	listening, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(listening)
		g.StopListening()
	}()
	until(t, "StopListening", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.listeners == nil
	})
	go func() {
		defer close(stopped)
		_ = g.Stop()
	}()
	until(t, "Stop", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.stopped
	})
	for range 1000 { // time for a Stop that does not wait
		runtime.Gosched()
	}
	close(free)
	await(t, listening, "StopListening")
	await(t, stopped, "Stop")
}

func TestTheDoorsMayBeUsedWhileTheGroupStops(t *testing.T) {
	for range 10 {
		var opened, ended atomic.Int64
		g, err := Open(Config{Loops: 2}, func(*Loop) Handler {
			return &hooks{opened: func(*Conn) { opened.Add(1) }, closed: func(*Conn, Reason) { ended.Add(1) }}
		})
		if err != nil {
			t.Fatal(err)
		}
		listen(t, g, "127.0.0.1:0")
		var users, stoppers sync.WaitGroup
		var stop atomic.Bool
		var once sync.Once
		busy := make(chan struct{})
		for i := range 4 {
			users.Go(func() {
				for n := 0; !stop.Load(); n++ {
					l := g.Loop(i % 2)
					l.Wake()
					if n > 50 { // Stop waits behind posted tasks
						runtime.Gosched()
						continue
					}
					l.Post(func() {})
					l.PostTo(makeID(i%2, 0, 1), func(c *Conn) { c.Close(ReasonUser) })
					if fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err == nil {
						_ = g.Adopt(fds[0], []byte("x"))
						_ = unix.Close(fds[1])
					}
					if n%10 == 0 {
						_, _ = g.Listen("127.0.0.1:0")
					}
					_ = g.Stats()
					if n == 20 {
						once.Do(func() { close(busy) })
					}
				}
			})
		}
		await(t, busy, "the users")
		for range 3 {
			stoppers.Go(func() {
				if err := g.Stop(); err != nil {
					t.Errorf("Stop: %v", err)
				}
				if n := g.Connections(); n != 0 {
					t.Errorf("%d connections after Stop returned", n)
				}
			})
		}
		stoppers.Wait()
		stop.Store(true)
		users.Wait()
		if opened.Load() != ended.Load() {
			t.Fatalf("%d were opened and %d closed", opened.Load(), ended.Load())
		}
	}
}

// The epoll instance is broken from outside: its descriptor becomes another file.
func TestALoopThatFailsIsReportedAndDoesNotHoldUpStop(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	client, id := p.connect()
	epoll := epollFD(p.l)
	null := openReserve()
	defer unix.Close(null)
	if err := unix.Dup3(null, epoll, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	p.l.Wake() // ends the wait, which still uses the old instance
	if err := await(t, p.g.Failed(), "Failed"); err != unix.EINVAL {
		t.Errorf("Failed yields %v", err)
	}
	p.g.StopListening()
	if err := p.g.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
	p.wantClosed(id, ReasonStopped)
	wantEnd(t, client)
}

func TestRaiseFileLimit(t *testing.T) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &lim) }()
	lower := lim
	lower.Cur = lim.Max - 1
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	for _, was := range []uint64{lim.Max - 1, lim.Max} {
		if before, after, err := RaiseFileLimit(); before != was || after != lim.Max || err != nil {
			t.Errorf("RaiseFileLimit() = %d, %d, %v, want %d, %d", before, after, err, was, lim.Max)
		}
	}
}
