package history

import "wsify/internal/ring"

// keep adds an entry to the newest ones.
func (l *Log[T]) keep(e Entry[T]) {
	l.expire(e.At)
	l.ring.Push(e)
	l.set.kept += int64(e.Size)
	l.set.push(l)
	for l.ring.Len() > l.set.Size {
		l.dropOldest()
		l.whole = true // the engine keeps no more, either
	}
	l.set.bound()
}

// expire drops what is older than the TTL. The engine drops it, too.
func (l *Log[T]) expire(now int64) {
	for whole := l.whole; l.set.TTL > 0 && l.ring.Len() > 0 && l.ring.At(0).At < now-l.set.TTL; l.whole = whole {
		l.dropOldest()
	}
}

func (l *Log[T]) dropOldest() {
	e := l.ring.Pop()
	l.floor, l.whole = e.Offset, false
	l.set.kept -= int64(e.Size)
	if l.ring.Len() == 0 {
		l.set.remove(l)
	}
}

func (l *Log[T]) dropAll() {
	for l.ring.Len() > 0 {
		l.dropOldest()
	}
	l.floor = l.last.Offset
	l.set.remove(l)
}

// After appends to dst the publications after p that the members were given. It reports
// false if some of them are not kept, or if p is not a position of this history so far.
func (l *Log[T]) After(dst []T, p Position, now int64) ([]T, bool) {
	l.expire(now)
	if !l.known || p.Epoch != l.given.Epoch || l.given.Epoch != l.last.Epoch || p.Offset > l.given.Offset || p.Offset < l.floor {
		return dst, false
	}
	for i := l.search(p.Offset); i < l.ring.Len(); i++ {
		if e := l.ring.At(i); e.Offset <= l.given.Offset {
			dst = append(dst, e.Value)
		}
	}
	return dst, true
}

// Newest appends to dst the newest n publications that the members were given. It reports
// false if there may be older ones that are not kept.
func (l *Log[T]) Newest(dst []T, n int, now int64) ([]T, bool) {
	l.expire(now)
	if !l.known || l.given.Epoch != l.last.Epoch {
		return dst, false
	}
	end := l.search(l.given.Offset)
	for i := max(end-n, 0); i < end; i++ {
		dst = append(dst, l.ring.At(i).Value)
	}
	return dst, end >= n || l.whole
}

// search returns the index of the first entry after an offset.
func (l *Log[T]) search(offset uint64) int {
	low, high := 0, l.ring.Len()
	for low < high {
		if mid := (low + high) / 2; l.ring.At(mid).Offset > offset {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// GivenPosition returns the position that the members have reached, and whether there is one.
func (l *Log[T]) GivenPosition() (Position, bool) { return l.given, l.known }

// Grow counts n more bytes that the value of an entry keeps.
func (l *Log[T]) Grow(p Position, n int) {
	i := l.search(p.Offset) - 1
	if p.Epoch != l.last.Epoch || i < 0 || l.ring.At(i).Offset != p.Offset {
		return // it is not kept any more
	}
	l.ring.At(i).Size += n
	l.set.kept += int64(n)
	l.set.bound()
}

// Backfill adds entries of a page that are older than those kept, so that the next ones who
// ask for them do not have to ask the engine.
func (l *Log[T]) Backfill(p Page[T]) {
	if !l.known || p.Tail.Epoch != l.last.Epoch || p.Tail.Offset < l.floor || p.From > l.floor {
		return
	}
	older := p.Entries
	for len(older) > 0 && older[len(older)-1].Offset > l.floor {
		older = older[:len(older)-1]
	}
	if drop := len(older) + l.ring.Len() - l.set.Size; drop > 0 && len(older) > 0 {
		drop = min(drop, len(older))
		p.From, older = older[drop-1].Offset, older[drop:]
	}
	l.floor, l.whole = min(l.floor, p.From), l.whole || p.Whole
	if len(older) > 0 {
		l.prepend(older)
	}
}

func (l *Log[T]) prepend(older []Entry[T]) {
	var all ring.Ring[Entry[T]]
	for _, e := range older {
		all.Push(e)
		l.set.kept += int64(e.Size)
	}
	for l.ring.Len() > 0 {
		all.Push(l.ring.Pop())
	}
	l.ring = all
	if !l.listed {
		l.set.push(l)
	}
	l.set.bound()
}
