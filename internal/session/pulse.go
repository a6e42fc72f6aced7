package session

import (
	"sync"
	"time"
)

// pulse is a check whether a loop is alive. At most one is in progress, so that checks
// do not pile up on a loop that hangs.
type pulse struct {
	mu     sync.Mutex    // a leaf lock
	answer chan struct{} // closed by the loop; nil while no check is in progress; guarded by mu
}

// AskLoop starts a check whether a loop is alive, unless one is in progress. It returns
// a chan that the loop closes. A loop that has ended never closes it.
func (n *Node) AskLoop(i int) <-chan struct{} { return n.loops[i].askPulse() }

func (l *loop) askPulse() <-chan struct{} {
	l.pulse.mu.Lock()
	answer, asked := l.pulse.answer, l.pulse.answer != nil
	if !asked {
		answer = make(chan struct{})
		l.pulse.answer = answer
	}
	l.pulse.mu.Unlock()
	if asked {
		return answer
	}
	began := time.Now()
	l.net.Post(func() {
		l.node.times.Lagged(time.Since(began))
		l.pulse.mu.Lock()
		l.pulse.answer = nil
		l.pulse.mu.Unlock()
		close(answer)
	})
	return answer
}
