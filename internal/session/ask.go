package session

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"wsify/auth"
	"wsify/internal/lastread"
)

// timeoutSpread is within how long calls end that timed out at once, as those do that
// began at once: all workers would turn to their clients and to the next calls in the
// same moment, and everybody else would wait for that.
const timeoutSpread = 50 * time.Millisecond

// askPatiently asks the authorizer about what a connection waits with. That this
// process has no descriptor says nothing about the authorizer: an open client waits on,
// unread, until there is one or it is gone.
func (n *Node) askPatiently(call *auth.Call, about event, gone *atomic.Bool) auth.Decision {
	if about != eventConnect && n.starvedBefore(call.Deadline) {
		call.Deadline = n.decisionDue()
	}
	for {
		d, result := n.askTimed(call, about)
		if result != auth.ResultNoDescriptor {
			return d
		}
		now := time.Now()
		n.starved.Store(&now)
		n.faults.Warn("no descriptor for a question to the authorizer: the session waits; raise the file limit or add nodes")
		if about == eventConnect || gone.Load() {
			return d
		}
		call.Deadline = n.decisionDue()
	}
}

// starvedBefore reports whether a deadline has passed that calls without a descriptor
// may have used up.
func (n *Node) starvedBefore(due time.Time) bool {
	last := n.starved.Load()
	return last != nil && time.Now().After(due) && last.After(due.Add(-n.cfg.AuthorizerTimeout))
}

// askTimed asks the authorizer, and counts the call and how long it took. A call whose
// deadline passed before its turn came is not made, unless that was found late: then
// the process may have stood still, and the authorizer has had no chance.
func (n *Node) askTimed(call *auth.Call, about event) (auth.Decision, auth.Result) {
	if lastread.Late(call.Deadline) && !n.availability.down.Load() {
		call.Deadline = lastread.Extended(call.Deadline, n.cfg.AuthorizerTimeout)
	}
	n.inFlight.Add(1)
	began := time.Now()
	d, cause := n.auth.Ask(call)
	n.times.Asked(time.Since(began))
	n.inFlight.Add(-1)
	result := auth.ResultOf(d, cause)
	n.authorizer[about.index()][result].Add(1)
	if cause != nil {
		n.log.Debug("authorizer", "conn", call.Connection, "command", eventList[about.index()], "decision", d.String(), "cause", cause)
	}
	switch result {
	case auth.ResultBusy, auth.ResultClosed, auth.ResultNoDescriptor: // it was not asked
	default:
		n.noteAvailability(d == auth.Down, cause)
	}
	if status, ok := cause.(*auth.StatusError); ok && status.Status == http.StatusBadRequest {
		n.availability.doubt.Do(func() { go n.noteDoubt(cause) })
	}
	if result == auth.ResultTimeout {
		time.Sleep(rand.N(timeoutSpread))
	}
	return d, result
}

// availability is whether the authorizer answers, as the last call found.
type availability struct {
	down  atomic.Bool
	doubt sync.Once  // of the first 400: it may not be from the webhook
	mu    sync.Mutex // a leaf lock, taken when down changes
	said  bool       // guarded by mu; the log says that it is down
	when  time.Time  // guarded by mu; when the log last said so
}

// downEvery is how often the log may say that the authorizer is down, should it come
// and go with each call.
const downEvery = 10 * time.Second

// noteAvailability logs when the authorizer goes down and when it is back. cause is
// that of a call that found it down.
func (n *Node) noteAvailability(down bool, cause error) {
	a := &n.availability
	if a.down.Load() == down || !a.changes(down) {
		return
	}
	if down {
		why := []any{"cause", cause}
		if hint := n.auth.Hint(cause); hint != "" {
			why = append(why, "hint", hint)
		}
		n.log.Warn("the authorizer is down: commands end connections with 1013, upgrades get 503", why...)
	} else {
		n.log.Info("the authorizer is back")
	}
}

// noteDoubt logs when a 400 was from a server that took the question for no request.
func (n *Node) noteDoubt(cause error) {
	if hint := n.auth.Hint(cause); hint != "" {
		n.log.Warn("the authorizer does not accept the request, so everything is denied", "cause", cause, "hint", hint)
	}
}

// changes notes that the authorizer is down, or is back, and reports whether that is
// to be said.
func (a *availability) changes(down bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down.Swap(down) == down {
		return false
	}
	was := a.said
	a.said = down && time.Since(a.when) >= downEvery
	if a.said {
		a.when = time.Now()
	}
	return a.said || was && !down
}
