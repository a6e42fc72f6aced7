//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// ErrEnded is that a child was to be started after KillAll.
var ErrEnded = errors.New("already stopping")

// Children are the processes that the caller started. The zero value has none, and
// any goroutine may use it.
type Children struct {
	mu      sync.Mutex // held while a command starts, so that none starts behind KillAll's back
	running map[*Child]struct{}
	ended   bool
}

// Start starts a command as the leader of a process group. What it writes to its
// standard error goes to cmd.Stderr, and its end is kept for Failure. The kernel
// kills it should the caller die without a chance to.
func (f *Children) Start(cmd *exec.Cmd) (*Child, error) {
	c := &Child{cmd: cmd, family: f, gone: make(chan struct{})}
	if cmd.Stderr == nil {
		cmd.Stderr = &c.errors
	} else {
		cmd.Stderr = io.MultiWriter(cmd.Stderr, &c.errors)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second // for whoever left the group and holds its output open
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, ErrEnded
	}
	started := make(chan error)
	go c.live(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if f.running == nil {
		f.running = make(map[*Child]struct{})
	}
	f.running[c] = struct{}{}
	return c, nil
}

// Running returns how many there are.
func (f *Children) Running() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.running)
}

// KillAll ends every child with its group, and waits until they are gone. None can
// be started any more.
func (f *Children) KillAll() {
	f.mu.Lock()
	f.ended = true
	var all []*Child
	for c := range f.running {
		c.killLocked()
		all = append(all, c)
	}
	f.mu.Unlock()
	for _, c := range all {
		<-c.gone
	}
}

// Run starts a command and waits until it ends; it is killed when ctx is done or
// limit is over. It returns the CPU time it used, and as an error with what it said
// that it did not end with exit code 0.
func (f *Children) Run(ctx context.Context, limit time.Duration, cmd *exec.Cmd) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s takes longer than %v", cmd.Path, limit))
	defer cancel()
	c, err := f.Start(cmd)
	if err != nil {
		return 0, err
	}
	select {
	case <-c.gone:
	case <-ctx.Done():
		c.Kill()
		return 0, context.Cause(ctx)
	}
	if c.status != nil {
		err = c.end()
	}
	return c.CPU(), err
}

// Child is one started process.
type Child struct {
	cmd    *exec.Cmd
	family *Children
	errors tail          // what it wrote to its standard error
	over   bool          // under the lock of family: its number may soon be another's
	gone   chan struct{} // closed when it has ended and was collected
	status error         // why, once gone is closed
}

// live starts the child and waits for its end, all on one thread: to the kernel the
// parent that must not die is the thread (prctl(2), PR_SET_PDEATHSIG), and Go ends
// those of goroutines that keep theirs to themselves.
func (c *Child) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	awaitEnd(c.PID())
	c.family.mu.Lock()
	c.killLocked() // its group: the number is not free before Wait
	c.over = true
	c.family.mu.Unlock()
	c.status = c.cmd.Wait()
	c.family.mu.Lock()
	delete(c.family.running, c)
	c.family.mu.Unlock()
	close(c.gone)
}

// killLocked kills the group.
func (c *Child) killLocked() {
	if !c.over {
		syscall.Kill(-c.PID(), syscall.SIGKILL)
	}
}

// Kill ends the child with its group, and waits until it is gone.
func (c *Child) Kill() {
	c.family.mu.Lock()
	c.killLocked()
	c.family.mu.Unlock()
	<-c.gone
}

// Signal sends to the child alone.
func (c *Child) Signal(s syscall.Signal) error { return c.cmd.Process.Signal(s) }

// PID returns its number.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Gone is closed when the child has ended.
func (c *Child) Gone() <-chan struct{} { return c.gone }

// Status returns how the child ended, nil for exit code 0. It waits for the end.
func (c *Child) Status() error {
	<-c.gone
	return c.status
}

// CPU returns the CPU time that the child used, with that of children it waited for.
// It waits for the end.
func (c *Child) CPU() time.Duration {
	<-c.gone
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
}

// Said is the end of what the child wrote to its standard error.
func (c *Child) Said() string { return c.errors.String() }

// Failure explains err with how the child ended and what it said, if it ended.
func (c *Child) Failure(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-c.gone:
		return fmt.Errorf("%w\n%w", err, c.end())
	case <-time.After(100 * time.Millisecond): // a process that just died needs a moment to be collected
		return err
	}
}

// end tells how the child ended and what it said last.
func (c *Child) end() error {
	status := c.status
	if status == nil {
		status = errors.New("exit code 0")
	}
	said := c.errors.String()
	if said != "" {
		said = "\n" + said
	}
	return fmt.Errorf("%s ended: %w%s", c.cmd.Path, status, said)
}
