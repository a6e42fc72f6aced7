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
	place chan struct{} // full while the worker works for a coordinator
	held  bool          // by this one
}

// Serve serves one coordinator, until it goes. What it waits for ends then.
func Serve(conn io.ReadWriteCloser) error { return serve(conn, make(chan struct{}, 1)) }

func serve(conn io.ReadWriteCloser, place chan struct{}) error {
	s, err := swarm.New()
	if err != nil {
		return err
	}
	defer s.Close()
	server := rpc.NewServer()
	service := &Service{place: place}
	if err := errors.Join(server.RegisterName("Worker", service), server.RegisterName("Swarm", s)); err != nil {
		return err
	}
	server.ServeConn(leash{conn, s})
	if service.held {
		<-place
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
	ln, err := (&net.ListenConfig{KeepAliveConfig: keepAlive}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = ln.Close() })
	fmt.Fprintf(said, "waiting for a coordinator on %s\n", ln.Addr())
	place := make(chan struct{}, 1)
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
			if err := serve(conn, place); err != nil {
				fmt.Fprintf(said, "%s: %v\n", conn.RemoteAddr(), err)
			}
			_ = conn.Close()
		})
	}
}

// Hello tells about the machine, and has the worker work for this coordinator alone.
func (s *Service) Hello(_ swarm.None, m *record.Machine) error {
	select {
	case s.place <- struct{}{}:
		s.held = true
	case <-time.After(3 * time.Second): // the run before had time to go
		return errors.New("it is busy with another run, or is named twice")
	}
	*m = process.Machine()
	return nil
}

func (s *Service) Clock(_ swarm.None, now *int64) error { *now = time.Now().UnixNano(); return nil }

// Busy tells how much CPU time the worker has used, in seconds.
func (s *Service) Busy(_ swarm.None, seconds *float64) error {
	t, err := process.CPU(os.Getpid())
	*seconds = t.Seconds()
	return err
}
