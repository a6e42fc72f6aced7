package hub

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"

	"wsify/internal/buffer"
)

// channel is one named destination. It exists while it has members. Its shard's
// lock guards everything in it, unless a Part says otherwise.
//
// Most channels have one member. So the part that is made first lies in the channel,
// with space for one member: such a channel is one allocation, besides its name.
type channel struct {
	name    string
	members int32
	shard   uint32 // index of its shard
	crowd   *crowd // waiters for room; nil while there are none
	// Upper bounds of what one part has undelivered, in bytes and in publications.
	// Publish only adds to them; they are measured anew when they leave no room.
	bytes   uint32
	count   uint16
	classes Classes // that have members
	first   Part
	more    []*Part // each has members
}

// parts yields every part of the channel.
func (ch *channel) parts() iter.Seq[*Part] {
	return func(yield func(*Part) bool) {
		if ch.first.key != noKey && !yield(&ch.first) {
			return
		}
		for _, p := range ch.more {
			if !yield(p) {
				return
			}
		}
	}
}

// lacks returns the classes that have members and no frame.
func (ch *channel) lacks(f *Frames) (missing Classes) {
	for c := range ch.classes.Each() {
		if f[c] == nil {
			missing.Add(c)
		}
	}
	return missing
}

// partOf returns the part of this key, and makes it if there is none.
func (ch *channel) partOf(k key) *Part {
	if ch.first.key == noKey {
		ch.first.key = k
		ch.first.members = ch.first.inline[:0]
	}
	for p := range ch.parts() {
		if p.key == k {
			return p
		}
	}
	p := &Part{channel: ch, key: k}
	p.members = p.inline[:0]
	ch.more = append(ch.more, p)
	return p
}

// drop removes a part without members, so that publications skip it; its loop may
// still have it on its list. The first part stays.
func (ch *channel) drop(p *Part) {
	if i := slices.Index(ch.more, p); i >= 0 {
		last := len(ch.more) - 1
		ch.more[i], ch.more[last] = ch.more[last], nil
		ch.more = ch.more[:last]
	}
	ch.classes = 0
	for p := range ch.parts() {
		if len(p.members) > 0 {
			ch.classes.Add(p.key.class())
		}
	}
}

// Member is one subscription as a fan-out sees it.
type Member struct {
	Conn uint32 // the number its loop gave the connection
	ref  uint32 // its membership in the Local
}

// Part holds the members of one channel on one loop that have the same class, and what
// they are to be sent.
//
// Only its loop changes members, with the shard locked. So the loop reads it
// without the lock, and others read its length under the lock. The shard's lock
// guards the rest, except for what sweep says itself.
type Part struct {
	channel   *channel
	pending   *buffer.Buffer // published, not yet taken by the loop
	sweep     *sweep         // what is being delivered; nil while there is nothing
	members   []Member
	ref       uint32 // in its Local's parts while it has members; owned by the loop
	key       key
	scheduled bool // in the loop's due list, or being delivered by it
	joined    bool // pending was made by us and may be appended to
	inline    [1]Member
}

// waiting returns how many bytes the members still have to be given, and how many
// publications have a round of their own. A part whose members have left counts until
// its loop has looked at it: the next to join may find its sweep.
func (p *Part) waiting() (bytes, live int) {
	if p.pending != nil {
		bytes = p.pending.Size()
	}
	if p.sweep != nil {
		bytes += p.sweep.bytes
		live = len(p.sweep.live)
	}
	return bytes, live
}

// add appends frame to what is pending and reports whether to wake the loop. The
// first publication is kept as a reference. Later ones are joined in a buffer of
// the part's own, so that each member gets one send. limit is the most that may be
// pending; the caller has checked that there is room.
func (p *Part) add(frame *buffer.Buffer, limit int) (tell bool) {
	switch {
	case p.pending == nil:
		p.pending, p.joined = frame.Retain(), false
	case p.joined && p.pending.Room() >= frame.Len():
		p.pending.Join(frame)
		p.pending.Stamp = cmp.Or(p.pending.Stamp, frame.Stamp)
	default:
		p.join(frame, limit)
	}
	tell = !p.scheduled
	p.scheduled = true
	return tell
}

// join copies what is pending and frame into a new buffer of twice their size, so
// that a series of publications is copied a constant number of times. It is never
// larger than limit, which by default is the largest buffer that is pooled.
func (p *Part) join(frame *buffer.Buffer, limit int) {
	old := p.pending
	b := buffer.New(min(2*(old.Len()+frame.Len()), limit))
	b.Join(old)
	b.Join(frame)
	b.Stamp = cmp.Or(old.Stamp, frame.Stamp)
	old.Release()
	p.pending, p.joined = b, true
}

// insert appends a member and returns its place. Needs the shard's lock.
func (p *Part) insert(m Member) uint32 {
	p.members = append(p.members, m)
	return uint32(len(p.members) - 1)
}

// shrink frees memory when three quarters of the array are empty.
func (p *Part) shrink() {
	if n := len(p.members); cap(p.members) >= 64 && n <= cap(p.members)/4 {
		p.members = append(make([]Member, 0, 2*n), p.members...)
	}
}

// maxLoops is how many loops a wakeSet has room for.
const maxLoops = 256

// wakeSet is a set of loops on the stack.
type wakeSet [maxLoops / 64]uint64

func (w *wakeSet) add(loop int) { w[loop>>6] |= 1 << (loop & 63) }

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
