package operate

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"wsify/internal/operate/live"
)

// Bounds on what is shown of channels, with -admin-channels.
const (
	listLength   = 10     // channels of a list
	maxShownName = 128    // bytes; the rest of a longer name is cut off
	sketchSize   = 64     // channels that are counted
	noteTarget   = 1000   // publications that are noted in an interval, about
	noteMost     = 2000   // and at most
	fade         = 0.9    // what counts of the intervals before, in each interval: the last ten seconds weigh most
	censusSlice  = 20_000 // channels that are looked at in an interval
	everything   = 1<<32 - 1
)

// busiest estimates which channels have the most publications: a space-saving sketch (Metwally,
// Agrawal, El Abbadi 2005) of sampled publications, which fade. Event loops call note; they never
// wait for it.
type busiest struct {
	share atomic.Uint32 // of 1<<32: the publications that are noted

	mu     sync.Mutex // a leaf lock
	of     map[string]*counted
	left   int     // publications that may still be noted in this interval
	noted  float64 // publications of this interval, those that were not sampled included
	weight float64 // of all intervals, as they have faded
}

// counted is an estimate for one channel: it had more than n-over publications, and at most n.
type counted struct{ n, over float64 }

func newBusiest() *busiest {
	b := &busiest{of: make(map[string]*counted, sketchSize)}
	b.share.Store(everything)
	return b
}

// note counts a publication, if it is sampled. It reports false when no more are to be noted in
// this interval.
func (b *busiest) note(channel []byte) (more bool) {
	share := b.share.Load()
	if rand.Uint32() > share || !b.mu.TryLock() {
		return true
	}
	defer b.mu.Unlock()
	if b.left == 0 {
		return false
	}
	b.left--
	n := everything / float64(share)
	b.noted += n
	c := b.of[string(channel)]
	if c == nil {
		c = b.enterLocked(string(channel))
	}
	c.n += n
	return true
}

// enterLocked makes room for a channel: it takes the place of the one with the least, and its count
// as the error.
func (b *busiest) enterLocked(channel string) *counted {
	c := &counted{}
	if len(b.of) == sketchSize {
		least := ""
		for name, other := range b.of {
			if least == "" || other.n < b.of[least].n {
				least = name
			}
		}
		c.n, c.over = b.of[least].n, b.of[least].n
		delete(b.of, least)
	}
	b.of[channel] = c
	return c
}

// interval ends an interval and begins the next, in which publications are noted if wanted. It
// returns the channels with the most publications a second.
func (b *busiest) interval(wanted bool) (top []live.Channel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.weight = b.weight*fade + 1
	for name, c := range b.of {
		rate := (c.n - c.over) / b.weight / sampleInterval.Seconds()
		top = insert(top, name, math.Round(10*rate)/10)
		c.n, c.over = c.n*fade, c.over*fade
		if c.n < .5 || !wanted {
			delete(b.of, name)
		}
	}
	share := everything * min(1, noteTarget/max(b.noted, 1))
	b.noted, b.left = 0, noteMost
	if !wanted {
		share, b.left, b.weight = everything, 0, 0
	}
	b.share.Store(uint32(share))
	return top
}

// insert puts a channel into a list of those with the largest values.
func insert(top []live.Channel, name string, value float64) []live.Channel {
	if value <= 0 || len(top) == listLength && value <= top[listLength-1].Value {
		return top
	}
	if len(name) > maxShownName {
		name = strings.ToValidUTF8(name[:maxShownName], "") + "…"
	}
	at, _ := slices.BinarySearchFunc(top, value, func(c live.Channel, v float64) int {
		if c.Value >= v {
			return -1
		}
		return 1
	})
	top = slices.Insert(top, at, live.Channel{Name: name, Value: value})
	return top[:min(len(top), listLength)]
}

// census finds the channels with the most members. It looks at some in each interval, so with
// millions of channels it takes minutes to see all. It belongs to the sampler's goroutine.
type census struct {
	next func() (name string, members int, ok bool) // nil between two rounds
	stop func()
	best []live.Channel // of this round
	last []live.Channel // of the round before
}

// advance goes on, and returns what it has found.
func (c *census) advance(source Source) []live.Channel {
	for range censusSlice {
		if c.next == nil {
			c.next, c.stop = iter.Pull2(source.EachChannel)
		}
		name, members, ok := c.next()
		if !ok {
			c.end()
			c.last, c.best = c.best, nil
			break
		}
		c.best = insert(c.best, name, float64(members))
	}
	if c.last == nil {
		return c.best
	}
	return c.last
}

// end ends the round.
func (c *census) end() {
	if c.next != nil {
		c.stop()
		c.next, c.stop = nil, nil
	}
}
