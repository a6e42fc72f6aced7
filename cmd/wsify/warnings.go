//go:build linux

package main

import (
	"net/netip"
	"os"
	"strconv"

	"wsify/internal/server"
)

// warning is something unusual about a valid configuration.
type warning struct{ text, key, value string }

// warnings returns the warnings about a configuration, for -check-config and the log of the start.
// A repeated flag is a warning, not a problem: scripts append flags to those they were given, and
// rely on the last one. A flag that adds to the ones before may be repeated.
func (c *commandLine) warnings() (found []warning) {
	if c.server.UnusedDSN() {
		found = append(found, warning{"-broker-dsn is set, and the broker does not use it", "broker", c.server.BrokerDriver})
	}
	found = append(found, c.unusedLimits()...)
	for _, entry := range c.server.TrustedProxies {
		if tooWide(entry) {
			found = append(found, warning{"-trusted-proxies has a network wider than any private one, and whoever is in it can forge client addresses", "network", entry})
		}
	}
	found = append(found, c.openSecrets()...)
	for _, name := range c.empty {
		found = append(found, warning{"a variable is set and empty, which counts as not set", "variable", name})
	}
	for _, s := range c.all {
		if _, adds := s.value.(*repeatable); s.given > 1 && !adds {
			found = append(found, warning{"a flag is given more than once, and the last one counts", "flag", s.flag()})
		}
	}
	return found
}

// openSecrets returns a warning for each secret in a configuration file that every user may read.
func (c *commandLine) openSecrets() (found []warning) {
	info, err := os.Stat(c.configFile)
	if err != nil || !info.Mode().IsRegular() || info.Mode()&0o004 == 0 {
		return nil
	}
	for _, s := range c.all {
		if s.secret && s.source == sourceFile {
			found = append(found, warning{"a secret is in a file that every user may read; take the right away, or set " + s.fileEnv(), "place", s.place + " " + s.name})
		}
	}
	return found
}

// unusedLimits returns a warning for each limit that has no effect.
func (c *commandLine) unusedLimits() (found []warning) {
	if c.server.CommandBurst > 0 && c.server.CommandRate == 0 {
		found = append(found, warning{"-command-burst is set without -command-rate, and has no effect", "burst", strconv.Itoa(c.server.CommandBurst)})
	}
	if c.server.RatePolicy == server.PolicyDrop && c.server.CommandRate == 0 {
		found = append(found, warning{"-rate-policy is set without -command-rate, and has no effect", "policy", c.server.RatePolicy.String()})
	}
	if all := c.server.MaxConnections; all > 0 && c.server.MaxConnectionsPerAddress > all {
		found = append(found, warning{"-max-connections-per-address is more than -max-connections, and has no effect", "per_address", strconv.Itoa(c.server.MaxConnectionsPerAddress)})
	}
	return found
}

// tooWide reports whether a valid entry of -trusted-proxies is a network larger than the largest
// private ones, 10.0.0.0/8 and fc00::/7.
func tooWide(entry string) bool {
	network, err := netip.ParsePrefix(entry)
	if err != nil { // one address, or unix
		return false
	}
	return network.Bits() < 7 || network.Addr().Is4() && network.Bits() < 8
}
