//go:build linux

package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// envPrefix begins the names of variables that are settings.
const envPrefix = "WSIFY_"

// kubernetes matches the variables that Kubernetes makes in each container for a
// service whose name begins with wsify; the value of a …_PORT is tcp://10.0.0.1:3000.
var kubernetes = regexp.MustCompile(`^WSIFY_([A-Z0-9_]+_)?(SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=|PORT=[a-z]+://|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=)`)

// checkNames returns a problem for each variable of env that looks like a setting and is not one,
// because its author expects an effect.
func (c *commandLine) checkNames(env map[string]string) (problems []error) {
	known := c.envNames()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		ours := strings.HasPrefix(strings.ToUpper(name), envPrefix)
		if ours && !slices.Contains(known, name) && !kubernetes.MatchString(name+"="+env[name]) {
			problems = append(problems, noSetting(name, known))
		}
	}
	return problems
}

// emptyNames returns the settings in env that are empty, and so count as not set.
func (c *commandLine) emptyNames(env map[string]string) (names []string) {
	for _, name := range c.envNames() {
		if value, ok := env[name]; ok && value == "" {
			names = append(names, name)
		}
	}
	return names
}

// envNames returns the variables that are settings.
func (c *commandLine) envNames() []string { return c.names((*setting).env, (*setting).fileEnv) }

// names returns the names of all settings, by one or more of setting's methods.
func (c *commandLine) names(by ...func(*setting) string) (names []string) {
	for _, s := range c.all {
		for _, called := range by {
			if name := called(s); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

// nameOf returns what is in front of the first = : or blank of text, and whether anything was cut
// off. What follows may be a secret, so no message has it.
func nameOf(text string) (name string, cut bool) {
	if i := strings.IndexAny(text, "=: \t"); i >= 0 {
		return text[:i], true
	}
	return text, false
}

// noSetting returns the error about an unknown name. It suggests the known name that is the fewest
// edits away. It repeats nothing behind the name.
func noSetting(text string, known []string) error {
	name, cut := nameOf(text)
	if cut && slices.Contains(known, name) {
		return fmt.Errorf("%s has to be followed by a space and its value: %s VALUE", name, name)
	}
	near, _ := nearest(name, known)
	return fmt.Errorf("%s is no setting; the nearest is %s", name, near)
}

// nearest returns the known name that is the fewest edits away from name, and how many those are.
func nearest(name string, known []string) (near string, distance int) {
	plain := func(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }
	away := func(from string) int { return edits(plain(name), plain(from)) }
	near = slices.MinFunc(known, func(a, b string) int { return away(a) - away(b) })
	return near, away(near)
}

// edits returns how many letters must be added, removed or replaced to turn a into b (Levenshtein's
// distance).
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
