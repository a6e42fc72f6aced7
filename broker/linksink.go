package broker

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"wsify/broker/internal/link"
)

// linkSink is a link and the Sink that it reports to.
type linkSink struct {
	r    *Remote
	link Link
	ctx  context.Context // ends when the link is lost, with the cause
	lose context.CancelCauseFunc
}

var _ Sink = (*linkSink)(nil)

func (l *linkSink) Lost(cause error) { l.lose(cause) }

// Received delivers a publication, or drops it with a reason.
func (l *linkSink) Received(channel, content []byte) {
	r := l.r
	channel, ours := bytes.CutPrefix(channel, link.Bytes(r.cfg.Prefix))
	if !ours {
		return
	}
	r.counts.received.Add(1)
	reason, head := dropHead, headSize(content)
	if head >= 0 {
		reason = r.unfit(content[head:])
	}
	if reason != "" {
		r.drop(reason, channel, len(content))
		return
	}
	r.backlog.deliver(channel, content)
}

// unfit returns the reason why content is not delivered, or "".
func (r *Remote) unfit(content []byte) string {
	switch {
	case len(content) > r.cfg.MaxContent:
		return dropTooBig
	case !utf8.Valid(content): // a text message may not hold it; RFC 6455, section 8.1
		return dropNotUTF8
	}
	return ""
}

// drop counts a publication that is not delivered. It logs the channel at debug only, because the
// name comes from an untrusted peer.
func (r *Remote) drop(reason string, channel []byte, size int) {
	r.counts.dropped[reason].Add(1)
	r.log.Debug("a publication was dropped", "reason", reason, "channel", string(channel), "bytes", size)
}

func (l *linkSink) Confirmed(channel string) {
	first, lapsed := l.r.table.confirm(channel, time.Now())
	if lapsed {
		l.r.mayHaveMissed(strings.TrimPrefix(channel, l.r.cfg.Prefix))
	}
	tell(first, nil)
	if !l.r.up.Load() {
		l.r.wake()
	}
}

func (l *linkSink) Ended(channel string, cause error) {
	r := l.r
	first, known := r.table.end(channel, time.Now(), cause)
	if !known {
		return
	}
	r.counts.ended.Add(1)
	r.log.Debug("a subscription ended", "channel", channel, "cause", cause)
	if errors.Is(cause, ErrUnreachable) {
		tell(first, ErrDown)
	} else {
		tell(first, cause)
		r.faults.Warn("the engine refuses subscriptions; members of these channels receive nothing until it accepts (at debug the log names them)")
	}
	if errors.Is(cause, ErrMoved) || !r.up.Load() {
		r.wake()
	}
}

func (l *linkSink) Returned() {
	l.r.table.returned()
	l.r.wake()
}

func (l *linkSink) Deaf(channel string) bool { return l.r.table.isDeaf(channel) }
