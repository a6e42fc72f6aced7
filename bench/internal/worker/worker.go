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
	free  *sync.Mutex // locked by the coordinator that the worker works for
	held  bool        // by this one

	mu       sync.Mutex
	complete map[uint32]int64 // guarded by mu: when the last member heard a number
	heard    chan struct{}    // guarded by mu: closed when complete changes
}

// Serve serves one coordinator, until it goes. What it waits for ends then.
func Serve(conn io.ReadWriteCloser) error { return serve(conn, new(sync.Mutex)) }

func serve(conn io.ReadWriteCloser, free *sync.Mutex) error {
	s, err := swarm.New()
	if err != nil {
		return err
	}
	defer s.Close()
	server := rpc.NewServer()
	service := &Service{swarm: s, free: free, heard: make(chan struct{})}
	if err := errors.Join(server.RegisterName("Worker", service), server.RegisterName("Swarm", s)); err != nil {
		return err
	}
	server.ServeConn(leash{conn, s})
	if service.held {
		free.Unlock()
	}
	return nil
}

// leash ends a swarm when its coordinator has gone: net/rpc waits for the calls that are under way.
type leash struct {
	io.ReadWriteCloser
	swarm *swarm.Swarm
}

func (l leash) Read(p []byte) (int, error) {
	n, err := l.ReadWriteCloser.Read(p)
	if err != nil {
		l.swarm.Close()
	}
	return n, err
}

// Listen serves coordinators on addr until ctx ends. It works for one at a time, and tells others that it is busy.
func Listen(ctx context.Context, addr string, said io.Writer) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	fmt.Fprintf(said, "waiting for a coordinator on %s\n", ln.Addr())
	var free sync.Mutex
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		all.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
			fmt.Fprintf(said, "%s has connected\n", conn.RemoteAddr())
			if err := serve(conn, &free); err != nil {
				fmt.Fprintf(said, "%s: %v\n", conn.RemoteAddr(), err)
			}
			_ = conn.Close()
		})
	}
}

// Hello tells about the machine, and has the worker work for this coordinator alone.
func (s *Service) Hello(_ swarm.None, m *record.Machine) error {
	if !s.free.TryLock() {
		return errors.New("it is busy with another run, or is named twice")
	}
	s.held = true
	*m = process.Machine()
	return nil
}

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
		case <-s.swarm.Ended():
			return errors.New("the worker is ending")
		case <-over:
			return fmt.Errorf("not every member has heard publication %d within %vs", a.First, a.Seconds)
		}
	}
}
