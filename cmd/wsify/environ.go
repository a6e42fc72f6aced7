//go:build linux

package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// envPrefix begins the names of the variables that are settings.
const envPrefix = "WSIFY_"

// kubernetes matches the variables that Kubernetes makes in each container for a
// service whose name begins with wsify; the value of a …_PORT is tcp://10.0.0.1:3000.
var kubernetes = regexp.MustCompile(`^WSIFY_([A-Z0-9_]+_)?(SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=|PORT=[a-z]+://|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=)`)

// checkNames returns a problem for each variable of env that looks like a setting and
// is none: whoever wrote it believes that it has an effect.
func (c *commandLine) checkNames(env map[string]string) (problems []error) {
	known := c.envNames()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) && !kubernetes.MatchString(name+"="+env[name]) {
			problems = append(problems, fmt.Errorf("%s is no setting; the nearest is %s", name, nearest(name, known)))
		}
	}
	return problems
}

// emptyNames returns the settings that are in env and empty, which counts as not set.
func (c *commandLine) emptyNames(env map[string]string) (names []string) {
	for _, name := range c.envNames() {
		if value, ok := env[name]; ok && value == "" {
			names = append(names, name)
		}
	}
	return names
}

// envNames are the variables that are settings.
func (c *commandLine) envNames() (names []string) {
	for _, g := range c.settings {
		for _, s := range g.settings {
			for _, name := range []string{s.env(), s.fileEnv()} {
				if name != "" {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// nearest returns that of names which is the fewest edits away.
func nearest(name string, names []string) string {
	return slices.MinFunc(names, func(a, b string) int { return edits(name, a) - edits(name, b) })
}

// edits is how many letters have to be added, removed or replaced to make b of a
// (Levenshtein's distance).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		above := row[0]
		row[0]++
		for j := range len(b) {
			replaced := above
			if a[i] != b[j] {
				replaced++
			}
			above = row[j+1]
			row[j+1] = min(replaced, above+1, row[j]+1)
		}
	}
	return row[len(b)]
}
