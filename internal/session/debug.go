package session

import (
	"context"
	"log/slog"
	"strings"

	"wsify/broker"
	"wsify/internal/command"
	"wsify/netpoll"
)

// debugging reports whether the log level is debug. Only then are the actions of peers
// logged, and their log records built.
func (n *Node) debugging() bool {
	return n.log.Enabled(context.Background(), slog.LevelDebug)
}

// logAs keeps the address of a connection for the logs, because the kernel forgets it when
// the peer resets the connection.
func (l *loop) logAs(c *netpoll.Conn, addr string) {
	if v := l.access.visit(c); v != nil {
		v.addr = addr
	}
	if !l.node.debugging() {
		return
	}
	if l.addrs == nil {
		l.addrs = make(map[uint64]string)
	}
	l.addrs[c.ID()] = addr
}

// logAddr returns the address of a connection for the log. A connection that is older than
// the level debug has the one that the kernel knows.
func (l *loop) logAddr(c *netpoll.Conn) string {
	if addr, ok := l.addrs[c.ID()]; ok {
		return addr
	}
	return l.remoteAddr(c)
}

// logOpened writes the record of a session that is open now.
func (l *loop) logOpened(c *netpoll.Conn) {
	if l.node.debugging() {
		l.node.log.Debug("session opened", "conn", l.node.connID(c.ID()), "addr", l.logAddr(c))
	}
}

// endedMessage is the message of the last record of a connection.
const endedMessage = "connection ended"

// logEnded writes the last log record of a connection, unless the access log has one.
func (l *loop) logEnded(c *netpoll.Conn, reason netpoll.Reason, logged bool) {
	if !logged {
		l.node.log.Debug(endedMessage, "conn", l.node.connID(c.ID()), "addr", l.logAddr(c), "reason", reasonNames[reason])
	}
}

// notDone counts, logs and answers a command that was not carried out.
func (l *loop) notDone(c *netpoll.Conn, cmd *command.Command, e *command.Error) {
	l.counts.notDone(e.Code)
	if l.node.debugging() {
		l.refusedLog(c, cmd)(e)
	}
	l.fail(c, cmd.ID, e)
}

// logged wraps done, for a command whose outcome comes later. If the outcome is an error,
// the result of toError is logged first.
func (l *loop) logged(c *netpoll.Conn, cmd *command.Command, toError func(error) *command.Error, done func(error)) func(error) {
	refused := l.refusedLog(c, cmd)
	return func(err error) {
		if err != nil {
			refused(toError(err))
		}
		done(err)
	}
}

// loggedPublication is logged for the outcome of a publication.
func (l *loop) loggedPublication(c *netpoll.Conn, cmd *command.Command, done func(broker.Receipt, error)) func(broker.Receipt, error) {
	log := l.logged(c, cmd, publishError, func(error) {})
	return func(r broker.Receipt, err error) {
		log(err)
		done(r, err)
	}
}

// refusedLog returns a function that logs why cmd was not carried out. It may be
// called later, and from any goroutine.
func (l *loop) refusedLog(c *netpoll.Conn, cmd *command.Command) func(e *command.Error) {
	log := l.node.log.With("conn", l.node.connID(c.ID()), "addr", l.logAddr(c), "command", cmd.Kind.String(), "channel", string(cmd.Channel))
	return func(e *command.Error) {
		log.Debug("command refused", "reason", e.Code, "detail", strings.TrimSpace(e.Message))
	}
}

// logUnpublished logs that a backend's publication was refused.
func (l *loop) logUnpublished(c *netpoll.Conn, reason, detail string) {
	if l.node.debugging() {
		l.node.log.Debug("publication refused", "conn", l.node.connID(c.ID()), "addr", l.logAddr(c), "reason", reason, "detail", detail)
	}
}
