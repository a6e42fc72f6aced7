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
func (n *Node) askPatiently(call *auth.Call, about event, gone *atomic.Bool) (auth.Decision, *auth.Answer) {
	if about != eventConnect && n.starvedBefore(call.Deadline) {
		call.Deadline = n.decisionDue()
	}
	for {
		d, answer, result := n.askTimed(call, about)
		if result != auth.ResultNoDescriptor {
			return d, answer
		}
		now := time.Now()
		n.starved.Store(&now)
		n.faults.Warn("no descriptor for a question to the authorizer: the session waits; raise the file limit or add nodes")
		if about == eventConnect || gone.Load() {
			return d, answer
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
func (n *Node) askTimed(call *auth.Call, about event) (auth.Decision, *auth.Answer, auth.Result) {
	if lastread.Late(call.Deadline) && n.availability.failures.Load() == 0 {
		call.Deadline = lastread.Extended(call.Deadline, n.cfg.AuthorizerTimeout)
	}
	n.inFlight.Add(1)
	began := time.Now()
	d, answer, cause := n.auth.Consult(call)
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
	n.noteIgnored(answer)
	if result == auth.ResultTimeout {
		time.Sleep(rand.N(timeoutSpread))
	}
	return d, answer, result
}

// availability records how the last calls to the authorizer ended.
type availability struct {
	failures atomic.Int32 // in a row, up to downAfter
	doubt    sync.Once    // for the first 400, which may not come from the webhook
	mu       sync.Mutex   // a leaf lock, taken when failures changes
	said     bool         // guarded by mu; the last line in the log says that it is down
	when     time.Time    // guarded by mu; time of that line
}

// downAfter is how many calls in a row fail until the log says that the authorizer is down. One
// may fail at a restart of the webhook.
const downAfter = 2

// downEvery is the least time between two log lines that say that the authorizer is down:
// its state may change with each call.
const downEvery = 10 * time.Second

// noteAvailability logs when a call fails, when the authorizer goes down and when it is back.
// cause is the error of a call that failed.
func (n *Node) noteAvailability(failed bool, cause error) {
	switch n.availability.note(failed) {
	case failedOnce:
		n.faults.Warn("a call to the authorizer failed: its client got 1013, or 503 for an upgrade", "cause", cause)
	case wentDown:
		why := []any{"cause", cause}
		if hint := n.auth.Hint(cause); hint != "" {
			why = append(why, "hint", hint)
		}
		n.log.Warn("the authorizer is down: commands end connections with 1013, upgrades get 503", why...)
	case cameBack:
		n.log.Info("the authorizer is back")
	}
}

// noteDoubt logs a 400 if it comes from a server that refused the HTTP request itself.
func (n *Node) noteDoubt(cause error) {
	if hint := n.auth.Hint(cause); hint != "" {
		n.log.Warn("the authorizer does not accept the request, so everything is denied", "cause", cause, "hint", hint)
	}
}

// outcome is what a call changes that the log should tell.
type outcome uint8

const (
	nothingNew outcome = iota
	failedOnce
	wentDown
	cameBack
)

// note records how a call ended.
func (a *availability) note(failed bool) outcome {
	if was := a.failures.Load(); failed && was == downAfter || !failed && was == 0 {
		return nothingNew
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	was := a.failures.Load()
	switch {
	case !failed && a.said:
		a.failures.Store(0)
		a.said = false
		return cameBack
	case !failed:
		a.failures.Store(0)
	case was == downAfter:
	case was+1 < downAfter:
		a.failures.Store(was + 1)
		return failedOnce
	default:
		a.failures.Store(downAfter)
		if time.Since(a.when) >= downEvery {
			a.said, a.when = true, time.Now()
			return wentDown
		}
	}
	return nothingNew
}
