//go:build linux

// Package process starts what a run measures, ends it whatever happens, and reads what it used from the system.
package process

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

type Child struct {
	cmd    *exec.Cmd
	said   tail
	gone   chan struct{} // closed once it has ended
	status error         // how, once gone is closed
}

// Start starts a command of exec.CommandContext in a process group of its own, which ends with the context. Should this
// process die without a chance to end it, the kernel does.
func Start(cmd *exec.Cmd) (*Child, error) {
	c := &Child{cmd: cmd, gone: make(chan struct{})}
	cmd.Stderr = &c.said
	if cmd.Stdout == nil {
		cmd.Stdout = &c.said
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	started := make(chan error)
	go c.live(started)
	return c, <-started
}

// live starts the child and waits for its end on one thread: the kernel takes the thread that started a process
// for its parent (prctl(2), PR_SET_PDEATHSIG).
func (c *Child) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err == nil {
		err = c.cmd.Wait()
	}
	c.status = err
	close(c.gone)
}

func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Kill ends the child and its group, and waits until it is gone.
func (c *Child) Kill() {
	select {
	case <-c.gone:
	default:
		_ = c.cmd.Cancel()
		<-c.gone
	}
}

// Await waits for so long at most, and reports whether the child has ended.
func (c *Child) Await(d time.Duration) bool {
	select {
	case <-c.gone:
		return true
	case <-time.After(d):
		return false
	}
}

// Stop asks the child to end, and kills it when it takes longer than patience.
func (c *Child) Stop(patience time.Duration) error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	if c.Await(patience) {
		return c.status
	}
	c.Kill()
	return fmt.Errorf("it was killed: it had not ended %s after SIGTERM", patience)
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
