package follow

import (
	"sync/atomic"
	"time"
	"unsafe"

	"wsify/broker"
	"wsify/hub"
	"wsify/internal/history"
)

// record is a publication in the log of its channel. It never changes, but its encoded
// forms are added when somebody recovers it. So however many do, it is encoded once for each
// class.
type record struct {
	Publication // it owns the slices, or shares them with the broker
	forms       [hub.NumClasses]atomic.Pointer[[]byte]
}

// recordOverhead is the memory of a record besides its content and forms. A log that grows may
// have two places for it.
const recordOverhead = int(unsafe.Sizeof(record{}) + 2*unsafe.Sizeof(history.Entry[*record]{}))

// exceptPrice is roughly the memory of the id of a connection that a publication leaves out.
const exceptPrice = 64

// newRecord returns a record of a publication, whose content it takes over. channel is shared by all of
// its channel.
func newRecord(channel, content []byte, head broker.Head) *record {
	return &record{Publication: Publication{Channel: channel, Content: content, Head: head}}
}

// size is roughly how many bytes r keeps without its forms.
func (r *record) size() int {
	return recordOverhead + len(r.Content) + len(r.Head.User) + exceptPrice*len(r.Head.Except)
}

// form returns r as members of a class get it, and how many bytes r keeps more for it.
// Any goroutine may call it.
func (r *record) form(m Members, class hub.Class) (form []byte, grown int) {
	if made := r.forms[class].Load(); made != nil {
		return *made, 0
	}
	form = m.Encode(&r.Publication, class)
	if !r.forms[class].CompareAndSwap(nil, &form) {
		return form, 0
	}
	return form, len(form)
}

// entry returns the entry of r in a log.
func (r *record) entry() history.Entry[*record] {
	return history.Entry[*record]{
		Position: history.Position(r.Head.Position), Prev: r.Head.Prev, At: time.Now().UnixNano(), Size: r.size(), Value: r,
	}
}

// pageOf converts what the engine has answered to a question for what follows after, or for
// the newest last publications.
func pageOf(channel []byte, p *broker.Page, after broker.Position, last int) *history.Page[*record] {
	page := &history.Page[*record]{Tail: history.Position(p.Tail), From: p.Tail.Offset, Complete: p.Complete && last == 0, Whole: last > 0 && len(p.Entries) < last}
	switch {
	case page.Complete && after != broker.Position{}:
		page.From = after.Offset
	case len(p.Entries) > 0:
		page.From = p.Entries[0].Head.Position.Offset - 1
	}
	for _, e := range p.Entries {
		page.Entries = append(page.Entries, newRecord(channel, e.Content, e.Head).entry())
	}
	return page
}
