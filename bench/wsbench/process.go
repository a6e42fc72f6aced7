//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"wsify/bench/internal/process"
)

// startTimeout is how long a child may take until it accepts connections.
const startTimeout = 15 * time.Second

// children are the processes this one started. All are killed at the end.
type children struct{ process.Children }

func (f *children) start(cmd *exec.Cmd) (*child, error) {
	c, err := f.Start(cmd)
	if err != nil {
		return nil, err
	}
	return &child{c}, nil
}

func (f *children) killAll() { f.KillAll() }

// child is one started process.
type child struct{ *process.Child }

func (c *child) pid() int                { return c.PID() }
func (c *child) kill()                   { c.Kill() }
func (c *child) failure(err error) error { return c.Failure(err) }

// server is a contender's process, listening.
type server struct {
	*child
	contender
	port     int
	headSize int // bytes of its answer to a handshake
}

func (s *server) target() target { return target{port: s.port, dialect: s.dialect} }

// environment keeps wsify from opening its admin listener, which would be at the same
// address for all that run at once, and lets the generator publish without a key.
// Servers that do not know the variables ignore them.
var environment = []string{"WSIFY_ADMIN_ADDR=off", "WSIFY_BROADCAST_OPEN=true"}

// start starts a contender on a free port of the loopback and waits until a
// handshake succeeds.
func (b *bench) start(c contender, extra ...string) (*server, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	line := c.line(port, extra...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), environment...)
	started, err := b.children.start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	s := &server{child: started, contender: c, port: port}
	if err := b.awaitServer(s); err != nil {
		err = s.failure(fmt.Errorf("start %s: %w", c.name, err))
		s.kill()
		return nil, err
	}
	b.record.started(c.name, filesOf(s.pid()))
	return s, nil
}

// awaitServer tries until the server has upgraded one connection. What it answers
// wrongly it would answer wrongly again, so only a refused connection is retried.
func (b *bench) awaitServer(s *server) error {
	for end := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		size, err := b.handshake(s.target(), 0)
		if err == nil {
			s.headSize = size
			return nil
		}
		select {
		case <-s.Gone():
			return err
		default:
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(end) {
			return err
		}
	}
}
