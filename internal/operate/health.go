package operate

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"wsify/internal/lastread"
)

// aliveTimeout is how long an event loop may take to answer. It is far more than a loop under load
// needs, because a slow node must not be killed.
const aliveTimeout = 5 * time.Second

// healthz reports whether the process works, and each event loop runs posted tasks. It fails
// slowly, because a process that fails it is killed.
func (a *Admin) healthz(w http.ResponseWriter, r *http.Request) {
	if late := a.late(r.Context().Done()); len(late) > 0 {
		say(w, http.StatusServiceUnavailable, strings.Join(late, "\n")+"\n")
		return
	}
	say(w, http.StatusOK, "ok\n")
}

// late returns the event loops that do not answer in time. It asks all at once. done ends the wait.
func (a *Admin) late(done <-chan struct{}) (late []string) {
	var answers []<-chan struct{}
	for i := range a.source.Loops() {
		answers = append(answers, a.source.AskLoop(i))
	}
	due, last := time.Now().Add(a.alive), false
	over := time.NewTimer(a.alive)
	defer over.Stop()
	for waiting := answers; len(waiting) > 0; {
		select {
		case <-waiting[0]:
			waiting = waiting[1:]
		case <-done:
			waiting = nil
		case <-over.C:
			if last {
				waiting = nil
			}
			last = true // a last check, because the whole process may have been stopped
			over.Reset(time.Until(lastread.Extended(due, 0)))
		}
	}
	for i, answer := range answers {
		select {
		case <-answer:
		default:
			late = append(late, fmt.Sprintf("event loop %d has not answered in %s", i, a.alive))
		}
	}
	return late
}

// readyz reports whether this node should get clients, and if not, each reason on a line. It does
// not block.
func (a *Admin) readyz(w http.ResponseWriter, _ *http.Request) {
	if why := a.source.NotReady(); len(why) > 0 {
		say(w, http.StatusServiceUnavailable, strings.Join(why, "\n")+"\n")
		return
	}
	say(w, http.StatusOK, "ok\n")
}
