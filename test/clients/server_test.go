package clients

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for something before it gives up.
const patience = 30 * time.Second

var program = os.Getenv("WSIFY_PROGRAM")

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	if program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "wsify-clients")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "wsify")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./cmd/wsify")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "the server cannot be built: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// server is a running wsify.
type server struct {
	cmd  *exec.Cmd
	url  string
	once sync.Once
}

// serve starts wsify on a free port with these flags. At the end of the test it must shut down
// gracefully.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	cmd := exec.Command(program, append([]string{"-listen-addr", "127.0.0.1:0"}, flags...)...)
	cmd.Env = []string{"WSIFY_ADMIN_ADDR=off"}
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stderr)
	var record struct{ Addr string }
	for record.Addr == "" && lines.Scan() {
		_ = json.Unmarshal(lines.Bytes(), &record)
	}
	drained := make(chan struct{})
	go func() {
		for lines.Scan() {
		}
		close(drained)
	}()
	s := &server{cmd: cmd, url: "ws://" + record.Addr + "/ws"}
	t.Cleanup(func() {
		s.terminate()
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("wsify did not end in order: %v", err)
		}
		timer.Stop()
	})
	return s
}

// terminate sends SIGTERM once, because a second signal would end the server at once.
func (s *server) terminate() {
	s.once.Do(func() { _ = s.cmd.Process.Signal(syscall.SIGTERM) })
}
