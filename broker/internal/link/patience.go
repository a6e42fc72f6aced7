package link

import (
	"context"
	"time"

	"wsify/internal/lastread"
)

// Within is context.WithTimeout for a caller that waits for an engine. Before the context times
// out, the process has time to read what came while it was stopped. context.Cause tells why the
// context ended.
func Within(parent context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	due := time.Now().Add(timeout)
	if earlier, ok := parent.Deadline(); ok && earlier.Before(due) {
		due = earlier
	}
	ctx, cancel := context.WithCancelCause(parent)
	timer := time.AfterFunc(time.Until(due), func() {
		time.AfterFunc(time.Until(lastread.Extended(due, timeout)), func() { cancel(context.DeadlineExceeded) })
	})
	return patientContext{Context: ctx, due: due}, func() {
		timer.Stop()
		cancel(nil)
	}
}

// patientContext is a context of Within.
type patientContext struct {
	context.Context
	due time.Time
}

// Deadline implements context.Context.
func (c patientContext) Deadline() (time.Time, bool) { return c.due, true }

// Err implements context.Context.
func (c patientContext) Err() error {
	err := c.Context.Err()
	if err != nil && context.Cause(c.Context) == context.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return err
}

// Rounds helps a goroutine that checks for timeouts at every interval. It detects that this process
// was stopped: then an answer in time may not have been read yet, and only a check after one more
// interval counts.
type Rounds struct {
	last   time.Time // the time of the last check
	counts time.Time // checks count from then on
}

// NewRounds returns Rounds for checks that begin now.
func NewRounds() Rounds { return Rounds{last: time.Now()} }

// Late reports whether the check at that instant does not count.
func (r *Rounds) Late(now time.Time, interval time.Duration) bool {
	if now.Sub(r.last) > 2*interval {
		r.counts = now.Add(interval)
	}
	r.last = now
	return now.Before(r.counts)
}

// Pause waits for d, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
