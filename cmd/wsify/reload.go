//go:build linux

package main

import (
	"errors"
	"log/slog"

	"wsify/internal/server"
)

// values returns the settings by name, as they were given. Validate may fill in others.
func (c *commandLine) values() map[string]string {
	all := map[string]string{}
	for name, s := range c.byName {
		all[name] = s.value.String()
	}
	return all
}

// reread reads the settings again: the configuration file, the files of secrets, and what the
// command line and the environment said at the start. It returns all problems, or else what
// differs from what is in force, and takes that for in force where a running server can change it.
func (c *commandLine) reread(log *slog.Logger) (server.Rereading, error) {
	next := newCommandLine()
	err := errors.Join(next.parse(c.args), next.load(c.env))
	given := next.values()
	if err = errors.Join(err, next.located(next.server.Validate())); err != nil {
		return server.Rereading{}, err
	}
	for _, w := range next.warnings() {
		log.Warn(w.text, w.key, w.value)
	}
	r := server.Rereading{Config: next.server, LogLevel: next.logLevel}
	for _, g := range next.settings {
		for _, s := range g.settings {
			switch {
			case given[s.name] == c.inForce[s.name]:
			case s.reload && !(s.counts && c.inForce[s.name] == "0"):
				r.Changed = append(r.Changed, s.flag())
				c.inForce[s.name] = given[s.name]
			default:
				r.Restart = append(r.Restart, s.flag())
			}
		}
	}
	return r, nil
}
