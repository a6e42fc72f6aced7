package test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program under test or a helper. Its output is kept, line by line, and it ends with
// the test.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   chan string // lines of stdout; closed at its end
	ended chan struct{}

	mu   sync.Mutex
	said []string // lines of stderr, and of stdout too
}

// start runs a program in dir with stdin open. Its environment is env, and the caller's PATH and
// HOME.
func start(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	if err := watchSources(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: args[0], cmd: exec.Command(args[0], args[1:]...), out: make(chan string, 1024), ended: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append(baseEnv(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its children can be ended with it
	stdout, err := p.cmd.StdoutPipe()
	p.fatal(err)
	stderr, err := p.cmd.StderrPipe()
	p.fatal(err)
	p.in, err = p.cmd.StdinPipe()
	p.fatal(err)
	p.fatal(p.cmd.Start())
	go p.collect(stdout, stderr)
	t.Cleanup(p.kill)
	return p
}

// baseEnv is the environment of every process: no proxies and no settings of the caller, and no
// admin listener, whose address would be the same for all.
func baseEnv() []string {
	env := []string{"NO_COLOR=1", "WSIFY_ADMIN_ADDR=off"}
	for _, name := range []string{"PATH", "HOME", "GOFLAGS", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOTOOLCHAIN"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (p *process) fatal(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// collect reads both outputs to their ends, then waits for the program.
func (p *process) collect(stdout, stderr io.Reader) {
	var both sync.WaitGroup
	both.Go(func() {
		defer close(p.out)
		p.lines(stdout, func(line string) {
			select {
			case p.out <- line:
			default: // no test reads that many lines
			}
		})
	})
	both.Go(func() { p.lines(stderr, func(string) {}) })
	both.Wait()
	_ = p.cmd.Wait()
	close(p.ended)
}

func (p *process) lines(from io.Reader, each func(string)) {
	scan := bufio.NewScanner(from)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		p.mu.Lock()
		p.said = append(p.said, scan.Text())
		p.mu.Unlock()
		each(scan.Text())
	}
	_, _ = io.Copy(io.Discard, from)
}

// output returns the program's output so far.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, "\n")
}

// line returns the next line of stdout.
func (p *process) line() string {
	p.t.Helper()
	select {
	case line, ok := <-p.out:
		if !ok {
			p.t.Fatalf("%s ended; its output:\n%s", p.name, p.output())
		}
		return line
	case <-time.After(patience):
		p.t.Fatalf("%s printed nothing more in %s; its output:\n%s", p.name, patience, p.output())
		return ""
	}
}

// stop sends a signal to the program and its children and returns the exit code.
func (p *process) stop(s syscall.Signal) int {
	p.t.Helper()
	p.fatal(syscall.Kill(-p.cmd.Process.Pid, s))
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s went on for %s after %v; its output:\n%s", p.name, patience, s, p.output())
		return -1
	}
}

// kill ends the program and its children at once, and shows its output when the test has failed.
func (p *process) kill() {
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		p.t.Errorf("%s: kill: %v", p.name, err)
	}
	<-p.ended
	if p.t.Failed() {
		p.t.Logf("%s said:\n%s", p.name, p.output())
	}
}

// run runs a program to its end and returns both outputs as one.
func run(t *testing.T, dir string, env []string, args ...string) (string, error) {
	t.Helper()
	if err := watchSources(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(baseEnv(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
