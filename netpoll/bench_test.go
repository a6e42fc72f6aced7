package netpoll

import (
	"io"
	"runtime"
	"testing"
	"time"
	"wsify/internal/testtool"

	"golang.org/x/sys/unix"
)

// BenchmarkIdleMemory reports the user-space memory of an idle connection, including
// its entry in easygo's map. It does not see the kernel's part.
func BenchmarkIdleMemory(b *testing.B) {
	const conns = 12_000
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Cur < conns+200 {
		b.Skipf("needs %d descriptors, the limit is %d", conns+200, lim.Cur)
	}
	b.ReportAllocs()
	var perConn float64
	for b.Loop() {
		perConn = idleMemory(b, conns)
	}
	b.ReportMetric(perConn, "B/conn")
}

func idleMemory(b *testing.B, conns int) float64 {
	g, err := Open(Config{Loops: 1}, func(*Loop) Handler { return &hooks{} })
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = g.Stop() }()
	ours, peer := socketPair(b)
	defer unix.Close(ours)
	_ = peer
	before := testtool.Heap()
	for range conns { // one socket under many numbers: epoll registers each number
		fd, err := unix.FcntlInt(uintptr(ours), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Adopt(fd, nil); err != nil {
			b.Fatal(err)
		}
	}
	until(b, "all connections", func() bool { return g.Connections() == int64(conns) })
	return float64(testtool.Heap()-before) / float64(conns)
}

// BenchmarkEcho is a message of 64 bytes to a loop and back over TCP: four system
// calls and two wake-ups besides the loop's work.
func BenchmarkEcho(b *testing.B) {
	g := start(b, Config{Loops: 1}, echo())
	c := dial(b, listen(b, g, "127.0.0.1:0"))
	_ = c.SetDeadline(time.Time{})
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(p); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConnect is a connection that is accepted and reset.
func BenchmarkConnect(b *testing.B) {
	closed := make(chan struct{}, 1)
	g := start(b, Config{Loops: 1}, &hooks{closed: func(*Conn, Reason) { closed <- struct{}{} }})
	addr := listen(b, g, "127.0.0.1:0").(interface{ String() string }).String()
	b.ReportAllocs()
	for b.Loop() {
		if err := visitOnce(addr); err != nil {
			b.Fatal(err)
		}
		<-closed
	}
}

// onConn runs fn on the loop of a connection. Its peer reads what it was sent when
// fn calls empty.
func onConn(b *testing.B, fn func(c *Conn, empty func())) {
	p := newProbe(b, Config{}, hooks{})
	ours, peer := socketPair(b)
	if err := p.g.Adopt(ours, nil); err != nil {
		b.Fatal(err)
	}
	scratch := make([]byte, 256<<10)
	done := make(chan struct{})
	p.l.PostTo(await(b, p.opened, "Opened"), func(c *Conn) {
		defer close(done)
		fn(c, func() { _, _ = unix.Read(peer, scratch) })
	})
	<-done
}

// BenchmarkSendShared is a send of 128 bytes, including the peer's read.
func BenchmarkSendShared(b *testing.B) {
	onConn(b, func(c *Conn, empty func()) {
		s := shared(string(make([]byte, 128)))
		defer s.Release()
		b.ReportAllocs()
		for b.Loop() {
			c.SendShared(s)
			empty()
		}
	})
}

// BenchmarkQueueShared is a gathered write of four messages of 128 bytes.
func BenchmarkQueueShared(b *testing.B) {
	onConn(b, func(c *Conn, empty func()) {
		s := shared(string(make([]byte, 128)))
		defer s.Release()
		b.ReportAllocs()
		for b.Loop() {
			for range 4 {
				c.QueueShared(s)
			}
			c.Loop().flushDirty()
			empty()
		}
	})
}

// BenchmarkSetDeadline moves a deadline.
func BenchmarkSetDeadline(b *testing.B) {
	onConn(b, func(c *Conn, _ func()) {
		b.ReportAllocs()
		for b.Loop() {
			c.SetDeadline(time.Minute)
		}
	})
}

// BenchmarkPost is a task posted from another goroutine. Tasks posted before a turn
// share it.
func BenchmarkPost(b *testing.B) {
	g := start(b, Config{Loops: 1}, &hooks{})
	l := g.Loop(0)
	ran := 0
	task := func() { ran++ }
	b.ReportAllocs()
	for b.Loop() {
		l.Post(task)
	}
	on(b, l, func() {})
}

// BenchmarkWake requests a turn that is already requested.
func BenchmarkWake(b *testing.B) {
	onConn(b, func(c *Conn, _ func()) {
		b.ReportAllocs()
		for b.Loop() {
			c.Loop().Wake()
		}
	})
}

// BenchmarkCollection is a garbage collection with a million connections. It reports
// the CPU time of all processors, because elapsed time depends on their number.
func BenchmarkCollection(b *testing.B) {
	l := &Loop{}
	for range 1 << 20 {
		l.conns.grow(l, l.slots.Take())
	}
	runtime.GC()
	before := cpuTime(b)
	for b.Loop() {
		runtime.GC()
	}
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
	runtime.KeepAlive(l)
}

// cpuTime is the CPU time of this process.
func cpuTime(b *testing.B) time.Duration {
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
