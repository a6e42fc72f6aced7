package dsn

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parameter is a parameter that a DSN may have after the question mark.
type Parameter struct {
	Name string

	// Set sets a value. Its error continues the name, as "must be a number" does.
	Set func(value string) error

	Repeated bool // it may occur more than once
	Unlisted bool // errors do not mention it: an option of former versions
}

var errQuery = errors.New("the DSN's parameters cannot be read: they are written as in ?name=value&name=value, other characters as in %40")

// shownName matches names that can be quoted, because they are not a part of a password.
var shownName = regexp.MustCompile(`^[a-z_]{1,20}$`)

// Read sets the parameters of a query, in the order of their names.
func Read(query string, table []Parameter) error {
	values, err := url.ParseQuery(query)
	if err != nil { // not passed on, because it quotes the query
		return errQuery
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := slices.IndexFunc(table, func(p Parameter) bool { return p.Name == name })
		switch {
		case at < 0:
			return unknown(name, query, table)
		case len(values[name]) > 1 && !table[at].Repeated:
			return fmt.Errorf("the DSN has %s more than once", name)
		}
		for _, value := range values[name] {
			if err := table[at].Set(value); err != nil {
				return fmt.Errorf("the DSN's %s %w", name, err)
			}
		}
	}
	return nil
}

// unknown returns the error about a name, which may be the part of a password after a ?.
func unknown(name, query string, table []Parameter) error {
	var known []string
	for _, p := range table {
		if !p.Unlisted {
			known = append(known, p.Name)
		}
	}
	slices.Sort(known)
	said := ""
	if shownName.MatchString(name) && !strings.Contains(query, "@") {
		said = " " + strconv.Quote(name)
	}
	return fmt.Errorf("the DSN has an unknown parameter%s; there are %s. A '?' in a password is written as %%3F", said, strings.Join(known, ", "))
}

// Text accepts any value.
func Text(to *string) func(string) error {
	return func(value string) error {
		*to = value
		return nil
	}
}

// Switch accepts true and false. The name alone is true.
func Switch(to *bool) func(string) error {
	return func(value string) (err error) {
		if *to = true; value == "" {
			return nil
		}
		if *to, err = strconv.ParseBool(value); err != nil {
			return errors.New("must be true or false")
		}
		return nil
	}
}

// Duration accepts a time above zero.
func Duration(to *time.Duration) func(string) error {
	return func(value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return errors.New("must be a duration above zero with a unit, as in 5s")
		}
		*to = d
		return nil
	}
}
