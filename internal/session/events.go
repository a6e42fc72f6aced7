package session

import (
	"strings"
	"time"

	"wsify/hub"
	"wsify/internal/events"
	"wsify/internal/wire"
	"wsify/netpoll"
)

// CheckEvent returns an error when name is none of a lifecycle event.
func CheckEvent(name string) error {
	_, err := events.ParseKind(name)
	return err
}

func (n *Node) openEvents() (err error) {
	n.lifecycle, err = events.Open(events.Config{
		Kinds: n.cfg.Events, URL: n.cfg.EventsURL, Timeout: n.cfg.AuthorizerTimeout, TLS: n.cfg.AuthorizerTLS,
		Node: strings.TrimSuffix(n.name, "-"), Logger: n.faults,
	})
	return err
}

// sessionEvents returns nil when no events of sessions are sent.
func (n *Node) sessionEvents() *events.Sender {
	if s := n.lifecycle; s.Wants(events.Disconnect) || s.Wants(events.Slow) || s.Wants(events.Kicked) {
		return s
	}
	return nil
}

// timeForEvents is the part of a shutdown's time that is kept for the events of its last ends.
func (n *Node) timeForEvents(timeout time.Duration) time.Duration {
	if n.lifecycle == nil {
		return 0
	}
	return timeout / 3
}

// watcher returns what the hub tells of first and last members: the broker, and the events of
// channels, if they are sent.
func (n *Node) watcher() hub.Watcher {
	if channels := n.lifecycle.Channels(); channels != nil {
		return watchers{n.subscriptions(), channels}
	}
	return n.subscriptions()
}

// watchers tells two of channels. Implicit channels have no events.
type watchers struct{ broker, events hub.Watcher }

// Subscribe implements hub.Watcher.
func (w watchers) Subscribe(channel string) {
	w.broker.Subscribe(channel)
	if !strings.HasPrefix(channel, hub.ImplicitPrefix) {
		w.events.Subscribe(channel)
	}
}

// Unsubscribe implements hub.Watcher.
func (w watchers) Unsubscribe(channel string) {
	w.broker.Unsubscribe(channel)
	if !strings.HasPrefix(channel, hub.ImplicitPrefix) {
		w.events.Unsubscribe(channel)
	}
}

// report hands over an event of a session. Without room in the queue it is lost and counted.
func (l *loop) report(c *netpoll.Conn, s *session, kind events.Kind, code wire.CloseCode, reason string) {
	if l.node.lifecycle.Wants(kind) {
		v := l.access.visit(c)
		v.user = l.userOf(s)
		l.access.tell(c, v, kind, code, reason)
	}
}

// tell hands over an event of a session of which v is noted.
func (a *accessLog) tell(c *netpoll.Conn, v *visit, kind events.Kind, code wire.CloseCode, reason string) {
	open := seconds(time.Since(v.began))
	a.events.Add(&events.Event{
		Kind: kind, Connection: a.name(c.ID()), User: v.user, Address: v.addr, Code: uint16(code), Reason: reason, Seconds: &open, Time: time.Now(),
	})
}

// ended hands over the event of the end of a session. A connection that never was one has none.
func (a *accessLog) ended(c *netpoll.Conn, v *visit, reason netpoll.Reason) {
	if v.slow {
		a.laggards--
	}
	if v.opened && a.events.Wants(events.Disconnect) {
		a.tell(c, v, events.Disconnect, v.code, reasonNames[reason])
	}
}

// slowQuiet is how long nothing was dropped for a slow consumer that has caught up. Queues at their
// limit become full and empty in turns.
const slowQuiet = 3 * time.Second

// reportSlow hands over that a session became a slow consumer: once, until it has caught up. code is
// 0 when the session goes on.
func (l *loop) reportSlow(c *netpoll.Conn, s *session, code wire.CloseCode, reason netpoll.Reason) {
	if !l.node.lifecycle.Wants(events.Slow) || !s.isClient() {
		return
	}
	v := l.access.visit(c)
	if v.dropped = l.net.Tick(); !v.slow {
		v.slow = true
		l.access.laggards++
		l.report(c, s, events.Slow, code, reasonNames[reason])
	}
}

// caughtUp looks for members that have been slow, for which nothing waits any more, and nothing was
// dropped for slowQuiet. It is called before something is delivered to them.
func (l *loop) caughtUp(members []hub.Member) {
	if l.access.laggards == 0 {
		return
	}
	quiet, now := uint32(slowQuiet/l.node.tick), l.net.Tick()
	for _, m := range members {
		if v := *l.access.visits.At(m.Conn); v.slow && now-v.dropped > quiet && l.net.ConnAt(m.Conn).Queued() == 0 {
			v.slow = false
			l.access.laggards--
		}
	}
}
