package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Service is the program as its service manager knows it. Without a service manager
// (NOTIFY_SOCKET is not set) it sends nothing. Its methods may be called from any
// goroutine but an event loop: a message waits while the manager does not read.
type Service struct {
	log   *slog.Logger
	mu    sync.Mutex // held while a message is sent, so that they arrive in order
	ready bool       // clients can connect, and the shutdown has not begun; guarded by mu
}

// New returns a Service that is starting.
func New(log *slog.Logger) *Service { return &Service{log: log} }

// Ready says that clients can connect.
func (s *Service) Ready() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	s.sendLocked(daemon.SdNotifyReady)
}

// Reload runs do, and says when that begins and when it is over. A program that is still
// starting, or already stopping, says nothing of it.
func (s *Service) Reload(do func()) {
	s.whileReady(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	do()
	s.whileReady(daemon.SdNotifyReady)
}

// Stopping says that the shutdown has begun, and asks for this much time for it, if the
// unit allows less.
func (s *Service) Stopping(within time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = false
	s.sendLocked(fmt.Sprintf("%s\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, within.Microseconds()))
}

// Watch says that the program works, twice in the unit's WatchdogSec, until ctx ends.
// alive waits until every part of the program has answered, and returns false if ctx
// ends first. While it waits nothing is said: the service manager then restarts the
// program. Without WatchdogSec, Watch returns at once.
func (s *Service) Watch(ctx context.Context, alive func(context.Context) bool) {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("the service manager's watchdog is not served", "err", err)
	}
	if within <= 0 {
		return
	}
	tick := time.NewTicker(max(within/2, 1))
	defer tick.Stop()
	for alive(ctx) {
		s.send(daemon.SdNotifyWatchdog)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// whileReady sends state, but neither before Ready nor after Stopping.
func (s *Service) whileReady(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		s.sendLocked(state)
	}
}

func (s *Service) send(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sendLocked(state)
}

func (s *Service) sendLocked(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("the service manager could not be told", "state", state, "err", err)
	}
}
