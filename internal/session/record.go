package session

import (
	"bytes"
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
	published // it owns the slices
	forms     [hub.NumClasses]atomic.Pointer[[]byte]
}

// recordOverhead is the memory of a record besides its content and forms. A log that grows may
// have two places for it.
const recordOverhead = int(unsafe.Sizeof(record{}) + 2*unsafe.Sizeof(history.Entry[*record]{}))

// exceptPrice is roughly the memory of the id of a connection that a publication leaves out.
const exceptPrice = 64

// size is roughly how many bytes k keeps without its forms.
func (k *record) size() int {
	return recordOverhead + len(k.content) + len(k.head.User) + exceptPrice*len(k.head.Except)
}

// form returns k as members of a class get it, and how many bytes k keeps more for it.
// Any goroutine may call it. The form is shared: nobody changes it.
func (k *record) form(n *Node, class hub.Class) (form []byte, grown int) {
	if made := k.forms[class].Load(); made != nil {
		return *made, 0
	}
	var frames hub.Frames
	n.speak(&frames, class, k.published)
	form = bytes.Clone(frames[class].Bytes())
	frames.Release()
	if !k.forms[class].CompareAndSwap(nil, &form) {
		return form, 0
	}
	return form, len(form)
}

// newRecord copies a publication. channel is shared by all of its channel.
func newRecord(channel []byte, p *published) *record {
	k := &record{published: *p}
	k.channel, k.content = channel, bytes.Clone(p.content)
	return k
}

// entryOf returns the entry of k in a log.
func entryOf(k *record) history.Entry[*record] {
	return history.Entry[*record]{
		Position: history.Position(k.head.Position), Prev: k.head.Prev, At: time.Now().UnixNano(), Size: k.size(), Value: k,
	}
}

// pageOf converts what the engine has answered to a question for what follows after, or for
// the newest last publications.
func pageOf(channel []byte, p *broker.Page, after broker.Position, last int) history.Page[*record] {
	page := history.Page[*record]{Tail: history.Position(p.Tail), From: p.Tail.Offset, Complete: p.Complete && last == 0, Whole: last > 0 && len(p.Entries) < last}
	switch {
	case page.Complete && after != broker.Position{}:
		page.From = after.Offset
	case len(p.Entries) > 0:
		page.From = p.Entries[0].Head.Position.Offset - 1
	}
	for _, e := range p.Entries {
		k := &record{published: published{channel: channel, content: e.Content, head: e.Head}}
		page.Entries = append(page.Entries, entryOf(k))
	}
	return page
}
