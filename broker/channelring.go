package broker

import (
	"slices"
	"time"
)

// kept is a publication in a ring.
type kept struct {
	content []byte // with its head; immutable
	at      time.Duration
}

func (k *kept) size() int64 { return keptSize(len(k.content)) }

// keptSize is the memory that a publication of so many bytes takes in a ring. Allocations are rounded
// up by an eighth at most.
func keptSize(content int) int64 { return int64(content) + int64(content)/8 + keptOverhead }

// emptySize is the memory that a ring without publications takes.
func emptySize(channel string) int64 { return int64(len(channel)) + ringOverhead }

// The caller of these methods holds c.mu.

func (c *channelRing) push(k kept) {
	c.last++
	c.kept = append(c.kept, k)
	c.size += k.size()
}

// drop drops the n oldest publications.
func (c *channelRing) drop(n int) {
	if n <= 0 {
		return
	}
	for i := range n {
		c.size -= c.kept[i].size()
		c.kept[i] = kept{}
	}
	if c.kept = c.kept[n:]; n > len(c.kept) {
		c.kept = slices.Clone(c.kept) // or the places of those that were dropped would stay
	}
}

// expired returns how many publications are from before an instant.
func (c *channelRing) expired(before time.Duration) int {
	n, _ := slices.BinarySearchFunc(c.kept, before, func(k kept, t time.Duration) int { return int(k.at - t) })
	return n
}

// read returns what a reader is given, of the publications that have not expired.
func (c *channelRing) read(expired int, after Position, last int) ([]kept, Page) {
	fresh := c.kept[expired:]
	tail := Position{c.epoch, c.last}
	switch missed := c.last - after.Offset; {
	case last > 0:
		return slices.Clone(fresh[max(0, len(fresh)-last):]), Page{Tail: tail, Complete: true}
	case after == Position{}:
		return nil, Page{Tail: tail, Complete: true}
	case after.Epoch != c.epoch || after.Offset > c.last || missed > uint64(len(fresh)):
		return slices.Clone(fresh), Page{Tail: tail}
	default:
		return slices.Clone(fresh[len(fresh)-int(missed):]), Page{Tail: tail, Complete: true}
	}
}
