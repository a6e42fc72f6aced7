//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

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

// start runs a command in a process group of its own, since go build has children.
// The kernel kills it should this process die without a chance to.
func (f *children) start(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, family: f, gone: make(chan struct{})}
	if cmd.Stderr == nil {
		cmd.Stderr = &c.errors
	} else {
		cmd.Stderr = io.MultiWriter(cmd.Stderr, &c.errors)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second // for whoever holds its output open
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

// kill ends the child with its group, and waits until it is gone.
func (c *child) kill() {
	syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	<-c.gone
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

// run starts a command and waits until it ends; it is killed when ctx is done or
// limit is over. It returns the CPU time it used.
func (f *children) run(ctx context.Context, limit time.Duration, cmd *exec.Cmd) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s takes longer than %v", cmd.Path, limit))
	defer cancel()
	c, err := f.start(cmd)
	if err != nil {
		return 0, err
	}
	select {
	case <-c.gone:
	case <-ctx.Done():
		c.kill()
		return 0, context.Cause(ctx)
	}
	state := c.cmd.ProcessState
	return state.UserTime() + state.SystemTime(), c.failure(c.status)
}

// failure explains err with what the child said, if it has ended.
func (c *child) failure(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-c.gone:
		return fmt.Errorf("%w: %s\n%s", err, c.cmd.Path, c.errors.String())
	case <-time.After(100 * time.Millisecond): // a process that just died needs a moment to be collected
		return err
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
