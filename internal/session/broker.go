package session

import (
	"errors"

	"wsify/broker"
	"wsify/internal/command"
	"wsify/netpoll"
)

// roomInBroker resumes a session that waits to publish. The broker calls it.
func (n *Node) roomInBroker(w *broker.Waiter) {
	net := n.group.LoopOf(w.ID)
	l := n.loops[net.Index()]
	net.PostTo(w.ID, func(c *netpoll.Conn) { l.brokerRoomCame(c, w) })
}

// Errors of the broker, as clients see them. The original texts may name machines.
var (
	errBrokerUnknown = &command.Error{Code: command.BrokerDown, Message: "the broker became unreachable; it may have been published"}
	errBrokerLimit   = &command.Error{Code: command.Limit, Message: broker.ErrTooBig.Error() + ": not published"}
	errBrokerRefused = &command.Error{Code: command.BrokerDown, Message: "the broker refused the publication"}
	errJoinedDeaf    = &command.Error{Code: command.BrokerDown, Message: "joined, but the broker is unreachable: nothing is received until it is back"}
	errHistory       = &command.Error{Code: command.BrokerDown, Message: "joined, but the history cannot be read: messages may have been missed"}
	errJoinedRefused = &command.Error{Code: command.BrokerDown, Message: "joined, but the broker does not confirm the subscription: messages may be missed"}
)

// publishError returns the error that a client gets for its publication.
func publishError(err error) *command.Error {
	switch {
	case errors.Is(err, broker.ErrUnknown):
		return errBrokerUnknown
	case errors.Is(err, broker.ErrDown), errors.Is(err, broker.ErrClosed):
		return command.ErrBrokerDown
	case errors.Is(err, broker.ErrTooBig):
		return errBrokerLimit
	}
	return errBrokerRefused
}

// joinError returns the error that a client gets for its join. The connection is a member
// all the same: the broker retries the subscription until it succeeds.
func joinError(err error) *command.Error {
	if errors.Is(err, broker.ErrDown) || errors.Is(err, broker.ErrClosed) {
		return errJoinedDeaf
	}
	return errJoinedRefused
}
