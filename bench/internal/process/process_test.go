//go:build linux

package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 20 * time.Second

// TestMain is also a caller that starts a child and is killed.
func TestMain(m *testing.M) {
	if os.Getenv("PROCESS_TEST") == "caller" {
		cmd := exec.Command("sh", "-c", "echo ready >&3; exec sleep 60")
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "held")}
		if _, err := new(Children).Start(cmd); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {}
	}
	os.Exit(m.Run())
}

func shell(script string) *exec.Cmd { return exec.Command("sh", "-c", script) }

// held gives cmd a pipe as descriptor 3, which all that it starts inherit, starts it
// by start, and waits until one of them has said that it is ready. The function it
// returns waits until all of them are gone.
func held(t *testing.T, cmd *exec.Cmd, start func(*exec.Cmd) error) (awaitGone func()) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cmd.ExtraFiles = []*os.File{w}
	err = start(cmd)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(r)
	if line, err := said.ReadString('\n'); err != nil {
		t.Fatalf("the child said %q, %v; want that it is ready", line, err)
	}
	return func() {
		t.Helper()
		if _, err := io.Copy(io.Discard, said); err != nil {
			t.Errorf("a process is left: %v", err)
		}
	}
}

// family returns children that are gone when the test is over.
func family(t *testing.T) *Children {
	f := new(Children)
	t.Cleanup(f.KillAll)
	return f
}

func start(t *testing.T, f *Children, cmd *exec.Cmd) *Child {
	t.Helper()
	c, err := f.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAChildThatDiesOfItselfIsExplained(t *testing.T) {
	cause := errors.New("no answer")
	for _, tt := range []struct{ script, want string }{
		{"echo out of luck >&2; exit 7", "no answer\n/bin/sh ended: exit status 7\nout of luck"},
		{"kill -TERM $$", "no answer\n/bin/sh ended: signal: terminated"},
		{"exit 0", "no answer\n/bin/sh ended: exit code 0"},
	} {
		cmd := shell(tt.script)
		cmd.Path = "/bin/sh"
		c := start(t, family(t), cmd)
		<-c.Gone()
		if err := c.Failure(cause); err.Error() != tt.want || !errors.Is(err, cause) {
			t.Errorf("%s: Failure = %q, want %q", tt.script, err, tt.want)
		}
	}
}

func TestAFailureWhileTheChildLivesIsNotItsEnd(t *testing.T) {
	c := start(t, family(t), shell("exec sleep 60"))
	cause := errors.New("no answer")
	if err := c.Failure(cause); err != cause {
		t.Errorf("Failure = %v, want %v", err, cause)
	}
	if err := c.Failure(nil); err != nil {
		t.Errorf("Failure of nothing = %v", err)
	}
}

func TestWhatAChildSaysGoesToTheCallerAndItsEndIsKept(t *testing.T) {
	var all strings.Builder
	cmd := shell(`i=0; while [ $i -lt 1000 ]; do echo "line $i" >&2; i=$((i+1)); done`)
	cmd.Stderr = &all
	c := start(t, family(t), cmd)
	<-c.Gone()
	if !strings.HasPrefix(all.String(), "line 0\n") || !strings.HasSuffix(all.String(), "line 999\n") {
		t.Errorf("the caller has %d bytes", all.Len())
	}
	if kept := c.errors.String(); len(kept) > tailSize || !strings.HasSuffix(kept, "line 999") {
		t.Errorf("kept are %d bytes, want at most %d and the last line", len(kept), tailSize)
	}
}

func TestKillAllLeavesNoProcessAndNothingStartsAfterIt(t *testing.T) {
	f := family(t)
	var pids []int
	for range 3 {
		pids = append(pids, start(t, f, shell("exec sleep 60")).PID())
	}
	if n := f.Running(); n != 3 {
		t.Errorf("Running = %d, want 3", n)
	}
	f.KillAll()
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d: %v, want it gone", pid, err)
		}
	}
	if n := f.Running(); n != 0 {
		t.Errorf("Running = %d after KillAll", n)
	}
	if c, err := f.Start(shell("exit 0")); err != ErrEnded || c != nil {
		t.Errorf("Start after KillAll = %v, %v; want %v", c, err, ErrEnded)
	}
	f.KillAll() // again does nothing
}

const withGrandchild = "sleep 60 & echo ready >&3; "

func TestAGrandchildInTheGroupIsKilledToo(t *testing.T) {
	for _, tt := range []struct {
		name, then string
		end        func(*Children, *Child)
	}{
		{"with its parent", "wait", func(_ *Children, c *Child) { c.Kill() }},
		{"with all", "wait", func(f *Children, _ *Child) { f.KillAll() }},
		{"when its parent ends of itself", "exit 0", func(_ *Children, c *Child) { <-c.Gone() }},
		{"and a second kill does nothing", "exit 0", func(_ *Children, c *Child) { c.Kill(); c.Kill() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := family(t)
			var c *Child
			awaitGone := held(t, shell(withGrandchild+tt.then), func(cmd *exec.Cmd) (err error) {
				c, err = f.Start(cmd)
				return err
			})
			tt.end(f, c)
			awaitGone()
		})
	}
}

func TestAChildEndsWithACallerThatIsKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	caller := exec.Command(self)
	caller.Env = append(os.Environ(), "PROCESS_TEST=caller")
	awaitGone := held(t, caller, (*exec.Cmd).Start)
	if err := caller.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	caller.Wait()
	awaitGone()
}

// onThreadThatEnds runs do on a thread that ends with it. The main thread never does.
func onThreadThatEnds(do func()) (tid int) {
	done := make(chan int)
	go func() {
		runtime.LockOSThread()
		if tid := syscall.Gettid(); tid != os.Getpid() {
			do()
			done <- tid
			return
		}
		defer runtime.UnlockOSThread()
		done <- onThreadThatEnds(do) // on another, while this one is ours
	}()
	return <-done
}

func TestAChildOutlivesTheThreadOfWhoeverStartedIt(t *testing.T) {
	f := family(t)
	cmd := exec.Command("cat")
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	tid := onThreadThatEnds(func() { _, err = f.Start(cmd) })
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); syscall.Tgkill(os.Getpid(), tid, 0) != syscall.ESRCH; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the thread does not end")
		}
	}
	fmt.Fprintln(input, "alive")
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || line != "alive\n" {
		t.Errorf("the child says %q, %v", line, err)
	}
}

func TestACommandIsRunToItsEnd(t *testing.T) {
	f := family(t)
	cpu, err := f.Run(t.Context(), patience, shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"))
	if err != nil || cpu <= 0 {
		t.Errorf("Run = %v, %v; want some CPU time", cpu, err)
	}
	_, err = f.Run(t.Context(), patience, shell("echo out of luck >&2; exit 7"))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 || !strings.Contains(err.Error(), "out of luck") {
		t.Errorf("Run = %v, want exit code 7 and what it said", err)
	}
	if _, err := f.Run(t.Context(), patience, exec.Command("/nowhere/at/all")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Run of what is not there = %v", err)
	}
	if n := f.Running(); n != 0 {
		t.Errorf("Running = %d", n)
	}
}

func TestACommandThatTakesTooLongIsKilled(t *testing.T) {
	f := family(t)
	_, err := f.Run(t.Context(), 50*time.Millisecond, shell("exec sleep 60"))
	if err == nil || !strings.Contains(err.Error(), "takes longer than 50ms") {
		t.Errorf("Run = %v, want that it takes too long", err)
	}
	cause := errors.New("it is late")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := f.Run(ctx, patience, shell("exec sleep 60")); err != cause {
		t.Errorf("Run = %v, want %v", err, cause)
	}
	if n := f.Running(); n != 0 {
		t.Errorf("Running = %d", n)
	}
}
