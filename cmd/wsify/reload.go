//go:build linux

package main

import (
	"errors"
	"log/slog"

	"wsify/internal/server"
)

// values returns the settings by name, as they were given, and how many are from the file. Validate
// may fill in others.
func (c *commandLine) values() (all map[string]string, inFile int) {
	all = map[string]string{}
	for name, s := range c.byName {
		all[name] = s.value.String()
		if s.source == sourceFile {
			inFile++
		}
	}
	return all, inFile
}

// reread reads the settings again: the configuration file, the files of secrets, and what the
// command line and the environment said at the start. It returns all problems, or else what
// differs from what is in force, and takes that for in force where a running server can change it.
func (c *commandLine) reread(log *slog.Logger) (server.Rereading, error) {
	next := newCommandLine()
	next.again = true
	err := errors.Join(next.parse(c.args), next.load(c.env))
	given, inFile := next.values()
	if err = errors.Join(err, next.located(next.server.Validate())); err != nil {
		return server.Rereading{}, err
	}
	for _, w := range next.warnings() {
		log.Warn(w.text, w.key, w.value)
	}
	if inFile == 0 && c.inFile > 0 {
		log.Warn("the configuration file has no settings any more: they have their defaults now", "file", next.configFile)
	}
	c.inFile = inFile
	r := server.Rereading{Config: next.server, LogLevel: next.logLevel, Reloaded: server.Reloaded{Changed: []string{}, Restart: []string{}}}
	for _, s := range next.all {
		switch {
		case given[s.name] == c.inForce[s.name]:
		case s.reload && !(s.counts && c.inForce[s.name] == "0"):
			r.Changed = append(r.Changed, s.flag())
			c.inForce[s.name] = given[s.name]
		default:
			r.Restart = append(r.Restart, s.flag())
		}
	}
	return r, nil
}
