//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"wsify/internal/doctor"
)

// unlikeService says which settings of wsify.service this command does not have, and the line that
// has them; "" when there are none, or when something else is examined than the service. Only
// systemd reads an EnvironmentFile: its syntax is not that of a shell.
func (c *commandLine) unlikeService(root fs.FS) string {
	service := doctor.ReadService(root)
	if c.configFile == "" && c.anySet() || c.configFile != "" && c.configFile != service.Config {
		return ""
	}
	var missing, line []string
	for _, e := range service.Environments {
		lacks := func(name string) bool { return strings.HasPrefix(name, envPrefix) && c.env[name] == "" }
		if e.Hidden || slices.ContainsFunc(e.Names, lacks) {
			missing = append(missing, e.Path)
			line = append(line, "--property=EnvironmentFile="+e.Path)
		}
	}
	as := "Run"
	if len(line) > 0 {
		as = "As root" // so that systemd does it
		line = append([]string{"systemd-run --quiet --pipe --wait"}, line...)
	}
	if c.configFile != service.Config {
		missing = append(missing, service.Config)
	}
	if len(missing) == 0 {
		return ""
	}
	if line = append(line, "wsify"); c.command != "" {
		line = append(line, c.command)
	} else {
		line = append(line, "-check-config")
	}
	if service.Config != "" {
		line = append(line, "-config", service.Config)
	}
	return fmt.Sprintf("wsify.service also reads %s, this command did not. %s: %s", strings.Join(missing, " and "), as, strings.Join(line, " "))
}

// anySet reports whether a setting has another source than its default.
func (c *commandLine) anySet() bool {
	return slices.ContainsFunc(c.all, func(s *setting) bool { return !s.once && s.source != sourceDefault })
}
