package brokertest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"wsify/broker"
)

// Load is a publisher that publishes numbers to a channel, several at once, until End.
type Load struct {
	n        *Node
	name     string
	stop     chan struct{}
	stopped  sync.WaitGroup
	pending  sync.WaitGroup
	mu       sync.Mutex
	outcomes map[string]error // by content
}

// Load starts to publish numbers to a channel, as in "name:7". Up to 64 may be without an outcome.
func (n *Node) Load(channel, name string) *Load {
	l := &Load{n: n, name: name, stop: make(chan struct{}), outcomes: map[string]error{}}
	l.stopped.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-l.stop:
				return
			default:
			}
			l.publish(channel, fmt.Sprintf("%s:%d", name, i))
			if i%64 == 63 {
				l.pending.Wait()
			}
		}
	})
	return l
}

func (l *Load) publish(channel, content string) {
	l.pending.Add(1)
	pending, _, err := l.n.Publish([]byte(channel), []byte(content), func(_ broker.Receipt, err error) { l.note(content, err) })
	if pending {
		return
	}
	l.note(content, err)
	Until(l.n.T, "the broker takes more", func() bool {
		select {
		case <-l.stop:
			return true
		default:
			return l.n.Up()
		}
	})
}

func (l *Load) note(content string, err error) {
	defer l.pending.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.outcomes[content]; twice {
		l.n.T.Errorf("%s has two outcomes, the second is %v", content, err)
	}
	l.outcomes[content] = err
}

// End stops the publisher, and returns the outcome of each content.
func (l *Load) End() map[string]error {
	close(l.stop)
	l.stopped.Wait()
	l.pending.Wait()
	return l.outcomes
}

// CheckHeard fails the test unless the received contents of Loads are in the order of each, without
// repetition, and none of them was refused. It returns how many of those that the engine took are
// missing.
func CheckHeard(t testing.TB, heard []string, outcomes map[string]error) (missing int) {
	t.Helper()
	next, here := map[string]int{}, map[string]bool{}
	for _, content := range heard {
		err, ours := outcomes[content]
		if !ours {
			continue
		}
		name, i := number(t, content)
		switch {
		case i < next[name]:
			t.Fatalf("heard %s when %d was the next", content, next[name])
		case err != nil && !errors.Is(err, broker.ErrUnknown):
			t.Errorf("heard %s, whose outcome is %v", content, err)
		}
		next[name], here[content] = i+1, true
	}
	for content, err := range outcomes {
		if err == nil && !here[content] {
			missing++
		}
	}
	return missing
}

// number parses a content of a Load.
func number(t testing.TB, content string) (name string, i int) {
	t.Helper()
	name, digits, _ := strings.Cut(content, ":")
	i, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatalf("%q is no number of a load", content)
	}
	return name, i
}
