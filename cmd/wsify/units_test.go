//go:build linux

package main

import (
	"errors"
	"math"
	"strconv"
	"testing"
	"time"
)

func TestSizes(t *testing.T) {
	for s, want := range map[string]int{
		"1": 1, "65536": 65536, "10B": 10, "64KiB": 65536, "64kib": 65536, "64 KiB": 65536, "64KB": 64000, "64kB": 64000,
		"1MiB": 1 << 20, "1MB": 1000000, "1GiB": 1 << 30, "1GB": 1000000000,
	} {
		if got, err := parseSize(s); got != want || err != nil {
			t.Errorf("parseSize(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
	for s, want := range map[string]error{
		"": errNoSize, "KiB": errNoSize, "64K": errNoSize, "1.5MiB": errNoSize, "64KiBs": errNoSize, "0x10": errNoSize, "1TiB": errNoSize,
		"0": errNotPositive, "0KiB": errNotPositive, "-1": errNotPositive, "-99999999999999999999": errNotPositive,
		"99999999999999999999": errSizeTooBig, strconv.Itoa(math.MaxInt/2) + "KiB": errSizeTooBig, strconv.Itoa(math.MaxInt) + "GB": errSizeTooBig,
	} {
		if got, err := parseSize(s); !errors.Is(err, want) || got != 0 {
			t.Errorf("parseSize(%q) = %d, %v; want %v", s, got, err, want)
		}
	}
}

func TestASizeIsPrintedInTheLargestUnitThatFits(t *testing.T) {
	for n, want := range map[int]string{
		0: "0", 1: "1B", 999: "999B", 1000: "1KB", 1024: "1KiB", 65536: "64KiB", 64000: "64KB", 1 << 20: "1MiB", 1000000: "1MB", 3 << 29: "1536MiB", 1 << 30: "1GiB",
	} {
		got := formatSize(n)
		if got != want {
			t.Errorf("formatSize(%d) = %q, want %q", n, got, want)
		}
		if back, err := parseSize(got); n > 0 && (back != n || err != nil) {
			t.Errorf("parseSize(%q) = %d, %v; want %d", got, back, err, n)
		}
	}
}

func TestDurationsArePrintedShortAndCanBeReadBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1s", time.Minute: "1m", 90 * time.Second: "1m30s", time.Hour: "1h", time.Hour + time.Second: "1h0m1s",
		10 * time.Minute: "10m", 100 * time.Hour: "100h", time.Hour + 10*time.Minute: "1h10m", 1500 * time.Millisecond: "1.5s", 0: "0s",
	} {
		got := formatDuration(d)
		if back, err := parseDuration(got); got != want || back != d || err != nil {
			t.Errorf("formatDuration(%d) = %q, read back as %v, %v; want %q", d, got, back, err, want)
		}
	}
}
