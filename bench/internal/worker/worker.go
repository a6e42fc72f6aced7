//go:build linux

// Package worker is what coordinator and workers say to each other: net/rpc, on standard input and output of a
// local child, or on TCP to another machine. All clients of a run live in workers, so that one machine and five
// are the same to a scenario.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"sync"
	"time"

	"wsify/bench/internal/process"
	"wsify/bench/internal/record"
	"wsify/bench/internal/swarm"
)

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
	service := &Service{swarm: s, heard: make(chan struct{})}
	if err := errors.Join(server.RegisterName("Worker", service), server.RegisterName("Swarm", s)); err != nil {
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
func (s *Service) Hello(_ swarm.None, m *record.Machine) error { *m = process.Machine(); return nil }

// Clock tells the time in nanoseconds since 1970.
func (s *Service) Clock(_ swarm.None, now *int64) error { *now = time.Now().UnixNano(); return nil }

// Busy tells how much CPU time the worker has used, in seconds.
func (s *Service) Busy(_ swarm.None, seconds *float64) error {
	t, err := process.CPU(os.Getpid())
	*seconds = t.Seconds()
	return err
}

// Watch begins to count what a group hears.
func (s *Service) Watch(a swarm.Args, _ *swarm.None) error {
	s.mu.Lock()
	s.complete = make(map[uint32]int64, a.Count)
	for n := range uint32(a.Count) {
		if a.Members == 0 { // they are all elsewhere
			s.complete[a.First+n] = 0
		}
	}
	s.mu.Unlock()
	s.swarm.Watch(a, func(n uint32, at int64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.complete[n] = at
		close(s.heard)
		s.heard = make(chan struct{})
	})
	return nil
}

// Await returns when every member has heard a number, as nanoseconds since 1970 of the last one.
func (s *Service) Await(a swarm.Args, at *int64) error {
	over := time.After(time.Duration(a.Seconds * 1e9))
	for {
		s.mu.Lock()
		t, ok := s.complete[a.First]
		heard := s.heard
		s.mu.Unlock()
		if ok {
			*at = t
			return nil
		}
		select {
		case <-heard:
		case <-over:
			return fmt.Errorf("not every member has heard publication %d within %vs", a.First, a.Seconds)
		}
	}
}
