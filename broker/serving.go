package broker

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"wsify/broker/internal/link"
)

// How patient a Remote is.
const (
	sweepInterval = 500 * time.Millisecond // between two looks at what is due
	closeTimeout  = 2 * time.Second        // to publish what waits when the broker is closed

	backoffFirst = 100 * time.Millisecond // the first pause between attempts to open a link; it doubles
	backoffLast  = 5 * time.Second        // the longest
	steadyAfter  = 10 * time.Second       // a link that was up for so long starts the pauses anew
	sayAgain     = time.Minute            // between two records of the same trouble with opening one
)

var errNoAck = errors.New("the engine does not confirm subscriptions")

// run holds a link to the engine until the broker is closed.
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

// backoff is the pause after so many attempts: twice as long each time, and at
// random between nothing and all of it, so that nodes do not come back all at once.
func backoff(attempt int) time.Duration {
	longest := min(backoffFirst<<min(attempt, 16), backoffLast)
	return time.Duration(rand.Int64N(int64(longest)) + int64(time.Millisecond))
}

// open tries to open a link until it succeeds, and returns nil when the broker is
// closed. What is wrong is logged when it changes, and again once a minute.
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

// serve makes a link useful until it is lost, and returns why it was. Subscriptions
// go out in batches, one behind the other; between two there is a look at all else,
// so that neither many joins nor many leaves keep the rest waiting.
func (r *Remote) serve(l *linkSink) error {
	began := time.Now()
	owed := r.table.opened(began)
	r.counts.opened.Add(1)
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	r.running.Go(func() { r.watch(l) })
	var tick time.Time // when the sweep that is under way began
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

// use makes l what is published with; with nil, the node is down.
func (r *Remote) use(l *linkSink) {
	r.using.Lock()
	defer r.using.Unlock()
	r.current = l
	r.up.Store(l != nil)
}

// watch is one goroutine for each link: it answers joins that waited too long for a subscription, and
// gives up a link on which nothing is answered, whatever run waits for.
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

// change subscribes to channels, or unsubscribes.
func (r *Remote) change(l *linkSink, do func(context.Context, []string) error, names []string) error {
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := link.Within(l.ctx, SubscribeTimeout)
	defer cancel()
	err := do(ctx, names)
	if err != nil && l.ctx.Err() != nil { // that is why
		return context.Cause(l.ctx)
	}
	return err
}

// giveUp ends a link that is of no use.
func (r *Remote) giveUp(l *linkSink, cause error) {
	r.up.Store(false)
	l.Lost(cause) // what is published with it returns
	r.use(nil)
	l.link.Close()
	for _, c := range r.table.linkLost() {
		tell(c.first, ErrDown)
	}
}
