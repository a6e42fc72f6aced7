//go:build linux

package main

import "strconv"

// warning is something unusual about a valid configuration.
type warning struct{ text, key, value string }

// warnings returns the warnings about a configuration, for -check-config and the log of the start.
// A repeated flag is a warning, not a problem: scripts append flags to those they were given, and
// rely on the last one. A flag that adds to the ones before may be repeated.
func (c *commandLine) warnings() (found []warning) {
	if c.server.UnusedDSN() {
		found = append(found, warning{"-broker-dsn is set, and the broker does not use it", "broker", c.server.BrokerDriver})
	}
	if c.server.CommandBurst > 0 && c.server.CommandRate == 0 {
		found = append(found, warning{"-command-burst is set without -command-rate, and has no effect", "burst", strconv.Itoa(c.server.CommandBurst)})
	}
	for _, name := range c.empty {
		found = append(found, warning{"a variable is set and empty, which counts as not set", "variable", name})
	}
	for _, g := range c.settings {
		for _, s := range g.settings {
			if _, adds := s.value.(*repeatable); s.given > 1 && !adds {
				found = append(found, warning{"a flag is given more than once, and the last one counts", "flag", s.flag()})
			}
		}
	}
	return found
}
