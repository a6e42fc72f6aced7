package server

import (
	"fmt"
	"strings"

	"wsify/broker"
	"wsify/broker/nats"
	"wsify/broker/redis"
)

// drivers are the available brokers.
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

// UnusedDSN reports whether a BrokerDSN is set for a broker without an engine.
func (c *Config) UnusedDSN() bool {
	d, err := driverOf(c)
	return c.BrokerDSN != "" && err == nil && d.Check == nil
}

// brokerConfig returns the configuration for a driver.
func brokerConfig(c *Config) broker.Config {
	return broker.Config{
		DSN: c.BrokerDSN, Prefix: c.BrokerPrefix, BufferSize: c.BrokerBuffer,
		MaxContent: c.MaxMessageSize, MaxChannel: c.MaxChannelLength, Logger: c.Logger,
		History: c.history(),
	}
}
