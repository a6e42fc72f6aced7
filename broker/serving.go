package broker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"wsify/broker/internal/link"
)

// Intervals and timeouts of a Remote.
const (
	sweepInterval = 500 * time.Millisecond // between two sweeps
	closeTimeout  = 2 * time.Second        // for publishing the rest when the broker is closed

	backoffFirst = 100 * time.Millisecond // the first pause between attempts to open a link; it doubles
	backoffLast  = 5 * time.Second        // the longest pause
	steadyAfter  = 10 * time.Second       // after a link was up for so long, the pauses start anew
	sayAgain     = time.Minute            // between two log records of the same error
)

var errNoAck = errors.New("the engine does not confirm subscriptions")

// run keeps a link to the engine open until the broker is closed.
func (r *Remote) run() {
	for attempt := 0; ; attempt++ {
		l := r.open()
		if l == nil {
			return
		}
		opened := time.Now()
		cause := r.serve(l)
		r.giveUp(l, cause)
		if r.ctx.Err() != nil {
			return
		}
		r.table.renewAll()
		lasted := time.Since(opened)
		r.log.Warn("the broker is lost; clients stay, publications are refused until it is back", "cause", cause, "was_up", lasted.Round(time.Millisecond).String())
		if lasted > steadyAfter {
			attempt = 0
		}
		link.Pause(r.ctx, backoff(attempt))
	}
}

// backoff returns the pause after this many attempts: a random part of a time that doubles with
// each attempt. The randomness keeps nodes from reconnecting all at once.
func backoff(attempt int) time.Duration {
	longest := min(backoffFirst<<min(attempt, 16), backoffLast)
	return time.Duration(rand.Int64N(int64(longest)) + int64(time.Millisecond))
}

// open retries until it has opened a link, and returns nil when the broker is closed. It logs an
// error when it changes, and again once a minute.
func (r *Remote) open() *linkSink {
	var said string
	var saidAt time.Time
	for attempt := 0; r.ctx.Err() == nil; attempt++ {
		began := time.Now()
		l, err := r.tryOpen()
		switch {
		case err == nil:
			r.log.Info("the broker is connected", "took", time.Since(began).Round(time.Millisecond).String(), "attempts", attempt+1)
			return l
		case r.ctx.Err() != nil:
			return nil
		}
		r.counts.failedOpens.Add(1)
		if text := err.Error(); text != said || time.Since(saidAt) > sayAgain {
			r.log.Error("the broker cannot be reached, trying again", "err", err)
			said, saidAt = text, time.Now()
		}
		link.Pause(r.ctx, backoff(attempt))
	}
	return nil
}

func (r *Remote) tryOpen() (*linkSink, error) {
	l := &linkSink{r: r}
	l.ctx, l.lose = context.WithCancelCause(r.ctx)
	ctx, cancel := link.Within(l.ctx, OpenTimeout)
	defer cancel()
	opened, most, err := r.engine.Open(ctx, l)
	if err != nil {
		l.lose(err)
		return nil, err
	}
	l.link = opened
	r.most.Store(int64(most))
	return l, nil
}

// serve uses a link until it is lost, and returns the cause. Subscriptions go out in batches, one
// after another. Between two batches it does all other work, so neither many joins nor many leaves
// delay the rest.
func (r *Remote) serve(l *linkSink) error {
	began := time.Now()
	owed := r.table.opened(began)
	r.opened.Store(l)
	r.counts.opened.Add(1)
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	r.running.Go(func() { r.watch(l) })
	var tick time.Time // when the current sweep began
	for sweeping := false; ; {
		var names []string
		if sweeping {
			names, sweeping = r.table.sweep(tick)
			if err := r.change(l, l.link.Unsubscribe, names); err != nil {
				return err
			}
		}
		names, asking := r.table.take(time.Now())
		if err := r.change(l, l.link.Subscribe, names); err != nil {
			return err
		}
		if !r.up.Load() && r.table.settled(time.Now()) {
			r.use(l)
			r.log.Info("the broker is up", "subscriptions", owed, "took", time.Since(began).Round(time.Millisecond).String())
		}
		if asking || sweeping {
			r.wake()
		}
		select {
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		case <-r.news:
		case tick = <-sweep.C:
			sweeping = true
		}
	}
}

// use makes l the link to publish with. With nil, the node is down.
func (r *Remote) use(l *linkSink) {
	r.using.Lock()
	defer r.using.Unlock()
	r.current.Store(l)
	r.up.Store(l != nil)
}

// watch answers joins that have waited too long for a subscription. It gives up a link on which the
// engine answers nothing, even while run waits. Each link has one goroutine that runs it.
func (r *Remote) watch(l *linkSink) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	looks := link.NewRounds()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		if looks.Late(now, sweepInterval) {
			continue
		}
		for more := true; more; {
			var late *join
			late, more = r.table.overdue(now)
			tell(late, errNoAck)
		}
		if r.table.stuck(now) {
			l.Lost(errNoAck)
		}
	}
}

// change calls do, which subscribes or unsubscribes, unless names is empty.
func (r *Remote) change(l *linkSink, do func(context.Context, []string) error, names []string) error {
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := link.Within(l.ctx, SubscribeTimeout)
	defer cancel()
	err := do(ctx, names)
	if err != nil && l.ctx.Err() != nil { // the call failed because the link is lost
		return context.Cause(l.ctx)
	}
	return err
}

// giveUp ends a link that is no longer used.
func (r *Remote) giveUp(l *linkSink, cause error) {
	r.up.Store(false)
	r.opened.Store(nil)
	l.Lost(cause) // a Publish that is under way returns
	r.use(nil)
	l.link.Close()
	for _, c := range r.table.linkLost() {
		tell(c.first, ErrDown)
	}
}
