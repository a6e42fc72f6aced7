//go:build linux

package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// units are the suffixes of a size, the preferred ones first. KiB is 1024 bytes and KB 1000 (IEC
// 80000-13).
var units = []struct {
	name  string
	bytes int
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1_000_000_000}, {"MB", 1_000_000}, {"KB", 1_000}, {"B", 1},
}

var (
	errNotPositive = errors.New("it must be more than zero")
	errNoSize      = errors.New("it is not a size; write bytes, or a whole number with KiB, MiB, GiB, KB, MB or GB, as in 64KiB")
	errNoDuration  = errors.New("it is not a duration; write a number with ms, s, m or h, as in 25s or 1m30s")
	errSizeTooBig  = errors.New("it is more than this machine can count")
)

// parseSize parses a size above zero, in bytes. The unit may be in any case, and a space may
// separate it.
func parseSize(s string) (int, error) {
	number, factor := s, 1
	for _, u := range units {
		if rest, ok := cutSuffixFold(s, u.name); ok {
			number, factor = strings.TrimRight(rest, " "), u.bytes
			break
		}
	}
	n, err := strconv.Atoi(number)
	switch {
	case errors.Is(err, strconv.ErrRange) && n > 0, err == nil && n > math.MaxInt/factor:
		return 0, errSizeTooBig
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, errNoSize
	case n <= 0:
		return 0, errNotPositive
	}
	return n * factor, nil
}

// parseSizeOrAuto also accepts 0, with which Validate chooses.
func parseSizeOrAuto(s string) (int, error) {
	if s == "0" {
		return 0, nil
	}
	return parseSize(s)
}

func cutSuffixFold(s, suffix string) (before string, ok bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}

// formatSize formats n in the largest unit that divides it.
func formatSize(n int) string {
	for _, u := range units {
		if n%u.bytes == 0 && n != 0 {
			return strconv.Itoa(n/u.bytes) + u.name
		}
	}
	return strconv.Itoa(n)
}

// parseDuration returns a duration of zero or more.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	bare := s != "" && strings.Trim(s, "0123456789.") == ""
	switch {
	case err == nil && d < 0:
		return 0, errors.New("it must not be negative")
	case err == nil:
		return d, nil
	case bare:
		return 0, fmt.Errorf("it has no unit; write %ss for seconds, or use ms, m or h", s)
	}
	return 0, errNoDuration
}

func parseTimeout(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err == nil && d == 0 {
		return 0, errNotPositive
	}
	return d, err
}

// formatDuration returns d as Duration.String does, without the parts that are zero: 1m for 1m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// pingOff is the value of Config.PingInterval without pings; on the command line it is 0.
const pingOff = time.Duration(-1)

func parsePingInterval(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err == nil && d == 0 {
		return pingOff, nil
	}
	return d, err
}

func formatPingInterval(d time.Duration) string {
	if d < 0 {
		return "0"
	}
	return formatDuration(d)
}
