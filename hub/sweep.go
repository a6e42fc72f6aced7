package hub

import (
	"cmp"
	"slices"

	"wsify/internal/buffer"
	"wsify/internal/invariants"
)

// sweep is a delivery in progress: a cursor that goes round the members of a part
// for as long as there is something to deliver.
//
// A publication joins the round where the cursor stands and is done when the cursor is back
// there. Each visit of a member is one send of all that was published since its last visit,
// so a publication never waits for the one before. A member that joins later is at the end
// of members, behind the publication's end. Its position alone tells which publications a
// member still has to get:
//
//	not wrapped:  [cursor, end) and [0, start)        start <= cursor
//	wrapped:      [cursor, start)                     cursor <= start
//
// Starts, ends and the cursor cut members into regions. All members of a region wait
// for the same publications. The loop owns a sweep; the shard's lock guards only bytes.
type sweep struct {
	cursor uint32
	first  int            // index in live: the first that the member at the cursor has to be given
	live   []publication  // oldest first
	all    *buffer.Buffer // live from first on, joined; nil when it has to be made again
	bytes  int            // total of live
	stamp  int64          // of a publication whose round is done; see Local.Delivered

	scratch []uint32 // see cuts
}

// publication is a buffer that is being delivered round the members.
type publication struct {
	b       *buffer.Buffer
	start   uint32 // cursor when it joined the round
	end     uint32 // number of members then
	wrapped bool   // the cursor has passed the end of members since
}

// maxLive is how many publications are on their rounds at once. It bounds the cost
// of removing a member. Further publications wait, joined into one.
const maxLive = 16

// maxSealed is the bound when members join between publications, because each
// publication then has a round of its own. Beyond it the channel takes no more.
const maxSealed = 1024

// waitsFor reports whether the member at pos still has to get p.
func (p *publication) waitsFor(pos, cursor uint32) bool {
	if p.wrapped {
		return pos >= cursor && pos < p.start
	}
	return pos >= cursor && pos < p.end || pos < p.start
}

// add starts the round of b among n members. The sweep takes over the reference.
func (w *sweep) add(b *buffer.Buffer, n uint32) {
	w.live = append(w.live, publication{b: b, start: w.cursor, end: n})
	w.bytes += b.Size()
	w.forget()
}

// settle wraps the cursor when no member from it to the end of n waits for
// anything. It removes the publications whose round is done.
func (w *sweep) settle(n uint32) {
	if w.skip(); w.cursor >= n || w.first == len(w.live) {
		w.wrap()
	}
	kept := w.live[:0]
	for _, p := range w.live {
		if p.wrapped && p.start <= w.cursor {
			w.bytes -= p.b.Size()
			w.stamp = cmp.Or(w.stamp, p.b.Stamp)
			p.b.Release()
		} else {
			kept = append(kept, p)
		}
	}
	if len(kept) < len(w.live) {
		clear(w.live[len(kept):])
		w.live = kept
		w.forget()
	}
	w.skip()
}

// skip finds the first publication that the member at the cursor waits for. The
// member has joined after those before it.
func (w *sweep) skip() {
	first := 0
	for first < len(w.live) && !w.live[first].waitsFor(w.cursor, w.cursor) {
		first++
	}
	if first != w.first {
		w.first = first
		w.forget()
	}
}

// wrap sets the cursor to the beginning.
func (w *sweep) wrap() {
	w.cursor = 0
	for i := range w.live {
		if w.live[i].wrapped {
			w.live[i].start = 0 // the members it waited for have left
		}
		w.live[i].wrapped = true
	}
}

// run returns how many members from the cursor on are in the same region. After
// settle it is at least 1 while something is live.
func (w *sweep) run(n uint32) uint32 {
	end, _ := w.next(w.cursor)
	return min(end, n) - w.cursor
}

// joined returns what the member at the cursor has to get, in one buffer. It is
// borrowed until the sweep changes.
func (w *sweep) joined() *buffer.Buffer {
	live := w.live[w.first:]
	if len(live) == 1 {
		return live[0].b
	}
	if w.all == nil {
		w.all = buffer.New(w.bytes)
		for i := range live {
			w.all.Join(live[i].b)
		}
	}
	return w.all
}

func (w *sweep) forget() {
	if w.all != nil {
		w.all.Release()
		w.all = nil
	}
}

// next returns the lowest boundary between regions above pos; ok is false when
// there is none.
func (w *sweep) next(pos uint32) (boundary uint32, ok bool) {
	try := func(b uint32) {
		if b > pos && (!ok || b < boundary) {
			boundary, ok = b, true
		}
	}
	try(w.cursor)
	for i := range w.live {
		try(w.live[i].start)
		try(w.live[i].end)
	}
	return boundary, ok
}

// cuts returns the distinct boundaries above pos, in order. The slice is borrowed
// until the next call.
func (w *sweep) cuts(pos uint32) []uint32 {
	w.scratch = w.scratch[:0]
	add := func(b uint32) {
		if b > pos {
			w.scratch = append(w.scratch, b)
		}
	}
	add(w.cursor)
	for i := range w.live {
		add(w.live[i].start)
		add(w.live[i].end)
	}
	slices.Sort(w.scratch)
	return slices.Compact(w.scratch)
}

// lower moves every boundary above pos down by one.
func (w *sweep) lower(pos uint32) {
	one := func(b *uint32) {
		if *b > pos {
			*b--
		}
	}
	one(&w.cursor)
	for i := range w.live {
		one(&w.live[i].start)
		one(&w.live[i].end)
	}
}

// remove takes the member at pos out of the array, and calls moved for each member whose
// index changes. Each region from pos on fills its hole with its own last member, so none
// is skipped or served twice, whichever member leaves during a sweep (I14). The last member
// takes what is pending with it: otherwise the next to join would get it, followed by a
// gap. Needs the shard's lock.
func (p *Part) remove(pos uint32, moved func(m Member, pos uint32)) {
	if invariants.Enabled {
		p.checkRegions(pos)
	}
	hole := pos
	fill := func(last uint32) {
		if last != hole {
			p.members[hole] = p.members[last]
			moved(p.members[hole], hole)
		}
		hole = last
	}
	if w := p.sweep; w != nil {
		for _, b := range w.cuts(pos) {
			fill(b - 1)
		}
		w.lower(pos)
	}
	last := uint32(len(p.members) - 1)
	fill(last)
	p.members[last] = Member{}
	p.members = p.members[:last]
	p.shrink()
	if last == 0 && p.pending != nil {
		p.pending.Release()
		p.pending = nil
	}
}

// checkRegions asserts what the comment of sweep says of starts and the cursor.
func (p *Part) checkRegions(pos uint32) {
	n := uint32(len(p.members))
	invariants.Check(pos < n, "I14: place %d of %d", pos, n)
	if p.sweep == nil {
		return
	}
	w := p.sweep
	invariants.Check(w.cursor <= n, "I14: cursor %d of %d", w.cursor, n)
	for _, l := range w.live {
		ok := l.start <= w.cursor && l.end <= n
		if l.wrapped {
			ok = l.start >= w.cursor && l.start <= n
		}
		invariants.Check(ok, "I14: start %d, wrapped %v, cursor %d of %d", l.start, l.wrapped, w.cursor, n)
	}
}

// owed joins what the member at pos still has to get; nil when that is nothing.
// Needs the shard's lock.
func (p *Part) owed(pos uint32) *buffer.Buffer {
	var owed *buffer.Buffer
	give := func(b *buffer.Buffer) {
		if owed == nil {
			owed = buffer.New(b.Len())
		}
		owed.Join(b)
	}
	if w := p.sweep; w != nil {
		for i := range w.live {
			if w.live[i].waitsFor(pos, w.cursor) {
				give(w.live[i].b)
			}
		}
	}
	if p.pending != nil {
		give(p.pending)
	}
	return owed
}
