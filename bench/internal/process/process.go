//go:build linux

// Package process starts what a run measures, ends it whatever happens, and reads what it used from the system.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Family is the processes that this one has started. The zero value has none. Any goroutine may use it.
type Family struct {
	mu      sync.Mutex
	running map[*Child]struct{}
	ended   bool
}

// Child is one of them.
type Child struct {
	cmd    *exec.Cmd
	family *Family
	said   tail
	gone   chan struct{} // closed once it has ended
	status error         // how, once gone is closed
}

// Start starts a command in a process group of its own. Should this process die, the kernel kills it.
func (f *Family) Start(cmd *exec.Cmd) (*Child, error) {
	c := &Child{cmd: cmd, family: f, gone: make(chan struct{})}
	cmd.Stderr = &c.said
	if cmd.Stdout == nil {
		cmd.Stdout = &c.said
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, errors.New("the run is ending")
	}
	started := make(chan error)
	go c.live(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if f.running == nil {
		f.running = map[*Child]struct{}{}
	}
	f.running[c] = struct{}{}
	return c, nil
}

// live starts the child and waits for its end on one thread: the kernel takes the thread that started a process
// for its parent (prctl(2), PR_SET_PDEATHSIG).
func (c *Child) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	c.status = c.cmd.Wait()
	c.family.mu.Lock()
	delete(c.family.running, c)
	c.family.mu.Unlock()
	close(c.gone)
}

// KillAll ends every child with its group. None can be started any more.
func (f *Family) KillAll() {
	f.mu.Lock()
	f.ended = true
	all := make([]*Child, 0, len(f.running))
	for c := range f.running {
		all = append(all, c)
	}
	f.mu.Unlock()
	for _, c := range all {
		c.Kill()
	}
}

// Pid is the child's process number.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Signal sends a signal to the child alone.
func (c *Child) Signal(sig os.Signal) error { return c.cmd.Process.Signal(sig) }

// Kill ends the child and its group, and waits until it is gone.
func (c *Child) Kill() {
	select {
	case <-c.gone:
	default:
		_ = syscall.Kill(-c.Pid(), syscall.SIGKILL)
		<-c.gone
	}
}

// Await waits for so long, or until the child has ended.
func (c *Child) Await(d time.Duration) {
	select {
	case <-c.gone:
	case <-time.After(d):
	}
}

// Stop asks the child to end, and kills it when it takes longer than patience.
func (c *Child) Stop(patience time.Duration) error {
	_ = c.Signal(syscall.SIGTERM)
	select {
	case <-c.gone:
		return c.status
	case <-time.After(patience):
		c.Kill()
		return fmt.Errorf("it was killed: it had not ended %s after SIGTERM", patience)
	}
}

// Said is the end of what it has written.
func (c *Child) Said() string { return c.said.String() }

// AwaitPort returns when a TCP port accepts connections, or why it does not.
func (c *Child) AwaitPort(addr string, patience time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.gone:
			return fmt.Errorf("it has ended: %v: %s", c.status, c.Said())
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("nothing listens on %s after %s: %s", addr, patience, c.Said())
		}
	}
}

// FreePort returns a TCP port of the loopback that is free at this moment.
func FreePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return ln.Addr().(*net.TCPAddr).Port, ln.Close()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	p  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const size = 2 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p = append(t.p, p...)
	t.p = t.p[max(0, len(t.p)-size):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.p))
}
