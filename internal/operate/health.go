package operate

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"wsify/internal/lastread"
)

// aliveTimeout is how long an event loop may take to show that it is alive. It is
// far more than a loop under load takes: a node that is slow is not to be killed.
const aliveTimeout = 5 * time.Second

// healthz answers whether the process works: that it does at all, and that each
// event loop does what is posted to it. It fails slowly, as what fails is killed.
func (a *Admin) healthz(w http.ResponseWriter, r *http.Request) {
	if late := a.late(r.Context().Done()); len(late) > 0 {
		say(w, http.StatusServiceUnavailable, strings.Join(late, "\n")+"\n")
		return
	}
	say(w, http.StatusOK, "ok\n")
}

// late names the event loops that do not answer in time. All are asked at once.
// done ends the waiting.
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
			last = true // a last look: the whole process may have stood still
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

// readyz answers whether this node should be sent clients, and if not, why, a reason
// on each line. It waits for nothing.
func (a *Admin) readyz(w http.ResponseWriter, _ *http.Request) {
	if why := a.source.NotReady(); len(why) > 0 {
		say(w, http.StatusServiceUnavailable, strings.Join(why, "\n")+"\n")
		return
	}
	say(w, http.StatusOK, "ok\n")
}
