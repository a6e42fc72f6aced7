//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

func TestTheFirstSignalEndsTheContextAndTheServerIsWaitedFor(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		signals := make(chan os.Signal, 1)
		signals <- s
		stopped := false
		err := serveUntil(signals, nil, nil, slog.New(slog.DiscardHandler), func(ctx context.Context) error {
			<-ctx.Done()
			stopped = true
			return nil
		}, control{})
		if err != nil || !stopped {
			t.Errorf("after %v: serveUntil = %v, the server had stopped: %t", s, err, stopped)
		}
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	var logged bytes.Buffer
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGTERM
	signals <- syscall.SIGINT
	release := make(chan struct{})
	defer close(release)
	err := serveUntil(signals, nil, nil, newLogger(&logged, slog.LevelInfo, logText), func(context.Context) error {
		<-release // a shutdown that hangs
		return nil
	}, control{})
	if !errors.Is(err, errSecondSignal) {
		t.Errorf("serveUntil = %v, want %v", err, errSecondSignal)
	}
	if !strings.Contains(logged.String(), `level=ERROR msg="second signal, ending at once" signal=interrupt`) {
		t.Errorf("log: %s", logged.String())
	}
}

// A program that is still reading its settings, here from a pipe that blocks it, gets a hangup.
func TestAHangupDoesNotEndAProgramThatIsStarting(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "-check-config", "-config", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	settings, err := os.OpenFile(file, os.O_WRONLY, 0) // blocks until the program has opened it too
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	_ = settings.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("after a SIGHUP: %v", err)
	}
}

// If this fails, the signal ends the test program.
func TestAHangupDoesNotEndAProgramThatIsEnding(t *testing.T) {
	if got := start(nil, nil); got.code != exitOK {
		t.Fatalf("exit %d: %s", got.code, got.stderr)
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Error(err)
	}
}

func TestTheServersOwnEndIsReturned(t *testing.T) {
	want := errors.New("event loop: broken")
	if err := serveUntil(nil, nil, nil, slog.New(slog.DiscardHandler), func(context.Context) error { return want }, control{}); err != want {
		t.Errorf("serveUntil = %v, want %v", err, want)
	}
}

// Go's runtime knows nine tenths of the limit of memory, unless it was told another one.
func TestGoKnowsTheLimitOfMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for _, tc := range []struct {
		env  map[string]string
		most int
		want int64
	}{
		{nil, 10_000_000_000, 9_000_000_000},
		{map[string]string{"GOGC": "50", "GOMEMLIMIT": ""}, 10_000_000_000, 9_000_000_000},
		{map[string]string{"GOMEMLIMIT": "1GiB"}, 10 << 30, before},
		{nil, 4 << 20, leastHeap},
		{nil, 0, before},
	} {
		debug.SetMemoryLimit(before)
		if set, got := limitHeap(tc.env, tc.most), debug.SetMemoryLimit(-1); got != tc.want || set != (got != before) {
			t.Errorf("limitHeap(%v, %d) = %t, and the limit is %d, want %d", tc.env, tc.most, set, got, tc.want)
		}
	}
}

func TestTheOperatorsWordOnTheCollectorStands(t *testing.T) {
	for _, tc := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, true},
		{map[string]string{"GOGC": "", "GOMEMLIMIT": ""}, true},
		{map[string]string{"GOGC": "off"}, false},
		{map[string]string{"GOMEMLIMIT": "1GiB"}, false},
	} {
		if got := tuneGC(tc.env); got != tc.want {
			t.Errorf("tuneGC(%v) = %t, want %t", tc.env, got, tc.want)
		}
	}
}
