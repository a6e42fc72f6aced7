package auth

import (
	"time"

	"github.com/valyala/fasthttp"
)

// transport sends one request and reads one answer on a connection of the pool. It replaces
// fasthttp's own for three reasons: it checks an idle connection before it writes, it retries only
// if no byte of an answer had come, and it reads the answer with receive.
type transport dialer

var _ fasthttp.RoundTripper = (*transport)(nil)

// RoundTrip returns a *CallError, and never asks fasthttp to retry. It returns by the request's
// timeout.
func (t *transport) RoundTrip(host *fasthttp.HostClient, req *fasthttp.Request, resp *fasthttp.Response) (retry bool, err error) {
	deadline := time.Now().Add(req.GetTimeOut())
	conn, err := host.AcquireConn(req.GetTimeOut(), false)
	if err != nil {
		return false, notAcquired(err)
	}
	keep := false
	defer func() { // also when fasthttp panics: the pool counts connections
		if keep {
			host.ReleaseConn(conn)
		} else {
			host.CloseConn(conn)
		}
	}()

	l := conn.Conn().(*link)
	reused := !conn.LastUseTime().IsZero()
	if reused && l.stale() {
		if err := l.open(deadline); err != nil {
			return false, err
		}
		reused = false
	}
	keep, err = l.try(host, req, resp, deadline)
	if err != nil && reused && l.hungUp() {
		if err := l.open(deadline); err != nil {
			return false, err
		}
		keep, err = l.try(host, req, resp, deadline)
	}
	return false, err
}

// notAcquired classifies an error of AcquireConn: errors of the dialer pass, others mean that no
// connection became free.
func notAcquired(err error) error {
	if err == fasthttp.ErrTimeout || err == fasthttp.ErrNoFreeConns {
		return errBusy
	}
	return failure(err)
}

// hungUp reports whether the other end closed the connection without a byte of an answer.
func (l *link) hungUp() bool {
	return l.received == 0 && l.lost != nil && !timedOut(l.lost)
}

// try sends req and reads the answer into resp. keep says that the
// connection may serve again.
func (l *link) try(host *fasthttp.HostClient, req *fasthttp.Request, resp *fasthttp.Response, deadline time.Time) (keep bool, err error) {
	if err := l.begin(deadline); err != nil {
		return false, l.explain(err, deadline)
	}
	sent := l.send(host, req)
	if timedOut(sent) {
		return false, l.explain(sent, deadline)
	}
	// A webhook may answer and close before it has read a long body: the answer counts although
	// sending failed.
	clean, err := l.receive(host, resp, deadline)
	if err != nil {
		return false, l.explain(err, deadline)
	}
	return sent == nil && clean && !resp.ConnectionClose(), nil
}

func (l *link) send(host *fasthttp.HostClient, req *fasthttp.Request) error {
	w := host.AcquireWriter(l)
	defer host.ReleaseWriter(w)
	if err := req.Write(w); err != nil {
		return err
	}
	return w.Flush()
}

// explain classifies a failed try. Errors of the connection take precedence over those of the
// parser.
func (l *link) explain(err error, deadline time.Time) error {
	switch {
	case timedOut(err) || timedOut(l.lost) || !time.Now().Before(deadline):
		return errTimeout
	case l.lost != nil:
		return &CallError{Result: ResultReset, Err: l.lost}
	default:
		return &CallError{Result: ResultMalformed, Err: err}
	}
}
