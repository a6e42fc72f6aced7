package broker

import (
	"strings"
	"time"

	"wsify/broker/internal/link"
)

// move notes that the server of a channel gave it to another one. The channel is deaf, and
// asked for again at once, for which who waits for it goes on waiting. It reports false,
// and has done nothing, when the channel is not wanted, or was not in force since it moved
// last: then it is to rest as others do, for servers that each name another one.
func (t *table) move(name string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(name)
	if s == nil || s.standing == absent || !s.wanted || s.refusals > 0 {
		return false
	}
	t.settle(s)
	t.progress = now
	t.pay(s)
	t.knocked(s, true)
	t.hear(s, false)
	s.refusals = 1
	t.list(s, &t.fresh)
	return true
}

// Deaf implements Sink.
func (l *linkSink) Deaf(channel string) bool {
	channel, ours := strings.CutPrefix(channel, l.r.cfg.Prefix)
	return ours && l.r.table.isDeaf(link.Bytes(channel))
}
