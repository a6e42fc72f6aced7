package testtool

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Child is a test of this binary that runs in a separate process, which may be stopped or lack
// resources without an effect on others.
type Child struct {
	*exec.Cmd
	t   testing.TB
	in  io.WriteCloser
	out *bufio.Reader
}

// StartChild runs one test with an additional environment variable, which makes it the child. It
// ends by itself, at the latest when its standard input does. Each of its lines has to come within
// patience.
func StartChild(t testing.TB, test, variable, value string, patience time.Duration) *Child {
	t.Helper()
	c := &Child{t: t, Cmd: exec.Command(os.Args[0], "-test.run=^"+test+"$")}
	c.Env = append(os.Environ(), variable+"="+value)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		c.in, err = c.StdinPipe()
	}
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(c.Process.Pid, unix.SIGCONT)
		_ = c.in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := c.Wait(); err != nil {
			t.Errorf("%s as a child: %v", test, err)
		}
	})
	_ = out.(*os.File).SetReadDeadline(time.Now().Add(patience))
	c.out = bufio.NewReader(out)
	return c
}

// Say writes a line to the child.
func (c *Child) Say(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
}

// Line returns the next line of the child's output.
func (c *Child) Line() string {
	c.t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("the child says %q: %v", line, err)
	}
	return strings.TrimSpace(line)
}

// Rest returns the child's output until it ends by itself.
func (c *Child) Rest() string {
	c.t.Helper()
	rest, err := io.ReadAll(c.out)
	if err != nil {
		c.t.Fatalf("the child says %q: %v", rest, err)
	}
	return string(rest)
}

// Pause stops the process, and returns when it has stopped.
func (c *Child) Pause() {
	c.t.Helper()
	pid := c.Process.Pid
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		c.t.Fatal(err)
	}
	if err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil); err != nil {
		c.t.Fatal(err)
	}
}

// Resume continues the process.
func (c *Child) Resume() {
	c.t.Helper()
	if err := unix.Kill(c.Process.Pid, unix.SIGCONT); err != nil {
		c.t.Fatal(err)
	}
}
