//go:build linux

package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
)

const mask = "********"

// writeConfig prints every setting with its value and source, in the form that -config reads. A
// setting that has no value or is masked is printed as a comment.
func writeConfig(w io.Writer, groups []group) {
	for _, g := range groups {
		fmt.Fprintf(w, "# %s\n", g.title)
		for _, s := range g.settings {
			if !s.once {
				writeSetting(w, s)
			}
		}
	}
}

func writeSetting(w io.Writer, s *setting) {
	shown := s.value.String()
	switch {
	case shown == "":
		fmt.Fprintf(w, "# %s is not set\n", s.name)
	case s.secret:
		fmt.Fprintf(w, "# %-27s %s # %s\n", s.name, masked(shown), s.source)
	case s.name == "config":
		fmt.Fprintf(w, "# %-27s %s # %s\n", s.name, shown, s.source)
	default:
		fmt.Fprintf(w, "%-29s %s # %s\n", s.name, shown, s.source)
	}
}

// masked returns only the host of a secret URL, which an operator needs to see. User, password,
// path and query may each be secret.
func masked(secret string) string {
	u, err := url.Parse(secret)
	if err != nil || u.Scheme == "" || u.Hostname() == "" {
		return mask
	}
	if at := strings.Count(secret, "@"); at > 1 || at == 1 && u.User == nil { // the parsed host may be part of a password
		return mask
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host}
	if u.User == nil && (u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "" {
		return shown.String()
	}
	return shown.String() + "/" + mask
}
