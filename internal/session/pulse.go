package session

import (
	"sync"
	"time"
)

// pulse is a question to a loop whether it is alive. At most one is under way, so a
// loop that is stuck is not sent more and more of them.
type pulse struct {
	mu     sync.Mutex    // a leaf lock
	answer chan struct{} // closed by the loop; nil while nothing is asked; guarded by mu
}

// AskLoop asks a loop for a sign of life, unless that is under way, and returns
// what is closed when it comes. On a loop that has ended it never is.
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
