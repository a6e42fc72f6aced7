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

// timeoutSpread bounds the random delay after a timeout. Calls that began together also
// time out together. Without the delay, all workers would go on with clients and next
// calls in the same moment, and delay everything else.
const timeoutSpread = 50 * time.Millisecond

// askPatiently asks the authorizer about an upgrade or a command. A lack of descriptors in
// this process says nothing about the authorizer. An open session then waits, unread, until
// a descriptor is free or the client disconnects.
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

// starvedBefore reports whether the deadline due has passed and failed calls without a
// descriptor may have used up the time before it.
func (n *Node) starvedBefore(due time.Time) bool {
	last := n.starved.Load()
	return last != nil && time.Now().After(due) && last.After(due.Add(-n.cfg.AuthorizerTimeout))
}

// askTimed asks the authorizer, counts the call and measures its duration. A call whose
// deadline passed in the queue is not made, unless that is noticed late: the process may
// have been stopped, which is not the authorizer's fault.
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
	case auth.ResultBusy, auth.ResultClosed, auth.ResultNoDescriptor: // no call was made
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

// availability records whether the authorizer answered the last call.
type availability struct {
	down  atomic.Bool
	doubt sync.Once  // for the first 400, which may not come from the webhook
	mu    sync.Mutex // a leaf lock, taken when down changes
	said  bool       // guarded by mu; the last line in the log says that it is down
	when  time.Time  // guarded by mu; time of that line
}

// downEvery is the least time between two log lines that say that the authorizer is down:
// its state may change with each call.
const downEvery = 10 * time.Second

// noteAvailability logs when the authorizer goes down and when it is back. cause is the
// error of the call, if the authorizer is down.
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

// noteDoubt logs a 400 if it comes from a server that refused the HTTP request itself.
func (n *Node) noteDoubt(cause error) {
	if hint := n.auth.Hint(cause); hint != "" {
		n.log.Warn("the authorizer does not accept the request, so everything is denied", "cause", cause, "hint", hint)
	}
}

// changes records that the authorizer is down, or is back, and reports whether to log
// that.
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
