//go:build linux

package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"

	"wsify/internal/server"
)

// value is a flag.Value that stores its value in *to. Command line, environment and file share it.
type value[T any] struct {
	to     *T
	parse  func(string) (T, error)
	format func(T) string
}

// Set changes nothing when it refuses s.
func (v *value[T]) Set(s string) error {
	got, err := v.parse(s)
	if err == nil {
		*v.to = got
	}
	return err
}

func (v *value[T]) String() string { return v.format(*v.to) }

// IsBoolFlag allows a switch without a value on the command line; see package flag.
func (v *value[T]) IsBoolFlag() bool {
	_, ok := any(v.to).(*bool)
	return ok
}

// repeatable is a list to which each further flag adds. The first one takes the place of the
// default.
type repeatable struct {
	value[[]string]
	begun bool
}

func (r *repeatable) Set(s string) error {
	before := *r.to
	if s == "" {
		return errEmpty
	}
	if err := r.value.Set(s); err != nil {
		return err
	}
	if r.begun {
		*r.to = append(before[:len(before):len(before)], *r.to...)
	}
	r.begun = true
	return nil
}

var errEmpty = errors.New("it is empty")

func parseText(s string) (string, error) { return s, nil }

func parseNonEmpty(s string) (string, error) {
	if s == "" {
		return "", errEmpty
	}
	return s, nil
}

func formatText(s string) string { return s }

// off is the value that switches a setting off.
const off = "off"

// parseAdminAddr returns "" for off: no admin listener.
func parseAdminAddr(s string) (string, error) {
	if s == off {
		return "", nil
	}
	return s, nil
}

func formatAdminAddr(addr string) string { return cmp.Or(addr, off) }

// parseList parses a comma-separated list; blanks around the parts are ignored.
func parseList(s string) ([]string, error) {
	parts := strings.Split(s, ",")
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
		if parts[i] == "" {
			return nil, errors.New("a part of the list is empty")
		}
	}
	return parts, nil
}

func formatList(parts []string) string { return strings.Join(parts, ",") }

func parseBool(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, errors.New("it is neither true nor false")
	}
	return b, nil
}

// parseCount accepts whole numbers from 1; parseAuto also accepts 0, with which Validate chooses.
func parseCount(s string) (int, error) {
	n, err := parseAuto(s)
	if err == nil && n == 0 {
		return 0, errNotPositive
	}
	return n, err
}

// parseConnections parses a number of connections that one machine may hold.
func parseConnections(s string) (int, error) {
	n, err := parseCount(s)
	if err == nil && n > 1_000_000_000 {
		err = errors.New("that is more than a machine holds")
	}
	return n, err
}

func parseAuto(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errSizeTooBig
	case err != nil:
		return 0, errors.New("it is not a whole number")
	case n < 0:
		return 0, errors.New("it must not be negative")
	}
	return n, nil
}

// parseMode parses the permissions of a file in octal, as chmod(1) does.
func parseMode(s string) (os.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return 0, errors.New("it is not a mode in octal, as 0660")
	}
	return os.FileMode(n), nil
}

func formatMode(m os.FileMode) string { return fmt.Sprintf("%04o", uint32(m)) }

func parsePolicy(s string) (server.Policy, error) {
	p, err := server.ParsePolicy(s)
	if err != nil {
		return 0, errors.New("it is neither close nor drop")
	}
	return p, nil
}

var levels = []struct {
	name  string
	level slog.Level
}{
	{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError},
}

func parseLevel(s string) (slog.Level, error) {
	for _, l := range levels {
		if l.name == s {
			return l.level, nil
		}
	}
	return 0, errors.New("it is none of debug, info, warn, error")
}

func formatLevel(l slog.Level) string {
	for _, known := range levels {
		if known.level == l {
			return known.name
		}
	}
	return fmt.Sprint(l)
}

func parseLogFormat(s string) (string, error) {
	if !slices.Contains([]string{logJSON, logText}, s) {
		return "", errors.New("it is neither json nor text")
	}
	return s, nil
}

// parseFraction accepts numbers above 0 and up to 1. A default stands in for 0, so 0 is refused.
func parseFraction(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0 && f <= 1) {
		return 0, errors.New("it is not a number above 0 and at most 1, as 0.01")
	}
	return f, nil
}

func formatFraction(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// parseCache returns a negative number for 0: nothing is kept.
func parseCache(s string) (int, error) {
	n, err := parseAuto(s)
	if err == nil && n == 0 {
		return -1, nil
	}
	return n, err
}

func formatCache(n int) string { return strconv.Itoa(max(n, 0)) }
