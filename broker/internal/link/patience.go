package link

import (
	"context"
	"time"

	"wsify/internal/lastread"
)

// Within is context.WithTimeout for a caller that waits for an engine: before the context ends by
// its time, there is time to read what came while this process stood still. Its cause says
// by what it has ended.
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

// Rounds tells a goroutine that looks for what is overdue at every interval whether this process stood
// still: then what was in time may not have been read yet, and only a look after one more
// interval counts.
type Rounds struct {
	last   time.Time // when somebody looked
	counts time.Time // from when on a look does
}

// NewRounds is for looks that begin now.
func NewRounds() Rounds { return Rounds{last: time.Now()} }

// Late reports whether the look at that instant does not count.
func (r *Rounds) Late(now time.Time, interval time.Duration) bool {
	if now.Sub(r.last) > 2*interval {
		r.counts = now.Add(interval)
	}
	r.last = now
	return now.Before(r.counts)
}

// Pause waits, or until ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
