//go:build linux

package main

import (
	"bufio"
	"net"
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
		l := startLogged(t, "-max-memory", "16MiB")
		half := upgrade + "\x81\xfe\xff\x00\x00\x00\x00\x00" + strings.Repeat("x", 60<<10) // of a message
		for end := time.Now().Add(patience); !strings.Contains(l.answer(half), " 503 "); {
			if time.Now().After(end) {
				t.Fatal("unfinished messages took all memory, and no client is refused")
			}
		}
	})
}

// answer sends a request on a connection that stays, and returns the first line of the answer,
// or "" if there is none.
func (l *logged) answer(request string) string {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Write([]byte(request))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line
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
