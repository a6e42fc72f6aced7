package server

import (
	"errors"
	"time"

	"wsify/broker"
	"wsify/internal/lastread"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// drainSlice is how many connections a loop closes in one turn of the shutdown.
const drainSlice = 256

// Shutdown stops accepting, answers HTTP requests under way, closes every session
// with 1012 so that clients reconnect, and ends within Config.DrainTimeout. It may
// be called more than once; later calls do nothing.
func (srv *Server) Shutdown() error {
	var err error
	srv.stopOnce.Do(func() { err = srv.shutdown() })
	return err
}

func (srv *Server) shutdown() error {
	began := time.Now()
	srv.log.Info("shutting down", "connections", srv.group.Connections(), "timeout", srv.cfg.DrainTimeout.String())
	srv.draining.Store(true)
	close(srv.stopping)
	srv.group.StopListening()
	srv.finishRequests(srv.left(began) / 2) // first, as what they publish is to be heard
	for _, l := range srv.loops {
		l.net.Post(func() { l.drainAll(time.Now().Add(srv.left(began) / 2)) })
	}
	left := srv.awaitEmpty(began)
	srv.stopWorkers(began)
	err := errors.Join(srv.broker.Close(), srv.group.Stop())
	if srv.auth != nil {
		srv.auth.Close()
	}
	srv.admin.stop()
	st := srv.Stats()
	srv.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond).String(), "cut_off", left,
		"accepted", st.Accepted, "sent", st.Sent, "dropped", st.Dropped, "closed", st.Closed)
	return err
}

// drainRead is how long the body of a publication may take to arrive once the shutdown
// has begun.
const drainRead = 2 * time.Second

// finishRequests waits until the publications that backends have begun are answered, as
// far as the timeout goes. No further one begins.
func (srv *Server) finishRequests(timeout time.Duration) {
	hurried := make(chan struct{}, len(srv.loops))
	for _, l := range srv.loops {
		l.net.Post(func() {
			l.hurryRequests()
			hurried <- struct{}{}
		})
	}
	over := time.After(timeout)
	for range srv.loops {
		select {
		case <-hurried:
		case <-over:
			return
		}
	}
	check := time.NewTicker(10 * time.Millisecond)
	defer check.Stop()
	for srv.requestsUnderWay() > 0 {
		select {
		case <-check.C:
		case <-over:
			return
		}
	}
}

func (srv *Server) requestsUnderWay() (n int64) {
	for _, l := range srv.loops {
		n += l.underWay.Load()
	}
	return n
}

// hurryRequests gives bodies that are on their way less time.
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

// stopWorkers waits for calls to the authorizer that are under way, as far as the
// drain timeout goes: nobody waits for their answers any more, and each ends by its
// own timeout.
func (srv *Server) stopWorkers(began time.Time) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		srv.workers.Stop()
	}()
	lastread.Receive(stopped, srv.left(began))
}

// left is how much of the drain timeout remains.
func (srv *Server) left(began time.Time) time.Duration {
	return max(srv.cfg.DrainTimeout-time.Since(began), 0)
}

// awaitEmpty waits until every connection has ended, or the drain timeout has
// passed, and returns how many are left.
func (srv *Server) awaitEmpty(began time.Time) int64 {
	check := time.NewTicker(10 * time.Millisecond)
	defer check.Stop()
	for srv.group.Connections() > 0 && srv.left(began) > 0 {
		<-check.C
	}
	return srv.group.Connections()
}

// drainAll closes the sessions of this loop, a slice in each turn, once what was
// published before has been delivered, or the time for that is over.
func (l *loop) drainAll(deliverUntil time.Time) {
	if l.hub.Take() > 0 && time.Now().Before(deliverUntil) {
		l.net.Post(func() { l.drainAll(deliverUntil) })
		return
	}
	var ids []uint64
	l.net.Each(func(c *netpoll.Conn) { ids = append(ids, c.ID()) })
	l.drainSome(ids)
}

func (l *loop) drainSome(ids []uint64) {
	n := min(len(ids), drainSlice)
	for _, id := range ids[:n] {
		if c := l.net.Conn(id); c != nil && c.Open() {
			l.drainOne(c)
		}
	}
	if len(ids) > n {
		l.net.Post(func() { l.drainSome(ids[n:]) })
	}
}

func (l *loop) drainOne(c *netpoll.Conn) {
	switch s := l.session(c); s.state {
	case handshaking, connecting:
		l.refuseFor(c, s, reasonShutdown, rejectShutdown, 503, retryAfter(), "This node is shutting down.\n")
	case receiving:
		l.turnDown(c, s, refusal{unpublishedShutdown, 503, retryAfter(), "this node is shutting down"})
	case publishing:
		l.lost(c, s, manner{}, dropBroker, "5", broker.ErrUnknown.Error())
	case kept:
		l.endQuietly(c, s, reasonShutdown)
	default:
		l.end(c, s, reasonShutdown, wire.ServiceRestart, "this node restarts, reconnect")
	}
}
