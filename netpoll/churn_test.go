package netpoll

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"wsify/internal/invariants"
	"wsify/internal/testtool"
)

// Twenty thousand clients connect, get an answer, and leave in one of three ways.
// Afterwards all counts are as before the first.
func TestChurnReturnsEverythingToTheBaseline(t *testing.T) {
	conns := 20_000
	if raceEnabled || invariants.Enabled {
		conns = 4000
	}
	g := start(t, Config{Loops: 2, Tick: 5 * time.Millisecond}, &hooks{
		opened: func(c *Conn) { c.SetDeadline(time.Hour) },
		data: func(c *Conn, b []byte) {
			c.Send(b)
			if b[0] == 'l' {
				c.Linger(ReasonUser, time.Hour)
			}
		},
	})
	addr := listen(t, g, "127.0.0.1:0").String()
	churn(t, addr, 100) // creates what exists only once
	settle(t, g)
	goroutines, before := runtime.NumGoroutine(), testtool.Descriptors()
	maps := [2]int{registeredOn(t, g.Loop(0)), registeredOn(t, g.Loop(1))}
	churn(t, addr, conns)
	settle(t, g)
	if left := testtool.Opened(before); len(left) != 0 {
		t.Errorf("descriptors are left: %v", left)
	}
	until(t, fmt.Sprintf("the number of goroutines to be %d again", goroutines), func() bool { return runtime.NumGoroutine() <= goroutines })
	for i, want := range maps {
		if n := registeredOn(t, g.Loop(i)); n != want {
			t.Errorf("loop %d has %d descriptors registered, want %d", i, n, want)
		}
	}
	if s := g.Stats(); s.BytesReceived != uint64(conns+100) || s.BytesSent != s.BytesReceived || s.Refused != 0 || s.Panics != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

// settle waits until no connection, slot, deadline or buffer is in use.
func settle(t *testing.T, g *Group) {
	t.Helper()
	until(t, "all connections to close", func() bool { return g.Connections() == 0 })
	for i := range g.Loops() {
		l := g.Loop(i)
		for range 3 {
			on(t, l, func() {})
		}
		on(t, l, func() {
			if l.slots.Len() != 0 || l.queues.Len() != 0 || len(l.limbo)+len(l.limboOld)+len(l.closing) != 0 || l.wheel.count != 0 {
				t.Errorf("loop %d: %d slots and %d queues are in use, %d in limbo, %d deadlines", i, l.slots.Len(), l.queues.Len(), len(l.limbo)+len(l.limboOld), l.wheel.count)
			}
			if n := l.queuedBytes.Load(); n != 0 {
				t.Errorf("loop %d counts %d queued bytes", i, n)
			}
		})
	}
}

func churn(t *testing.T, addr string, conns int) {
	t.Helper()
	const workers = 8
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := w; i < conns; i += workers {
				if err := visit(addr, i); err != nil {
					t.Errorf("visit %d: %v", i, err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// visit ends with a reset in most cases: otherwise each client port would wait for
// a minute (TIME_WAIT).
func visit(addr string, i int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	what := "r"
	if i%3 == 0 {
		what = "l"
	}
	if _, err := io.WriteString(c, what); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return err
	}
	if what == "l" { // the server has shut its side down
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %d, %v after the answer, want the end", n, err)
		}
	}
	if i%10 != 1 {
		return c.(*net.TCPConn).SetLinger(0)
	}
	return nil
}

// visitOnce connects and resets.
func visitOnce(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.(*net.TCPConn).SetLinger(0)
}

func registeredOn(t *testing.T, l *Loop) (n int) {
	t.Helper()
	on(t, l, func() { n = registered(t, l) })
	return n
}
