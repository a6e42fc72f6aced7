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
	"wsify/internal/events"
	"wsify/internal/slab"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// accessLog is a loop's notes for the access log, which has one record for each connection at its
// end, and for the events of sessions. A loop has none while both are off. It belongs to the loop's
// goroutine.
type accessLog struct {
	sample   float64             // the fraction of connections that are logged
	visits   slab.Slab[*visit]   // by slot; nil for a connection of which nothing is noted
	write    func(r slog.Record) // must not block
	name     func(id uint64) string
	user     func(s *session) string
	events   *events.Sender // nil while no events of sessions are sent
	laggards int            // visits that are slow
}

// visit is what is noted of one connection.
type visit struct {
	began          time.Time
	addr, agent    string
	user           string         // noted when it ends
	received, sent uint64         // messages; not counted for events
	channels       uint32         // that it was a member of when it ended
	dropped        uint32         // tick of the last drop of a slow consumer
	status         uint16         // of the last HTTP answer; 0 for none
	code           wire.CloseCode // of the Close frame that ended it; 0 for none
	logged         bool           // in the access log
	opened         bool           // it became a session
	slow           bool           // that was told, and it has not caught up
}

// maxAgent is how many bytes of a User-Agent are kept.
const maxAgent = 256

// newAccessLog returns nil if nothing is to be noted. The records do not depend on the level of
// the log: whoever switches the access log on wants them.
func newAccessLog(n *Node, user func(s *session) string) *accessLog {
	sender := n.sessionEvents()
	if n.cfg.AccessLogSample <= 0 && sender == nil {
		return nil
	}
	handler := n.log.Handler()
	return &accessLog{sample: n.cfg.AccessLogSample, name: n.connID, user: user, events: sender, write: func(r slog.Record) {
		_ = handler.Handle(context.Background(), r)
	}}
}

// accepted decides whether a connection is logged.
func (a *accessLog) accepted(c *netpoll.Conn, addr func(*netpoll.Conn) string) {
	a.visits.Grow(c.Slot())
	v := a.visits.At(c.Slot())
	logged := rand.Float64() < a.sample
	if *v = nil; logged || a.events != nil {
		*v = &visit{began: time.Now(), addr: addr(c), logged: logged}
	}
}

// visit returns what is noted of a connection; nil for nothing, and for a nil accessLog.
func (a *accessLog) visit(c *netpoll.Conn) *visit {
	if a == nil || !a.visits.Has(c.Slot()) { // it was turned away before it was noted
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
	if !v.logged {
		return
	}
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

// open notes that a connection became a session, and the status of the answer.
func (v *visit) open(status int) {
	if v != nil {
		v.status, v.opened = uint16(status), true
	}
}

// answered notes the status of an HTTP answer.
func (v *visit) answered(status int) {
	if v != nil {
		v.status = uint16(status)
	}
}

// closing notes the Close frame that is sent, and the memberships that end.
func (a *accessLog) closing(c *netpoll.Conn, s *session, code wire.CloseCode) {
	v := a.visit(c)
	if v == nil {
		return
	}
	a.leaves(v, s)
	if v.code = code; code == 0 {
		v.code = wire.NoStatus
	}
}

// leaves notes the memberships of a session that end.
func (a *accessLog) leaves(v *visit, s *session) {
	v.channels, v.user = uint32(s.subs.Count()), a.user(s)
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
	if a.sample <= 0 {
		return // nothing is logged
	}
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

// closed writes the record of a connection, and hands over the event of its end. It reports false
// if the connection is not logged.
func (a *accessLog) closed(c *netpoll.Conn, s *session, reason netpoll.Reason) bool {
	v := a.visit(c)
	if v == nil {
		return false
	}
	*a.visits.At(c.Slot()) = nil
	if s.state != ending {
		a.leaves(v, s)
	}
	if v.opened && v.code == 0 {
		v.code = wire.Abnormal
	}
	a.ended(c, v, reason)
	if !v.logged {
		return false
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, endedMessage, 0)
	r.AddAttrs(slog.String("conn", a.name(c.ID())), slog.String("addr", v.addr), slog.String("user_agent", v.agent),
		slog.Float64("seconds", seconds(time.Since(v.began))),
		slog.Uint64("messages_in", v.received), slog.Uint64("messages_out", v.sent))
	if in, out, ok := c.Transferred(); ok {
		r.AddAttrs(slog.Uint64("bytes_in", in), slog.Uint64("bytes_out", out))
	}
	r.AddAttrs(slog.Int("channels", int(v.channels)), slog.Int("status", int(v.status)), slog.Int("code", int(v.code)), slog.String("reason", reasonNames[reason]))
	if v.user != "" {
		r.AddAttrs(slog.String("user", v.user))
	}
	a.write(r)
	return true
}

// seconds returns d to a millisecond. Duration.Seconds would add up two fractions, which shows as
// 3.7039999999999997.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond).Milliseconds()) / 1000
}
