package server

import (
	"errors"
	"fmt"
	"strings"

	"wsify/broker"
	"wsify/broker/nats"
	"wsify/broker/redis"
	"wsify/internal/command"
	"wsify/netpoll"
)

// drivers are the brokers that there are.
var drivers = []broker.Driver{broker.MemoryDriver, redis.Driver, nats.Driver}

// driverOf returns the driver that the configuration names.
func driverOf(c *Config) (broker.Driver, error) {
	var names []string
	for _, d := range drivers {
		if d.Name == c.BrokerDriver {
			return d, nil
		}
		names = append(names, d.Name)
	}
	last := len(names) - 1
	return broker.Driver{}, fmt.Errorf("there is no broker %q; there are %s and %s", c.BrokerDriver, strings.Join(names[:last], ", "), names[last])
}

// UnusedDSN reports whether there is a BrokerDSN, and the broker has no engine.
func (c *Config) UnusedDSN() bool {
	d, err := driverOf(c)
	return c.BrokerDSN != "" && err == nil && d.Check == nil
}

// brokerConfig is what a driver is told.
func brokerConfig(c *Config) broker.Config {
	return broker.Config{
		DSN: c.BrokerDSN, Prefix: c.BrokerPrefix, BufferSize: c.BrokerBuffer,
		MaxContent: c.MaxMessageSize, MaxChannel: c.MaxChannelLength, Logger: c.Logger,
	}
}

// brokerWaits is who waits for room in a channel when it is the broker that has
// something to deliver. No connection has this ID: a generation is never 0.
const brokerWaits = 0

// roomInBroker lets a session go on that waited to publish. The broker calls it.
func (srv *Server) roomInBroker(w *broker.Waiter) {
	net := srv.group.LoopOf(w.ID)
	l := srv.loops[net.Index()]
	net.PostTo(w.ID, func(c *netpoll.Conn) { l.brokerRoomCame(c, w) })
}

// What clients are told of an error of the broker, which itself may name machines.
var (
	errBrokerUnknown = &command.Error{Code: command.BrokerDown, Message: "the broker went away meanwhile; it may have been published"}
	errBrokerLimit   = &command.Error{Code: command.Limit, Message: broker.ErrTooBig.Error() + ": not published"}
	errBrokerRefused = &command.Error{Code: command.BrokerDown, Message: "the broker refused it"}
	errJoinedDeaf    = &command.Error{Code: command.BrokerDown, Message: "joined, but the broker is away: nothing is heard until it is back"}
	errJoinedRefused = &command.Error{Code: command.BrokerDown, Message: "joined, but the broker does not confirm the subscription: nothing may be heard"}
)

// publishError returns what a client is told about its publication.
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

// joinError returns what a client is told about its join, which stands: the
// subscription is asked for again until it is in force.
func joinError(err error) *command.Error {
	if errors.Is(err, broker.ErrDown) || errors.Is(err, broker.ErrClosed) {
		return errJoinedDeaf
	}
	return errJoinedRefused
}
