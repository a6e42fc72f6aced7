package history

import (
	"fmt"
	"math/rand/v2"
)

// published is a publication of a twin, whose value says which one it is.
type published = Entry[string]

// engine is an engine in the simplest form. It keeps all that was ever published, and
// serves the newest size publications of the present epoch.
type engine struct {
	epochs int
	all    []published // of the present epoch
	gone   int         // how many of them have expired
	size   int
	strict bool // positions between two publications do not exist
	random *rand.Rand
}

func (e *engine) epoch() string { return fmt.Sprint("e", e.epochs) }

func (e *engine) tail() Position {
	if len(e.all) == 0 {
		return Position{Epoch: e.epoch()}
	}
	return e.all[len(e.all)-1].Position
}

func (e *engine) publish(now int64) published {
	p := published{Position: e.tail(), Prev: e.tail().Offset, At: now, Size: 1 + e.random.IntN(8)}
	p.Offset++
	if !e.strict {
		p.Offset += uint64(e.random.IntN(3))
		if e.gone == len(e.all) {
			p.Prev = 0 // it does not know any more
		}
	}
	p.Value = fmt.Sprint(p.Epoch, "/", p.Offset)
	e.all = append(e.all, p)
	return p
}

// restart loses everything.
func (e *engine) restart() { e.epochs, e.all, e.gone = e.epochs+1, nil, 0 }

func (e *engine) kept() []published { return e.all[max(len(e.all)-e.size, e.gone):] }

// forgotten is the offset of the newest publication that is not kept.
func (e *engine) forgotten() uint64 {
	if n := max(len(e.all)-e.size, e.gone); n > 0 {
		return e.all[n-1].Offset
	}
	return 0
}

func (e *engine) after(p Position) Page[string] {
	page := Page[string]{Tail: e.tail(), From: e.forgotten()}
	page.Complete = p.Epoch == e.epoch() && p.Offset <= page.Tail.Offset && p.Offset >= page.From
	if page.Complete {
		page.From = p.Offset
	}
	for _, entry := range e.kept() {
		if entry.Offset > page.From {
			page.Entries = append(page.Entries, entry)
		}
	}
	return page
}

func (e *engine) newest(n int) Page[string] {
	kept := e.kept()
	page := Page[string]{Tail: e.tail(), From: e.forgotten(), Whole: len(kept) < n}
	if drop := len(kept) - n; drop > 0 {
		page.From, kept = kept[drop-1].Offset, kept[drop:]
	}
	page.Entries = kept
	return page
}
