//go:build linux

// Package worker is what coordinator and workers say to each other: net/rpc, on standard
// input and output of a local child, or on TCP to another machine. All clients of a run live
// in workers, so that one machine and five are the same to a scenario.
package worker

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

// None is the argument of what needs none.
type None struct{}

// Service is what a worker does. Its methods are called by net/rpc.
type Service struct {
	swarm *swarm.Swarm

	mu       sync.Mutex
	complete map[uint32]int64 // guarded by mu: when the last member heard a number
	heard    chan struct{}    // guarded by mu: closed when complete changes
}

// Serve serves one coordinator, until it goes.
func Serve(conn io.ReadWriteCloser) error {
	s, err := swarm.New()
	if err != nil {
		return err
	}
	defer s.Close()
	server := rpc.NewServer()
	if err := server.RegisterName("Worker", &Service{swarm: s, heard: make(chan struct{})}); err != nil {
		return err
	}
	server.ServeConn(conn)
	return nil
}

// Listen serves coordinators on addr, one after the other, until ctx ends.
func Listen(ctx context.Context, addr string, said io.Writer) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	fmt.Fprintf(said, "waiting for a coordinator on %s\n", ln.Addr())
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(said, "serving %s\n", conn.RemoteAddr())
		if err := Serve(conn); err != nil {
			return err
		}
	}
}

// Hello tells about the machine.
func (s *Service) Hello(_ None, m *record.Machine) error { *m = process.Machine(); return nil }

// Clock tells the time in nanoseconds since 1970.
func (s *Service) Clock(_ None, now *int64) error { *now = time.Now().UnixNano(); return nil }

// Busy tells how much CPU time the worker has used, in seconds.
func (s *Service) Busy(_ None, seconds *float64) error {
	t, err := process.CPU(os.Getpid())
	*seconds = t.Total.Seconds()
	return err
}

// Capacity tells how many connections this worker can hold.
func (s *Service) Capacity(_ None, n *int) error {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	*n = int(limit.Cur) - 200
	return err
}

// Open opens a group of connections.
func (s *Service) Open(p swarm.Plan, out *swarm.Opened) error { *out = s.swarm.Open(p); return nil }

// ShutArgs says which group is closed, and how.
type ShutArgs struct {
	Group string
	Reset bool
}

// Shut closes a group.
func (s *Service) Shut(a ShutArgs, _ *None) error { s.swarm.Shut(a.Group, a.Reset); return nil }

// Unmute has a group read that did not.
func (s *Service) Unmute(group string, _ *None) error { s.swarm.Unmute(group); return nil }

// Talk makes load with a group.
func (s *Service) Talk(t swarm.Talk, out *swarm.Heard) error { *out = s.swarm.Talk(t); return nil }

// WatchArgs says what is counted: count numbers from First on, and when Members of this
// worker have heard each.
type WatchArgs struct {
	Group   string
	First   uint32
	Count   int
	Members int
}

// Watch begins to count what a group hears.
func (s *Service) Watch(a WatchArgs, _ *None) error {
	s.mu.Lock()
	s.complete = make(map[uint32]int64, a.Count)
	s.mu.Unlock()
	s.swarm.Watch(a.Group, a.First, a.Count, a.Members, func(n uint32, at int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.complete[n] = at
		close(s.heard)
		s.heard = make(chan struct{})
	})
	return nil
}

// AwaitArgs says which number is waited for, and how long, in seconds.
type AwaitArgs struct {
	N       uint32
	Seconds float64
}

// Await returns when every member has heard a number, as nanoseconds since 1970 of the
// last one.
func (s *Service) Await(a AwaitArgs, at *int64) error {
	over := time.After(time.Duration(a.Seconds * 1e9))
	for {
		s.mu.Lock()
		t, ok := s.complete[a.N]
		heard := s.heard
		s.mu.Unlock()
		if ok {
			*at = t
			return nil
		}
		select {
		case <-heard:
		case <-over:
			return fmt.Errorf("not every member has heard publication %d within %vs", a.N, a.Seconds)
		}
	}
}

// HeardArgs says whose counts are wanted, and below which number all should have come.
type HeardArgs struct {
	Group string
	End   uint32
}

// Heard tells what a group has heard since Watch.
func (s *Service) Heard(a HeardArgs, out *swarm.Heard) error {
	*out = s.swarm.Heard(a.Group, a.End)
	return nil
}

// EndsArgs says whose ends are wanted, and whether they are counted anew.
type EndsArgs struct {
	Group string
	Begin bool
}

// Ends tells how connections have ended.
func (s *Service) Ends(a EndsArgs, out *swarm.Ends) error {
	*out = s.swarm.Ends(a.Group, a.Begin)
	return nil
}

// Pings tells how many pings were answered.
func (s *Service) Pings(_ None, n *uint64) error { *n = s.swarm.Pings(); return nil }
