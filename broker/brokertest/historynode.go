package brokertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"wsify/broker"
)

// Read returns what ReadHistory reads.
func (n *Node) Read(channel string, after broker.Position, last int) broker.Page {
	n.T.Helper()
	ctx, cancel := context.WithTimeout(n.T.Context(), Patience)
	defer cancel()
	page, err := n.Broker.(broker.Historian).ReadHistory(ctx, channel, after, last)
	if err != nil {
		n.T.Fatalf("ReadHistory %.40q after %q, last %d: %v", channel, after, last, err)
	}
	if page.Tail.Epoch == "" {
		n.T.Fatalf("ReadHistory %.40q after %q, last %d: there is no tail", channel, after, last)
	}
	return page
}

// Place publishes, and returns the position.
func (n *Node) Place(channel, content string) broker.Position {
	n.T.Helper()
	type outcome struct {
		r   broker.Receipt
		err error
	}
	outcomes := make(chan outcome, 1)
	pending, r, err := n.Publish([]byte(channel), []byte(content), func(r broker.Receipt, err error) { outcomes <- outcome{r, err} })
	got := outcome{r, err}
	if pending {
		select {
		case got = <-outcomes:
		case <-time.After(Patience):
			n.T.Fatalf("Publish has no outcome after %s", Patience)
		}
	}
	if got.err != nil {
		n.T.Fatalf("Publish to %.40q: %v", channel, got.err)
	}
	return got.r.Position
}

// places publishes the numbers from 1 to count, and returns their positions. That at 0 is the tail
// before.
func (n *Node) places(channel string, count int) []broker.Position {
	n.T.Helper()
	all := []broker.Position{n.Read(channel, broker.Position{}, 0).Tail}
	for i := range count {
		all = append(all, n.Place(channel, fmt.Sprint(i+1)))
	}
	return all
}

// Heard returns what was delivered to a channel.
func (n *Node) Heard(channel string) (all []broker.Entry) {
	for _, content := range n.Contents(channel) {
		var e broker.Entry
		e.Head, e.Content, _ = broker.SplitHead([]byte(content))
		all = append(all, e)
	}
	return all
}

// publishAll publishes numbers to each of several channels, without waiting for outcomes in between.
func (n *Node) publishAll(channels []string, publisher, count int) {
	var pending sync.WaitGroup
	for i := range count {
		for _, channel := range channels {
			pending.Add(1)
			note := func(r broker.Receipt, err error) {
				if err != nil || r.Position.Epoch == "" {
					n.T.Errorf("publication %d to %s: %q, %v", i, channel, r.Position, err)
				}
				pending.Done()
			}
			if later, r, err := n.Publish([]byte(channel), fmt.Appendf(nil, "%d:%d", publisher, i), note); !later {
				note(r, err)
			}
		}
	}
	pending.Wait()
}

// hears fails the test unless what is delivered to a channel is want, but for publications that may be missed.
func (n *Node) hears(channel string, want []broker.Entry, misses bool) {
	n.T.Helper()
	if !misses {
		n.Until("everything came", func() bool { return len(n.Contents(channel)) == len(want) })
	}
	next := 0
	for _, e := range n.Heard(channel) {
		if misses && e.Head.Position.Epoch != want[0].Head.Position.Epoch {
			continue // masters pass on late what was published before everything was removed
		}
		at := slices.IndexFunc(want[next:], func(w broker.Entry) bool { return w.Head.Position == e.Head.Position })
		if at < 0 || at > 0 && !misses {
			n.T.Fatalf("%q with %+v is delivered, %d of history were", e.Content, e.Head, next)
		}
		if next += at + 1; e.Head.Prev != want[next-1].Head.Prev || string(e.Content) != string(want[next-1].Content) {
			n.T.Fatalf("%q with %+v is delivered, history has %+v", e.Content, e.Head, want[next-1])
		}
	}
}
