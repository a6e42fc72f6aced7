package session

import (
	"context"
	"errors"
	"time"

	"wsify/internal/lastread"
	"wsify/internal/publish"
	"wsify/netpoll"
)

// Shutdown stops accepting, answers HTTP requests in progress, closes every session with
// 1012 so that clients reconnect, and closes the broker, all within timeout. It paces the
// closing as Drain does. The last third of the time is for lifecycle events. It returns how many connections were cut off. It must be called at
// most once.
func (n *Node) Shutdown(timeout time.Duration) (cutOff int64, err error) {
	end := time.Now().Add(timeout)
	due := end.Add(-n.timeForEvents(timeout))
	n.beginShutdown()
	n.group.StopListening()
	n.finishRequests(left(due) / 2) // first, so that sessions still receive what these publish
	ctx, cancel := context.WithDeadline(context.Background(), due)
	defer cancel()
	n.tellAll(ctx, 0, (*loop).others)
	n.tellAll(ctx, pacedOver(left(due)), (*loop).clients)
	n.tellAll(ctx, 0, (*loop).everyone) // also those that were on their way from one loop to another
	cutOff = n.awaitEmpty(due)
	n.stopWorkers(due)
	err = errors.Join(n.broker.Close(), n.group.Stop())
	if n.auth != nil {
		n.auth.Close()
	}
	n.lifecycle.Stop(end)
	return cutOff, err
}

// beginShutdown refuses new clients and publications, and takes over from a Drain.
func (n *Node) beginShutdown() {
	n.drains.Lock()
	defer n.drains.Unlock()
	if n.endDrain != nil {
		n.endDrain()
		n.endDrain = nil
	}
	n.draining.Store(true)
	close(n.stopping)
}

// Draining reports whether the node refuses new clients: it is drained, or the shutdown has
// begun.
func (n *Node) Draining() bool { return n.draining.Load() }

// stopped reports whether the shutdown has begun.
func (n *Node) stopped() bool {
	select {
	case <-n.stopping:
		return true
	default:
		return false
	}
}

// goingAway is the body of a refusal while clients are refused.
const goingAway = "This node takes no clients now.\n"

// left is how much time remains until due.
func left(due time.Time) time.Duration { return max(time.Until(due), 0) }

// drainRead is how long the body of a publication may take to arrive once the shutdown
// has begun.
const drainRead = 2 * time.Second

// finishRequests waits until the publications of backends in progress are answered, at
// most for timeout. No further one begins.
func (n *Node) finishRequests(timeout time.Duration) {
	hurried := make(chan struct{}, len(n.loops))
	for _, l := range n.loops {
		l.net.Post(func() {
			l.hurryRequests()
			hurried <- struct{}{}
		})
	}
	over := time.After(timeout)
	for range n.loops {
		select {
		case <-hurried:
		case <-over:
			return
		}
	}
	check := time.NewTicker(10 * time.Millisecond)
	defer check.Stop()
	for n.requestsUnderWay() > 0 {
		select {
		case <-check.C:
		case <-over:
			return
		}
	}
}

func (n *Node) requestsUnderWay() (sum int64) {
	for _, l := range n.loops {
		sum += l.underWay.Load()
	}
	return sum
}

// hurryRequests shortens the deadline of bodies that are still arriving.
func (l *loop) hurryRequests() {
	if l.underWay.Load() == 0 {
		return
	}
	l.net.Each(func(c *netpoll.Conn) {
		if l.session(c).state == receiving {
			c.SetDeadline(drainRead)
		}
	})
}

// stopWorkers waits for the calls to the authorizer in progress, at most until due. No
// session waits for their answers any more, and each call ends by its own timeout.
func (n *Node) stopWorkers(due time.Time) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		n.workers.Stop()
	}()
	lastread.Receive(stopped, left(due))
}

// awaitEmpty waits until every connection has ended, or the drain timeout has
// passed, and returns how many are left.
func (n *Node) awaitEmpty(due time.Time) int64 {
	check := time.NewTicker(10 * time.Millisecond)
	defer check.Stop()
	for n.group.Connections() > 0 && left(due) > 0 {
		<-check.C
	}
	return n.group.Connections()
}

// drainOne tells the peer of a connection that this node goes away.
func (l *loop) drainOne(c *netpoll.Conn) {
	switch s := l.session(c); s.state {
	case handshaking, connecting:
		l.refuseFor(c, s, reasonShutdown, rejectShutdown, 503, publish.RetryAfter(), goingAway)
	case receiving:
		l.turnDown(c, s, publish.Draining())
	case publishing:
		l.unknown(c, s)
	case kept, introducing:
		l.endQuietly(c, s, reasonShutdown)
	default:
		l.restart(c, s)
	}
}
