package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"wsify/broker"
	"wsify/broker/internal/link"
)

// rereads is how often history is read that changes its epoch while it is read.
const rereads = 3

var errEntries = errors.New("the history of the channel changes all the time, or has entries of another program")

// tail is the answer of tailScript.
type tail struct {
	broker.Position
	now int64 // the server's time in milliseconds
}

// readHistory implements broker.HistoryLink.
func (c *conn) readHistory(ctx context.Context, channel string, after broker.Position, last int) (broker.Page, error) {
	stream, position := c.keep.keys(channel)
	switch {
	case last > 0:
		page, err := c.readPage(ctx, stream, position, "XREVRANGE", stream, "+", "-", "COUNT", strconv.Itoa(last))
		page.Complete = true
		return page, err
	case after == broker.Position{}:
		page, err := c.readPage(ctx, stream, position, "")
		page.Complete = true
		return page, err
	}
	behind := strconv.FormatUint(after.Offset, 10) + "-" + strconv.FormatUint(math.MaxUint64, 10)
	page, err := c.readPage(ctx, stream, position, "XRANGE", stream, behind, "+")
	if err != nil || page.Tail.Epoch == after.Epoch && follows(page, after.Offset) {
		page.Complete = true
		return page, err
	}
	return c.readPage(ctx, stream, position, "XRANGE", stream, "-", "+")
}

// ReadHistory implements broker.HistoryLink. Without sharding, the subscription does not end with the
// master of the channel, so it will not be in force again: the error is not ErrDown then.
func (l *clusterLink) ReadHistory(ctx context.Context, channel string, after broker.Position, last int) (broker.Page, error) {
	page, err := l.readAtOwner(ctx, channel, after, last)
	if !l.sharded && errors.Is(err, broker.ErrDown) {
		err = fmt.Errorf("%w: %s", broker.ErrUnreachable, err)
	}
	return page, err
}

// readAtOwner asks the master of the channel's slot, which another may name.
func (l *clusterLink) readAtOwner(ctx context.Context, channel string, after broker.Position, last int) (broker.Page, error) {
	slot := slotOf(channel)
	for range maxHops {
		l.mu.Lock()
		n := l.owner[slot]
		l.mu.Unlock()
		if n == nil {
			return broker.Page{}, fmt.Errorf("%w: %w", broker.ErrDown, errNoOwner)
		}
		if n.ready(ctx) == nil {
			return broker.Page{}, fmt.Errorf("%w: %w", broker.ErrDown, errNodeResting)
		}
		l.mu.Lock()
		c := n.read
		l.mu.Unlock()
		if c == nil {
			continue
		}
		page, err := c.readHistory(ctx, channel, after, last)
		refusal, _ := errors.AsType[respError](err)
		_, to, moved := refusal.moved(n.addr)
		if !moved {
			return page, err
		}
		l.mu.Lock()
		l.moved(slot, n, to)
		l.mu.Unlock()
	}
	return broker.Page{}, fmt.Errorf("%w: %w", broker.ErrDown, errSlotMove)
}

// follows reports whether a page has all that came after an offset.
func follows(page broker.Page, after uint64) bool {
	for _, e := range page.Entries {
		if after++; e.Head.Position.Offset != after {
			return false
		}
	}
	return after == page.Tail.Offset
}

// readPage reads the tail and, unless verb is empty, entries of the stream.
func (c *conn) readPage(ctx context.Context, stream, position, verb string, args ...string) (page broker.Page, err error) {
	for range rereads {
		t, list, err := c.readEntries(ctx, stream, position, verb, args)
		if err != nil {
			return page, err
		}
		if verb == "XREVRANGE" {
			slices.Reverse(list)
		}
		page.Tail = t.Position
		var whole bool
		if page.Entries, whole = c.keep.entries(list, t); whole {
			if n := len(page.Entries); n > 0 && page.Entries[n-1].Head.Position.Offset > t.Offset {
				page.Tail = page.Entries[n-1].Head.Position
			}
			return page, nil
		}
	}
	return broker.Page{}, errEntries
}

// readEntries asks for the tail and the entries at once.
func (c *conn) readEntries(ctx context.Context, stream, position, verb string, args []string) (t tail, list []respReply, err error) {
	var refused error
	q := &command{want: 1, answer: func(i int, r respReply, refusal error) error {
		switch {
		case refusal != nil:
			refused = refusal
		case i == 1:
			list = r.list
		case !t.read(r):
			return errRESP
		}
		return nil
	}}
	if verb != "" {
		q.want = 2
	}
	_, err = c.exchange(ctx, q, func(b []byte) []byte {
		b = appendCommand(b, "EVAL", tailScript, "2", stream, position, freshEpoch(), c.run, c.keep.lifeText, c.keep.durable)
		if verb != "" {
			b = appendCommand(b, verb, args...)
		}
		return b
	})
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", broker.ErrDown, c.describe(err))
	case refused != nil:
		err = fmt.Errorf("redis at %s refuses to read history: %w", c.addr, refused)
	}
	return t, list, err
}

// read reads the answer of tailScript.
func (t *tail) read(r respReply) (ok bool) {
	if len(r.list) != 3 {
		return false
	}
	t.Position, ok = broker.ParsePosition([]byte(r.list[0].text + "-" + r.list[1].text))
	now, err := strconv.ParseInt(r.list[2].text, 10, 64)
	t.now = now
	return ok && err == nil
}

// entries reads a list of entries, and leaves out the first ones that have expired. ok is false when
// there is one of another epoch.
func (k *keeper) entries(list []respReply, t tail) (entries []broker.Entry, ok bool) {
	for _, r := range list {
		e, at, ok := readEntry(r)
		if !ok || e.Head.Position.Epoch != t.Epoch {
			return nil, false
		}
		if len(entries) == 0 && at < t.now-k.ttl.Milliseconds() {
			continue
		}
		entries = append(entries, e)
	}
	return entries, true
}

// readEntry reads an entry of a stream, and the time in its ID.
func readEntry(r respReply) (e broker.Entry, at int64, ok bool) {
	if len(r.list) != 2 || len(r.list[1].list) != 2 {
		return e, 0, false
	}
	offset, millis, _ := strings.Cut(r.list[0].text, "-")
	at, err := strconv.ParseInt(millis, 10, 64)
	if err != nil {
		return e, 0, false
	}
	e.Head, e.Content, ok = broker.SplitHead(link.Bytes(r.list[1].list[1].text))
	return e, at, ok && strconv.FormatUint(e.Head.Position.Offset, 10) == offset
}
