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
	sayAgain     = time.Minute            // between two records of the same trouble
)

var errNoAck = errors.New("the engine does not confirm subscriptions")

// run holds a link to the engine until the broker is closed.
func (r *Remote) run() {
	for attempt := 0; r.ctx.Err() == nil; attempt++ {
		l := r.open()
		if l == nil {
			return
		}
		began := time.Now()
		cause := r.serve(l)
		r.giveUp(l, cause)
		if r.ctx.Err() != nil {
			return
		}
		r.table.renewAll()
		steady := time.Since(began) > steadyAfter
		r.log.Warn("the broker is lost; clients stay, publications are refused until it is back", "cause", cause, "was_up", time.Since(began).Round(time.Millisecond).String())
		if steady {
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
		l := &linkSink{r: r, gone: make(chan struct{})}
		l.ctx, l.cancel = context.WithCancel(r.ctx)
		ctx, cancel := context.WithTimeout(l.ctx, OpenTimeout)
		began := time.Now()
		opened, most, err := r.engine.Open(ctx, l)
		cancel()
		if err == nil {
			l.link = opened
			r.most.Store(int64(most))
			r.log.Info("the broker is connected", "took", time.Since(began).Round(time.Millisecond).String(), "attempts", attempt+1)
			return l
		}
		l.cancel()
		if r.ctx.Err() != nil {
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

// serve makes a link useful until it is lost, and returns why it was. Subscriptions
// go out in batches, one behind the other; between two there is a look at all else,
// so that neither many joins nor many leaves keep the rest waiting.
func (r *Remote) serve(l *linkSink) error {
	began := time.Now()
	owed := r.table.opened(began)
	r.counts.opened.Add(1)
	r.using.Lock()
	r.current = l
	r.using.Unlock()
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	looks := link.NewRounds()
	var tick time.Time // when the sweep that is under way began
	for asking, sweeping := false, false; ; {
		var err error
		if sweeping {
			sweeping, err = r.end(l, tick)
		}
		if err == nil {
			asking, err = r.ask(l)
		}
		if err != nil {
			return err
		}
		if !r.up.Load() && r.table.settled(time.Now()) {
			r.up.Store(true)
			r.log.Info("the broker is up", "subscriptions", owed, "took", time.Since(began).Round(time.Millisecond).String())
		}
		if asking || sweeping {
			r.wake()
		}
		select {
		case <-l.gone:
			return l.reason
		case <-r.ctx.Done():
			return ErrClosed
		case <-r.news:
		case tick = <-sweep.C:
			sweeping = true
			if now := time.Now(); !looks.Late(now, sweepInterval) && r.table.stuck(now) {
				return errNoAck
			}
		}
	}
}

// ask subscribes to a batch of what is wanted. It reports whether there is more.
func (r *Remote) ask(l *linkSink) (more bool, err error) {
	names, more := r.table.take(time.Now())
	return more, r.change(l, l.link.Subscribe, names)
}

// end ends a batch of subscriptions that nobody wants, and puts back what rested.
// It reports whether there may be more in the sweep that began at tick.
func (r *Remote) end(l *linkSink, tick time.Time) (more bool, err error) {
	names, more := r.table.sweep(tick)
	return more, r.change(l, l.link.Unsubscribe, names)
}

// awaiting is one goroutine that tells who waited too long for a subscription,
// whatever the engine holds up.
func (r *Remote) awaiting() {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	looks := link.NewRounds()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			for more := !looks.Late(now, sweepInterval); more; {
				var late *join
				late, more = r.table.overdue(now)
				tell(late, errNoAck)
			}
		}
	}
}

// change subscribes to channels, or unsubscribes, under their names at the engine.
func (r *Remote) change(l *linkSink, do func(context.Context, []string) error, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if r.cfg.Prefix != "" {
		for i := range names {
			names[i] = r.cfg.Prefix + names[i]
		}
	}
	ctx, cancel := link.Within(l.ctx, SubscribeTimeout)
	defer cancel()
	err := do(ctx, names)
	if err == nil {
		return nil
	}
	select {
	case <-l.gone: // that is why
		return l.reason
	default:
		return err
	}
}

// giveUp ends a link that is of no use.
func (r *Remote) giveUp(l *linkSink, cause error) {
	r.up.Store(false)
	l.Lost(cause) // what is published with it returns
	r.using.Lock()
	r.current = nil
	r.using.Unlock()
	l.link.Close()
	for _, c := range r.table.linkLost() {
		tell(c.first, ErrDown)
	}
}
