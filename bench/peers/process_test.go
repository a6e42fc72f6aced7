package peers_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait. It is no claim about speed.
const patience = 30 * time.Second

// programs is the directory the peers were built into.
var programs string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wsify-peers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	if out, err := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./...").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the peers: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// process is a running peer.
type process struct {
	*exec.Cmd
	addr string
}

// start runs a peer on a free port and waits until it says that it listens. It is
// killed at the end of the test, and by the kernel should the test die.
func start(t *testing.T, name string) *process {
	t.Helper()
	cmd := command(name, "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("%s said %q, %v; want that it listens", name, line, err)
	}
	return &process{Cmd: cmd, addr: addr}
}

func command(name, addr string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(programs, name), "-listen-addr", addr)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// testEnds holds a peer to what a generator must rely on around its measuring.
func testEnds(t *testing.T, p *process, name string) {
	t.Run("raises its limit of descriptors", func(t *testing.T) {
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(limits)) {
			if f := strings.Fields(line); strings.HasPrefix(line, "Max open files") && f[3] != f[4] {
				t.Errorf("the soft limit is %s, the hard one %s", f[3], f[4])
			}
		}
	})
	t.Run("says in one line that its port is taken, and exits with 1", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		cmd := command(name, l.Addr().String())
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer late.Stop()
		out, err := cmd.CombinedOutput()
		if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("ended with %v, want exit code 1", err)
		}
		if bytes.Count(out, []byte("\n")) != 1 || !bytes.Contains(out, []byte("address already in use")) {
			t.Errorf("said %q, want one line", out)
		}
	})
	t.Run("ends with 0 on SIGTERM, connections or not", func(t *testing.T) {
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(patience, func() { p.Process.Kill() })
		defer late.Stop()
		if err := p.Wait(); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}
