package netpoll

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

// childVariable turns the test binary into a server with so many loops, which takes
// commands on standard input.
const childVariable = "NETPOLL_TEST_CHILD"

// child is an echo server in a process of its own, so that a lower descriptor limit
// affects nothing else.
type child struct {
	*testtool.Child
	t    *testing.T
	addr net.Addr
}

func startChild(t *testing.T, loops int) *child {
	t.Helper()
	s := &child{Child: testtool.StartChild(t, "TestChildServer", childVariable, strconv.Itoa(loops), 4*patience), t: t}
	addr, err := net.ResolveTCPAddr("tcp", s.Line())
	if err != nil {
		t.Fatal(err)
	}
	s.addr = addr
	return s
}

// tell sends a command and waits until it is done.
func (s *child) tell(command string) {
	s.t.Helper()
	if answer := s.ask(command); answer != "done" {
		s.t.Fatalf("child: %s: %s", command, answer)
	}
}

func (s *child) ask(command string) string {
	s.t.Helper()
	s.Say(command)
	return s.Line()
}

func (s *child) connect(n int) (conns []net.Conn) {
	s.t.Helper()
	for range n {
		conns = append(conns, dial(s.t, s.addr))
	}
	return conns
}

type childStats struct {
	connections, refused, tries int64
	at                          time.Time
}

func (s *child) stats() childStats {
	s.t.Helper()
	st := childStats{at: time.Now()}
	if _, err := fmt.Sscan(s.ask("stats"), &st.connections, &st.refused, &st.tries); err != nil {
		s.t.Fatal(err)
	}
	return st
}

func (s *child) waitConnections(n int64) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("%d connections", n), func() bool { return s.stats().connections == n })
}

// TestChildServer is the server's side of TestEMFILE; run alone, it does nothing.
func TestChildServer(t *testing.T) {
	loops, err := strconv.Atoi(os.Getenv(childVariable))
	if err != nil {
		t.Skip("runs as a child of TestEMFILE")
	}
	g, err := Open(Config{Loops: loops, Poller: pollerUnderTest}, func(*Loop) Handler { return echo() })
	if err != nil {
		t.Fatal(err)
	}
	addr := listen(t, g, "127.0.0.1:0")
	var tries atomic.Int64
	eachAcceptor(t, g, func(a *acceptor) {
		a.accept = func(fd int) (int, unix.Errno) {
			tries.Add(1)
			return accept(fd)
		}
	})
	fmt.Println(addr)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(obey(t, g, &tries, in.Text()))
	}
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	os.Exit(0) // the inherited descriptors are not ours to check
}

// eachAcceptor calls fn for every acceptor of a group with one listener, on its loop.
func eachAcceptor(t *testing.T, g *Group, fn func(a *acceptor)) {
	t.Helper()
	for _, a := range g.listeners[0].acceptors {
		on(t, a.loop, func() { fn(a) })
	}
}

func obey(t *testing.T, g *Group, tries *atomic.Int64, command string) string {
	eachAcceptor(t, g, func(*acceptor) {}) // waits until earlier events have been handled
	var spare int
	switch {
	case command == "stats":
		return fmt.Sprint(g.Connections(), g.refused.Load(), tries.Load())
	case command == "steal": // take the reserve, as another user of descriptors may
		g.reserve.close()
		_, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return outcome(err)
	case strings.HasPrefix(command, "open "):
		_, err := fmt.Sscanf(command, "open %d", &spare)
		return outcome(errors.Join(err, openWith(spare)))
	default:
		_, err := fmt.Sscanf(command, "limit %d", &spare)
		return outcome(errors.Join(err, limitTo(spare)))
	}
}

// openWith opens a group with so many descriptors left, and stops it. It must leave
// nothing behind, whether there were enough or not.
func openWith(spare int) error {
	fds, goroutines := len(testtool.Descriptors()), runtime.NumGoroutine()
	if err := limitTo(spare); err != nil {
		return err
	}
	if g, err := Open(Config{Loops: 2}, func(*Loop) Handler { return echo() }); err == nil {
		if err := g.Stop(); err != nil {
			return err
		}
	}
	if _, _, err := RaiseFileLimit(); err != nil {
		return err
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(end) {
			return errors.New("a goroutine is left")
		}
	}
	if n := len(testtool.Descriptors()); n != fds {
		return fmt.Errorf("%d descriptors, before %d", n, fds)
	}
	return nil
}

func outcome(err error) string {
	if err != nil {
		return err.Error()
	}
	return "done"
}

// limitTo lowers the soft limit so that exactly spare descriptors can be opened.
func limitTo(spare int) error {
	if _, _, err := RaiseFileLimit(); err != nil {
		return err
	}
	var held []int
	for range spare {
		if fd := openReserve(); fd >= 0 {
			held = append(held, fd)
		}
	}
	next := openReserve() // the lowest number that must stay unused
	held = append(held, next)
	for _, fd := range held {
		_ = unix.Close(fd)
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return err
	}
	lim.Cur = uint64(next)
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &lim)
}
