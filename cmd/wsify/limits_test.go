//go:build linux

package main

import (
	"strings"
	"testing"
	"time"
)

// Each limit of the command line is in force in the program.
func TestTheLimitsOfTheCommandLineAreInForce(t *testing.T) {
	t.Parallel() // mostly waits
	t.Run("places", func(t *testing.T) {
		l := startLogged(t, "-max-connections", "1")
		l.connect()
		l.wantStatus("503", upgrade)
	})
	t.Run("places of an address", func(t *testing.T) {
		l := startLogged(t, "-max-connections-per-address", "1")
		l.connect()
		l.wantStatus("429", upgrade)
	})
	t.Run("upgrades in a second", func(t *testing.T) {
		l := startLogged(t, "-accept-rate", "1")
		l.until("503", upgrade)
	})
	t.Run("publications in a second", func(t *testing.T) {
		l := startLogged(t, "-broadcasting-key", "k", "-publish-rate", "1")
		l.until("429", publication("k"))
	})
	t.Run("commands at once", func(t *testing.T) {
		l := startLogged(t, "-command-rate", "1", "-command-burst", "3")
		c := l.connect()
		c.write(strings.Repeat("\x81\x80\x00\x00\x00\x00", 100)) // empty messages
		const text = "too many commands a second"
		c.want("close code 4029", "\x88"+string(rune(2+len(text)))+"\x0f\xbd"+text)
	})
	t.Run("memory", func(t *testing.T) {
		l := startLogged(t, "-max-memory", "1MiB") // less than the program needs
		l.until("503", upgrade)
	})
}

// until sends a request again and again, until it gets this status.
func (l *logged) until(want, request string) {
	l.t.Helper()
	for end := time.Now().Add(patience); l.status(request) != want; {
		if time.Now().After(end) {
			l.t.Fatalf("%.60q: never %s", request, want)
		}
	}
}
