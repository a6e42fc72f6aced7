package netpoll

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A busy loop delays no new connection.
func TestEveryLoopAccepts(t *testing.T) {
	const loops = 3
	for name, addr := range map[string]string{"TCP": "127.0.0.1:0", "unix": unixPrefix + filepath.Join(t.TempDir(), "s")} {
		t.Run(name, func(t *testing.T) {
			opened := make(chan int, loops)
			g := start(t, Config{Loops: loops}, &hooks{opened: func(c *Conn) { opened <- c.Loop().Index() }})
			at := listen(t, g, addr)
			for i := range loops {
				release := holdAllBut(t, g, i)
				dial(t, at)
				if got := await(t, opened, "Opened"); got != i {
					t.Errorf("loop %d accepted while it was held", got)
				}
				release()
			}
		})
	}
}

// holdAllBut keeps every loop but one from its events until release is called.
func holdAllBut(t *testing.T, g *Group, free int) (release func()) {
	t.Helper()
	held := make(chan struct{})
	for i := range g.Loops() {
		if i != free {
			entered := make(chan struct{})
			g.Loop(i).Post(func() { close(entered); <-held })
			await(t, entered, "the loop")
		}
	}
	return sync.OnceFunc(func() { close(held) })
}

// TestEMFILE runs the server in a process of its own and lowers its limit. The
// clients' descriptors belong to this process.
func TestEMFILE(t *testing.T) {
	for _, loops := range []int{1, 3} {
		t.Run(fmt.Sprint("loops=", loops), func(t *testing.T) { testEMFILE(t, loops) })
	}
}

func testEMFILE(t *testing.T, loops int) {
	t.Run("refuses at once, keeps what is open, does not spin, and recovers", func(t *testing.T) {
		s := startChild(t, loops)
		regular := s.connect(4)
		wantEcho(t, regular...)
		s.tell("limit 6")
		var kept []net.Conn
		refused := 0
		for range 12 {
			if c := s.connect(1)[0]; echoes(t, c) {
				kept = append(kept, c)
			} else {
				refused++
			}
		}
		if len(kept) != 6 || refused != 6 {
			t.Fatalf("with 6 descriptors left %d of 12 were served and %d refused, want 6 and 6", len(kept), refused)
		}
		wantEcho(t, append(regular, kept...)...)
		st := s.stats()
		if st.refused != 6 || st.connections != 10 {
			t.Errorf("Refused = %d and Connections = %d, want 6 and 10", st.refused, st.connections)
		}
		wantEcho(t, regular...) // some rounds of epoll
		if again := s.stats(); again.tries != st.tries {
			t.Errorf("accept was called %d times although no client connected", again.tries-st.tries)
		}
		for _, c := range kept[:3] {
			_ = c.Close()
		}
		s.waitConnections(7)
		wantEcho(t, s.connect(3)...)
		if c := s.connect(1)[0]; echoes(t, c) {
			t.Error("a connection beyond the limit was served")
		}
	})
	t.Run("rests when not even the reserve is there", func(t *testing.T) {
		s := startChild(t, loops)
		regular := s.connect(2)
		wantEcho(t, regular...)
		s.tell("limit 0")
		s.tell("steal")
		before := s.stats()
		waiting := s.connect(3) // they wait in the kernel's queue
		wantEcho(t, regular...)
		for i := range 200 { // each is a round of epoll, while the listener rests
			wantEcho(t, regular[i%2])
		}
		// A rest is 250 ms and costs a loop one or two calls, even on a slow machine. A
		// spin would make at least one call a round.
		during := s.stats()
		rests := 2 + int64(during.at.Sub(before.at)/acceptPause)
		if tries := during.tries - before.tries; tries > 2*rests*int64(loops) {
			t.Errorf("accept was called %d times in %d rests", tries, rests)
		}
		s.tell("limit 100")
		wantEcho(t, waiting...)
		if st := s.stats(); st.refused != 0 || st.connections != 5 {
			t.Errorf("Refused = %d and Connections = %d, want 0 and 5", st.refused, st.connections)
		}
	})
	t.Run("is not believed when nobody waits", func(t *testing.T) {
		s := startChild(t, loops)
		s.tell("limit 1")
		wantEcho(t, s.connect(1)...) // takes the last descriptor; the next accept returns EMFILE
		if st := s.stats(); st.refused != 0 || st.tries > 4*int64(loops) {
			t.Errorf("Refused = %d after %d calls of accept, want none refused and 4 calls a loop at most", st.refused, st.tries)
		}
	})
}

func TestAGroupThatRunsOutOfDescriptorsLeavesNothing(t *testing.T) {
	s := startChild(t, 1)
	for spare := range 12 { // two loops need six
		s.tell(fmt.Sprintf("open %d", spare))
	}
}

// An error from a security module leaves the peer in the queue.
func TestAListenerThatMayNotAcceptRests(t *testing.T) {
	p := newProbe(t, Config{}, hooks{})
	a := p.g.listeners[0].acceptors[0]
	var tries atomic.Int64
	on(t, p.l, func() {
		a.accept = func(int) (int, unix.Errno) {
			tries.Add(1)
			return -1, unix.EACCES
		}
	})
	dial(t, p.addr)
	until(t, "a try", func() bool { return tries.Load() > 0 })
	p.rounds(20)
	on(t, p.l, func() {
		if got := tries.Load(); got != 1 || a.on {
			t.Errorf("accept was called %d times, want once and a rest", got)
		}
		a.accept = accept
	})
	await(t, p.opened, "Opened, after the rest")
}

func wantEcho(t *testing.T, conns ...net.Conn) {
	t.Helper()
	for i, c := range conns {
		if !echoes(t, c) {
			t.Fatalf("connection %d of %d was refused", i, len(conns))
		}
	}
}

// echoes reports whether the server answers, or else has closed the connection.
func echoes(t *testing.T, c net.Conn) bool {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err := io.WriteString(c, "ping")
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 4))
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return false
	}
	t.Fatalf("neither served nor refused: %v", err)
	return false
}
