// Package redistest starts real Redis servers for tests. Only tests may import it.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// Server is a Redis server of a test. Its methods belong to the test's goroutine,
// and fail the test when they do not succeed.
type Server struct {
	// Addr is where it listens, also after a Restart: 127.0.0.1 and a port that was free.
	Addr string
	// Port is that port.
	Port int
	// Dir is its working directory.
	Dir string

	t    testing.TB
	path string
	args []string
	tls  bool // Addr speaks TLS

	cmd *exec.Cmd     // nil before the first start
	end chan struct{} // closed when the process has ended
}

// Start runs redis-server until the test ends, with these arguments of its command
// line besides, in which {port} is its port. It skips the test when there is no
// redis-server and none may be installed.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, "redis-server", nil, append([]string{"--save", "", "--appendonly", "no"}, args...))
}

// StartSentinel runs a sentinel that watches a master under a name, and takes it
// for dead after downAfter.
func StartSentinel(t testing.TB, name string, master *Server, downAfter time.Duration, lines ...string) *Server {
	t.Helper()
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 1\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 2000\n%s\n",
		name, master.Port, name, downAfter.Milliseconds(), name, strings.Join(lines, "\n"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, "redis-sentinel", []string{config}, nil)
}

// start runs a program of Redis, each of which is a package of its name. Another process
// may be faster to take the port, but not so often.
func start(t testing.TB, program string, first, args []string) *Server {
	t.Helper()
	s := &Server{t: t, path: testtool.Need(t, program, program), Dir: t.TempDir(), tls: slices.Contains(args, "--tls-port")}
	t.Cleanup(s.Stop)
	for range 4 {
		s.Port = FreePort(t)
		port := strconv.Itoa(s.Port)
		s.Addr = net.JoinHostPort("127.0.0.1", port)
		s.args = slices.Concat(first, []string{"--bind", "127.0.0.1", "--port", port, "--dir", s.Dir, "--daemonize", "no"})
		for _, a := range args {
			s.args = append(s.args, strings.ReplaceAll(a, "{port}", port))
		}
		if s.run() {
			return s
		}
	}
	t.Fatalf("%s ended:\n%s", program, s.Log())
	return nil
}

// FreePort returns a port that nothing listens at now, below 55535 as the nodes of a
// cluster need another one 10000 above.
func FreePort(t testing.TB) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port < 55535 {
			return port
		}
	}
}

// DSN is the server's address for a broker.
func (s *Server) DSN() string { return "redis://" + s.Addr }

// run starts the process and waits until it answers, or has ended: then it reports false.
func (s *Server) run() bool {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd, end := exec.Command(s.path, s.args...), make(chan struct{})
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test binary that is killed leaves nothing behind
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(end)
	}()
	s.cmd, s.end = cmd, end
	testtool.Until(s.t, "the server at "+s.Addr+" answers", func() bool { return s.ended() || s.answers() })
	return !s.ended()
}

func (s *Server) ended() bool {
	select {
	case <-s.end:
		return true
	default:
		return false
	}
}

// answers pings; an error of any kind is an answer, but for that it is still loading. A TLS
// server that accepts connections is taken to be ready.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if s.tls {
		return true
	}
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && !strings.HasPrefix(line, "-LOADING")
}

// Stop kills the server, as a crash would, and waits for its end.
func (s *Server) Stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.end
	}
}

// Restart starts the server again, on the same port, after it was stopped.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if !s.run() {
		s.t.Fatalf("%s ended:\n%s", s.path, s.Log())
	}
}

// Pause makes the server do nothing, while its connections stay.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume is the end of Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// CLI runs redis-cli with these arguments against the server and returns what it
// prints, without the last newline.
func (s *Server) CLI(args ...string) string {
	s.t.Helper()
	out, err := s.TryCLI(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// TryCLI is CLI for commands that may fail.
func (s *Server) TryCLI(args ...string) (string, error) {
	path := testtool.Need(s.t, "redis-cli", "redis-tools")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port)}, args...)...)
	out, err := cmd.CombinedOutput()
	text := strings.TrimSuffix(string(out), "\n")
	if err != nil {
		return text, fmt.Errorf("redis-cli %s: %w: %s", strings.Join(args, " "), err, text)
	}
	return text, nil
}

// Says is CLI for a test that asks until the answer is right: a server that changes its role
// closes the connections of its clients, and has no answer then.
func (s *Server) Says(args ...string) string {
	out, err := s.TryCLI(args...)
	if err != nil {
		return ""
	}
	return out
}

// Config sets a directive of a server that runs.
func (s *Server) Config(name, value string) {
	s.t.Helper()
	if out := s.CLI("CONFIG", "SET", name, value); out != "OK" {
		s.t.Fatalf("CONFIG SET %s %s: %s", name, value, out)
	}
}

// Log is what the server has said.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(b)
}
