package history

import "slices"

// keep adds an entry to the newest ones.
func (l *Log[T]) keep(e Entry[T]) {
	l.expire(e.At)
	l.newest = append(l.newest, e)
	l.set.kept += int64(e.Size)
	l.set.push(l)
	for len(l.newest) > l.set.Size {
		l.dropOldest()
		l.whole = true // the engine keeps no more, either
	}
	l.set.bound()
}

// expire drops what is older than the TTL. The engine drops it, too.
func (l *Log[T]) expire(now int64) {
	for whole := l.whole; l.set.TTL > 0 && len(l.newest) > 0 && l.newest[0].At < now-l.set.TTL; l.whole = whole {
		l.dropOldest()
	}
}

func (l *Log[T]) dropOldest() {
	e := l.newest[0]
	l.newest[0] = Entry[T]{} // so that it holds nothing
	l.newest = l.newest[1:]
	l.floor, l.whole = e.Offset, false
	l.set.kept -= int64(e.Size)
	if len(l.newest) == 0 {
		l.newest = nil
		l.set.remove(l)
	}
}

func (l *Log[T]) dropAll() {
	for len(l.newest) > 0 {
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
	for i := l.search(p.Offset); i < len(l.newest); i++ {
		if e := &l.newest[i]; e.Offset <= l.given.Offset {
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
		dst = append(dst, l.newest[i].Value)
	}
	return dst, end >= n || l.whole
}

// search returns the index of the first entry after an offset.
func (l *Log[T]) search(offset uint64) int {
	low, high := 0, len(l.newest)
	for low < high {
		if mid := (low + high) / 2; l.newest[mid].Offset > offset {
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
	if p.Epoch != l.last.Epoch || i < 0 || l.newest[i].Offset != p.Offset {
		return // it is not kept any more
	}
	l.newest[i].Size += n
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
	if drop := len(older) + len(l.newest) - l.set.Size; drop > 0 && len(older) > 0 {
		drop = min(drop, len(older))
		p.From, older = older[drop-1].Offset, older[drop:]
	}
	l.floor, l.whole = min(l.floor, p.From), l.whole || p.Whole
	if len(older) > 0 {
		l.prepend(older)
	}
}

func (l *Log[T]) prepend(older []Entry[T]) {
	for _, e := range older {
		l.set.kept += int64(e.Size)
	}
	l.newest = slices.Concat(older, l.newest)
	if !l.listed {
		l.set.push(l)
	}
	l.set.bound()
}
