package test

import (
	"encoding/json"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is a running wsify.
type server struct {
	*process
	addr string // host:port
}

// serve starts wsify on a free port of 127.0.0.1 with these flags. Unless they have a key, anyone
// may publish. At the end of the test it must shut down gracefully.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	if !slices.Contains(flags, "-broadcasting-key") {
		flags = append(flags, "-broadcast-open")
	}
	p := start(t, scratch, nil, append([]string{program, "-listen-addr", "127.0.0.1:0"}, flags...)...)
	s := &server{process: p, addr: p.awaitAddr()}
	t.Cleanup(s.endInOrder)
	return s
}

// awaitAddr waits for the log record that has the server's address.
func (p *process) awaitAddr() string {
	p.t.Helper()
	var addr string
	p.await("the record of where it listens", func() bool {
		for line := range strings.Lines(p.output()) {
			var record struct{ Msg, Addr string }
			if json.Unmarshal([]byte(line), &record) == nil && record.Addr != "" {
				addr = record.Addr
				return true
			}
		}
		return false
	})
	return addr
}

// await waits until done returns true, which checks the program's output.
func (p *process) await(what string, done func() bool) {
	p.t.Helper()
	const every = 5 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range patience / every {
		if done() {
			return
		}
		select {
		case <-p.ended:
			if !done() {
				p.t.Fatalf("%s ended without %s; its output:\n%s", p.name, what, p.output())
			}
			return
		case <-tick.C:
		}
	}
	p.t.Fatalf("%s: no %s in %s; its output:\n%s", p.name, what, patience, p.output())
}

func (s *server) ws() string   { return "ws://" + s.addr + "/ws" }
func (s *server) http() string { return "http://" + s.addr }

// endInOrder stops the server, unless the test has: it must exit with 0 within the test's patience.
func (s *server) endInOrder() {
	select {
	case <-s.ended:
		if code := s.cmd.ProcessState.ExitCode(); code != 0 {
			s.t.Errorf("wsify ended with exit code %d", code)
		}
	default:
		if code := s.stop(syscall.SIGTERM); code != 0 {
			s.t.Errorf("wsify: exit code %d after SIGTERM, want 0", code)
		}
	}
}

func TestTheServerEndsInOrder(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := serve(t)
		c := dialGo(t, s.ws())
		c.expect("open")
		if code := s.stop(signal); code != 0 {
			t.Errorf("exit code %d after %v, want 0", code, signal)
		}
		c.expect("close 1012 this node restarts, reconnect")
	}
}
