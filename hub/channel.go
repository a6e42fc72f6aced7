package hub

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"

	"wsify/internal/buffer"
)

// channel is one named destination. It exists while it has members. Everything in
// it is guarded by its shard's lock, unless a Part says otherwise.
//
// Most channels have one member, so the part of the first loop, and room for one
// member in it, are inside: such a channel is one allocation beside its name.
type channel struct {
	name    string
	members int32
	shard   uint32 // which one
	crowd   *crowd // waiters for room; nil while there are none
	// No part has more undelivered than so many bytes, of so many publications. Both
	// are counted up, and looked at again when they say that there is no room.
	bytes, count uint32
	first        Part
	more         []*Part // each has members
}

// noLoop marks the first part while no loop has taken it.
const noLoop = -1

// parts yields every part of the channel.
func (ch *channel) parts() iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		if ch.first.loop != noLoop && !yield(&ch.first) {
			return
		}
		for _, p := range ch.more {
			if !yield(p) {
				return
			}
		}
	}
}

// partOf returns the part of a loop, made when there is none.
func (ch *channel) partOf(loop int) *Part {
	if ch.first.loop == noLoop {
		ch.first.loop = int16(loop)
		ch.first.members = ch.first.inline[:0]
	}
	for p := range ch.parts() {
		if int(p.loop) == loop {
			return p
		}
	}
	p := &Part{channel: ch, loop: int16(loop)}
	p.members = p.inline[:0]
	ch.more = append(ch.more, p)
	return p
}

// drop takes out a part without members, so that a publication does not look at it;
// the loop may still have it on its list. The first stays.
func (ch *channel) drop(p *Part) {
	if i := slices.Index(ch.more, p); i >= 0 {
		last := len(ch.more) - 1
		ch.more[i], ch.more[last] = ch.more[last], nil
		ch.more = ch.more[:last]
	}
}

// Member is one subscription as a fan-out sees it.
type Member struct {
	Conn uint32 // the number its loop gave the connection
	ref  uint32 // its membership in the Local
}

// Part is the members of one channel on one loop, and what they are to be sent.
//
// members is changed by its loop only, with the shard locked; so the loop reads it
// without the lock, and others read its length with it. The rest is guarded by the
// shard's lock; a sweep by what it says itself.
type Part struct {
	channel   *channel
	pending   *buffer.Buffer // published, not yet taken by the loop
	sweep     *sweep         // being delivered; nil while there is nothing
	members   []Member
	ref       uint32 // in its Local's parts while it has members; the loop's
	loop      int16
	scheduled bool // in the loop's due list, or being delivered by it
	joined    bool // pending was made by us and may be appended to
	inline    [1]Member
}

// waiting returns how much the part has to be given to its members yet, and of how
// many publications with a round of their own.
func (p *Part) waiting() (bytes, live int) {
	if len(p.members) == 0 {
		return 0, 0
	}
	if p.pending != nil {
		bytes = p.pending.Len()
	}
	if p.sweep != nil {
		bytes += p.sweep.bytes
		live = len(p.sweep.live)
	}
	return bytes, live
}

// add appends frame to what is pending and reports whether the loop has to be
// told. The first publication is kept as a reference; from the second on they are
// joined in a buffer of the part's own, so that each member gets one send. limit is
// what may be pending; the caller has seen that there is room.
func (p *Part) add(frame *buffer.Buffer, limit int) (tell bool) {
	switch {
	case p.pending == nil:
		p.pending, p.joined = frame.Retain(), false
	case p.joined && p.pending.Room() >= frame.Len():
		p.pending.Append(frame.Bytes(), frame.Messages)
		p.pending.Stamp = cmp.Or(p.pending.Stamp, frame.Stamp)
	default:
		p.join(frame, limit)
	}
	tell = !p.scheduled
	p.scheduled = true
	return tell
}

// join copies what is pending and frame into a new buffer, twice as large as they
// need, so that a row of publications is copied a constant number of times. It is
// never larger than limit, which by default is the largest buffer that is pooled.
func (p *Part) join(frame *buffer.Buffer, limit int) {
	old := p.pending
	b := buffer.New(min(2*(old.Len()+frame.Len()), limit))
	b.Append(old.Bytes(), old.Messages)
	b.Append(frame.Bytes(), frame.Messages)
	b.Stamp = cmp.Or(old.Stamp, frame.Stamp)
	old.Release()
	p.pending, p.joined = b, true
}

// insert appends a member and returns its place. Needs the shard's lock.
func (p *Part) insert(m Member) uint32 {
	p.members = append(p.members, m)
	return uint32(len(p.members) - 1)
}

// shrink gives memory back when three quarters of the array are empty.
func (p *Part) shrink() {
	if n := len(p.members); cap(p.members) >= 64 && n <= cap(p.members)/4 {
		p.members = append(make([]Member, 0, 2*n), p.members...)
	}
}

// maxLoops is how many loops a wakeSet has room for.
const maxLoops = 256

// wakeSet is a set of loops on the stack.
type wakeSet [maxLoops / 64]uint64

func (w *wakeSet) add(loop int16) { w[loop>>6] |= 1 << (loop & 63) }

func (w *wakeSet) each() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range w {
			for ; word != 0; word &= word - 1 {
				if !yield(i<<6 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}
