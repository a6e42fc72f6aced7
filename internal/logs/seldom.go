package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// seldomPause is how long a logged fault is not logged again.
const seldomPause = 10 * time.Second

// Seldom returns a handler that passes on to h one warning or error with the same message in ten
// seconds. The next one has the number of omitted records, as left_out. Messages must be constants,
// because each is remembered. Records below warn are not limited.
func Seldom(h slog.Handler) slog.Handler {
	return &seldom{h, &faults{of: map[string]*fault{}}}
}

type seldom struct {
	slog.Handler
	faults *faults
}

// faults are the last records of each message.
type faults struct {
	mu sync.Mutex // a leaf lock
	of map[string]*fault
}

type fault struct {
	logged  time.Time
	leftOut int
}

// Handle implements slog.Handler.
func (s *seldom) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		leftOut, ok := s.faults.pass(r.Message, r.Time)
		if !ok {
			return nil
		}
		if leftOut > 0 {
			r = r.Clone()
			r.AddAttrs(slog.Int("left_out", leftOut))
		}
	}
	return s.Handler.Handle(ctx, r)
}

// pass reports whether a record with this message may be logged now, and how many were omitted
// since the last one.
func (f *faults) pass(message string, now time.Time) (leftOut int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.of[message]
	if of == nil {
		f.of[message] = &fault{logged: now}
		return 0, true
	}
	if now.Sub(of.logged) < seldomPause {
		of.leftOut++
		return 0, false
	}
	leftOut, *of = of.leftOut, fault{logged: now}
	return leftOut, true
}

// WithAttrs implements slog.Handler.
func (s *seldom) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &seldom{s.Handler.WithAttrs(attrs), s.faults}
}

// WithGroup implements slog.Handler.
func (s *seldom) WithGroup(name string) slog.Handler {
	return &seldom{s.Handler.WithGroup(name), s.faults}
}
