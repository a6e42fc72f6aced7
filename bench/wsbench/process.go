//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// startTimeout is how long a child may take until it accepts connections.
const startTimeout = 15 * time.Second

// children are the processes this one started. All are killed at the end.
type children struct {
	mu      sync.Mutex
	running map[*child]struct{}
	ended   bool
}

// child is one started process.
type child struct {
	cmd    *exec.Cmd
	family *children
	errors tail          // what it wrote to its standard error
	gone   chan struct{} // closed when it has ended
	status error         // why, once gone is closed
}

// start runs a command as a child. The kernel kills it should this process die
// without a chance to.
func (f *children) start(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, family: f, gone: make(chan struct{})}
	cmd.Stderr = &c.errors
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, errors.New("already stopping")
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	if f.running == nil {
		f.running = make(map[*child]struct{})
	}
	f.running[c] = struct{}{}
	go c.wait()
	return c, nil
}

func (c *child) wait() {
	c.status = c.cmd.Wait()
	c.family.mu.Lock()
	delete(c.family.running, c)
	c.family.mu.Unlock()
	close(c.gone)
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// kill ends the child and waits until it is gone.
func (c *child) kill() {
	c.cmd.Process.Kill()
	<-c.gone
}

// failure explains err with what the child said, if it ended by itself.
func (c *child) failure(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-c.gone:
		return fmt.Errorf("%w\n%s ended: %v\n%s", err, c.cmd.Path, c.status, c.errors.String())
	case <-time.After(100 * time.Millisecond): // a process that just died needs a moment to be collected
		return err
	}
}

// killAll ends every child; none can be started any more.
func (f *children) killAll() {
	f.mu.Lock()
	f.ended = true
	var all []*child
	for c := range f.running {
		all = append(all, c)
	}
	f.mu.Unlock()
	for _, c := range all {
		c.kill()
	}
}

// tail keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if extra := len(t.last) - tailSize; extra > 0 {
		t.last = t.last[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}

// server is a contender's process, listening.
type server struct {
	*child
	contender
	port     int
	headSize int // bytes of its answer to a handshake
}

func (s *server) target() target { return target{port: s.port, dialect: s.dialect} }

// start starts a contender on a free port of the loopback and waits until a
// handshake succeeds.
func (b *bench) start(c contender, extra ...string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	line := c.line(port, extra...)
	process, err := b.children.start(exec.Command(line[0], line[1:]...))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	s := &server{child: process, contender: c, port: port}
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
		case <-s.gone:
			return err
		default:
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(end) {
			return err
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
