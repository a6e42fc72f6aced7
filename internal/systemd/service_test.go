package systemd

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

// manager is a service manager that hears what a Service says.
type manager struct {
	t  *testing.T
	in *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	in, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t, in}
}

// hears returns the next message.
func (m *manager) hears() string {
	m.t.Helper()
	_ = m.in.SetReadDeadline(time.Now().Add(testtool.Patience))
	p := make([]byte, 4096)
	n, err := m.in.Read(p)
	if err != nil {
		m.t.Fatalf("no message: %v", err)
	}
	return string(p[:n])
}

// hearsNothing has the manager find no message that was sent before.
func (m *manager) hearsNothing() {
	m.t.Helper()
	p := make([]byte, 4096)
	raw, err := m.in.SyscallConn()
	if err != nil {
		m.t.Fatal(err)
	}
	_ = raw.Read(func(fd uintptr) bool {
		if n, _, err := unix.Recvfrom(int(fd), p, unix.MSG_DONTWAIT); err == nil {
			m.t.Errorf("heard %q, want nothing", p[:n])
		}
		return true
	})
}

func (m *manager) wants(message string) {
	m.t.Helper()
	if got := m.hears(); got != message {
		m.t.Errorf("heard %q, want %q", got, message)
	}
}

func newService() *Service { return New(slog.New(slog.DiscardHandler)) }

func TestReadyAndStoppingAreSaid(t *testing.T) {
	m, s := newManager(t), newService()
	s.Ready()
	m.wants("READY=1")
	s.Stopping(40 * time.Second)
	m.wants("STOPPING=1\nEXTEND_TIMEOUT_USEC=40000000")
}

func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

func TestAReloadIsBetweenReloadingAndReady(t *testing.T) {
	m, s := newManager(t), newService()
	s.Ready()
	m.wants("READY=1")
	from, done := monotonic(t), false
	s.Reload(func() {
		got := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=(\d+)\n?$`).FindStringSubmatch(m.hears())
		if got == nil {
			t.Fatal("no RELOADING=1 with MONOTONIC_USEC before the reload")
		}
		if at, _ := strconv.ParseInt(got[1], 10, 64); at < from || at > monotonic(t) {
			t.Errorf("MONOTONIC_USEC is %d, want it between %d and now", at, from)
		}
		m.hearsNothing()
		done = true
	})
	m.wants("READY=1")
	if !done {
		t.Error("nothing was reloaded")
	}
}

// A READY=1 that comes early, or after STOPPING=1, would be a lie.
func TestAReloadBeforeTheStartOrAfterTheEndIsNotSaid(t *testing.T) {
	m, s := newManager(t), newService()
	reloads := 0
	s.Reload(func() { reloads++ })
	m.hearsNothing()
	s.Ready()
	m.wants("READY=1")
	s.Stopping(time.Second)
	m.hears()
	s.Reload(func() { reloads++ })
	m.hearsNothing()
	if reloads != 2 {
		t.Errorf("%d reloads, want 2", reloads)
	}
}

func TestTheWatchdogHearsNothingWhileTheProgramDoesNotAnswer(t *testing.T) {
	m, s := newManager(t), newService()
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", "2000")
	asked, answer := make(chan bool), make(chan bool)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		s.Watch(ctx, func(ctx context.Context) bool {
			asked <- true
			return <-answer
		})
	}()
	for range 3 {
		<-asked
		m.hearsNothing()
		answer <- true
		m.wants("WATCHDOG=1")
	}
	<-asked
	cancel()
	answer <- false
	<-ended
	m.hearsNothing()
}

func TestWithoutAWatchdogNobodyIsAsked(t *testing.T) {
	for _, env := range []map[string]string{
		{},
		{"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}, // that of another process
		{"WATCHDOG_USEC": "soon"},
		{"WATCHDOG_USEC": "-1"},
		{"WATCHDOG_USEC": "0"},
	} {
		t.Setenv("WATCHDOG_USEC", env["WATCHDOG_USEC"])
		t.Setenv("WATCHDOG_PID", env["WATCHDOG_PID"])
		log := &testtool.Log{}
		New(log.Logger()).Watch(t.Context(), func(context.Context) bool {
			t.Errorf("%v: asked", env)
			return false
		})
		if unread := env["WATCHDOG_PID"] == "" && len(env) > 0; strings.Contains(log.String(), "watchdog") != unread {
			t.Errorf("%v: the log has %q", env, log)
		}
	}
}

func TestAManagerThatIsGoneIsLogged(t *testing.T) {
	log := &testtool.Log{}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	New(log.Logger()).Ready()
	if !strings.Contains(log.String(), "could not be told") {
		t.Errorf("the log has %q", log)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	quiet := &testtool.Log{}
	New(quiet.Logger()).Ready()
	if quiet.String() != "" {
		t.Errorf("without a manager the log has %q", quiet)
	}
}
