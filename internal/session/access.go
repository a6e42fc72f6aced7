package session

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"wsify/hub"
	"wsify/internal/slab"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// accessLog is a loop's part of the access log: one record for each connection at its end.
// A loop has none while the access log is off. It belongs to the loop's goroutine.
type accessLog struct {
	sample float64             // the fraction of connections that have a visit
	visits slab.Slab[*visit]   // by slot; nil for a connection that is not logged
	write  func(r slog.Record) // must not block
	name   func(id uint64) string
}

// visit is what the access log knows of one connection.
type visit struct {
	began          time.Time
	addr, agent    string
	received, sent uint64         // messages
	channels       int            // that it was a member of when it ended
	status         int            // of the last HTTP answer; 0 for none
	code           wire.CloseCode // of the Close frame that ended it; 0 for none
}

// maxAgent is how many bytes of a User-Agent are kept.
const maxAgent = 256

// newAccessLog returns nil if nothing is to be logged. The records do not depend on the level of
// the log: whoever switches the access log on wants them.
func newAccessLog(n *Node) *accessLog {
	if n.cfg.AccessLogSample <= 0 {
		return nil
	}
	handler := n.log.Handler()
	return &accessLog{sample: n.cfg.AccessLogSample, name: n.connID, write: func(r slog.Record) {
		_ = handler.Handle(context.Background(), r)
	}}
}

// opened decides whether a connection is logged.
func (a *accessLog) opened(c *netpoll.Conn, addr func(*netpoll.Conn) string) {
	a.visits.Grow(c.Slot())
	v := a.visits.At(c.Slot())
	if *v = nil; rand.Float64() < a.sample {
		*v = &visit{began: time.Now(), addr: addr(c)}
	}
}

// visit returns what is known of a connection; nil if it is not logged, and for a nil accessLog.
func (a *accessLog) visit(c *netpoll.Conn) *visit {
	if a == nil {
		return nil
	}
	return *a.visits.At(c.Slot())
}

// asked notes who sends a request.
func (v *visit) asked(r *wire.Request, addr string) {
	if v == nil {
		return
	}
	v.addr = cmp.Or(addr, v.addr) // the peer may have reset the connection
	for name, value := range r.Headers {
		if bytes.EqualFold(name, []byte("User-Agent")) {
			v.agent = strings.ToValidUTF8(string(value[:min(len(value), maxAgent)]), "\uFFFD")
			return
		}
	}
}

// cut frees the memory for slots from this one on, none of which is in use.
func (a *accessLog) cut(slot uint32) {
	if a != nil {
		a.visits.Cut(slot)
	}
}

// answered notes the status of an HTTP answer.
func (v *visit) answered(status int) {
	if v != nil {
		v.status = status
	}
}

// closing notes the Close frame that is sent, and the memberships that end.
func (v *visit) closing(code wire.CloseCode, channels int) {
	if v == nil {
		return
	}
	if v.code, v.channels = code, channels; code == 0 {
		v.code = wire.NoStatus
	}
}

// message notes a message of the client.
func (v *visit) message() {
	if v != nil {
		v.received++
	}
}

// delivered notes messages that were given to a connection.
func (v *visit) delivered(messages int) {
	if v != nil {
		v.sent += uint64(messages)
	}
}

// deliveredAll is delivered for the members of a slice.
func (a *accessLog) deliveredAll(members []hub.Member, messages int) {
	for _, m := range members {
		(*a.visits.At(m.Conn)).delivered(messages)
	}
}

// undelivered takes back messages that delivered counted.
func (v *visit) undelivered(messages int) {
	if v != nil {
		v.sent -= uint64(messages)
	}
}

// closed writes the record of a connection. It reports false if the connection is not logged.
func (a *accessLog) closed(c *netpoll.Conn, s *session, reason netpoll.Reason) bool {
	v := a.visit(c)
	if v == nil {
		return false
	}
	*a.visits.At(c.Slot()) = nil
	if s.state != ending {
		v.channels = s.subs.Count()
	}
	if v.status == 101 && v.code == 0 {
		v.code = wire.Abnormal
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, endedMessage, 0)
	r.AddAttrs(slog.String("conn", a.name(c.ID())), slog.String("addr", v.addr), slog.String("user_agent", v.agent),
		slog.Float64("seconds", seconds(time.Since(v.began))),
		slog.Uint64("messages_in", v.received), slog.Uint64("messages_out", v.sent))
	if in, out, ok := c.Transferred(); ok {
		r.AddAttrs(slog.Uint64("bytes_in", in), slog.Uint64("bytes_out", out))
	}
	r.AddAttrs(slog.Int("channels", v.channels), slog.Int("status", v.status), slog.Int("code", int(v.code)), slog.String("reason", reasonNames[reason]))
	a.write(r)
	return true
}

// seconds returns d to a millisecond. Duration.Seconds would add up two fractions, which shows as
// 3.7039999999999997.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}
