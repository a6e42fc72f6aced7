package server

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"wsify/internal/testtool"
)

// Without a configured key, each start makes one and logs it once.
func TestTheKeyOfARunIsLoggedOnce(t *testing.T) {
	said := regexp.MustCompile(`level=WARN .* key=([A-Z2-7]+) command="(.*)"`)
	seen := map[string]bool{}
	for range 2 {
		book := &testtool.Log{}
		srv := start(t, Config{Logger: book.Logger()})
		found := said.FindAllStringSubmatch(book.String(), -1)
		if len(found) != 1 || len(found[0][1]) < 26 { // characters of five bits each
			t.Fatalf("no key of 128 bits, or not once, in the log:\n%s", book)
		}
		key, command := found[0][1], found[0][2]
		if seen[key] {
			t.Error("the key is that of the start before")
		}
		seen[key] = true
		for _, want := range []string{"curl 'http://" + srv.Addr().String() + "/broadcast'", "Authorization: Bearer " + key, "application/json"} {
			if !strings.Contains(command, want) {
				t.Errorf("command %q, want %q in it", command, want)
			}
		}
		dial(t, srv.Addr()).expect(t, postRequest(key, `{"channel":"c"}`), 201)
	}
}

// A server with a key, or with -broadcast-open, logs no key.
func TestNoKeyIsLoggedWhereNoneIsMade(t *testing.T) {
	for _, cfg := range []Config{{BroadcastingKey: "hunter2"}, {BroadcastOpen: true}} {
		book := &testtool.Log{}
		cfg.Logger = book.Logger()
		start(t, cfg)
		if log := book.String(); strings.Contains(log, "hunter2") || strings.Contains(log, "key=") {
			t.Errorf("a key is in the log:\n%s", log)
		}
		if cfg.BroadcastOpen != strings.Contains(book.String(), "open to everyone") {
			t.Errorf("-broadcast-open %t:\n%s", cfg.BroadcastOpen, book)
		}
	}
}

// The command works when it is copied from a line of the log, in both formats, at every log level.
func TestTheLoggedCommandWorksWhenItIsPasted(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	socket := "unix:" + filepath.Join(t.TempDir(), "a socket")
	for _, c := range []struct {
		listen, level, proxies string
		handler                func(w io.Writer, o *slog.HandlerOptions) slog.Handler
	}{
		{"127.0.0.1:0", "WARN", "", func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) }},
		{socket, "ERROR", "", func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) }},
		{"127.0.0.1:0", "WARN", "required", func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) }},
	} {
		book, level := &testtool.Log{}, slog.LevelInfo
		if err := level.UnmarshalText([]byte(c.level)); err != nil {
			t.Fatal(err)
		}
		srv := start(t, Config{ListenAddrs: []string{c.listen}, ProxyProtocol: c.proxies, Logger: slog.New(c.handler(book, &slog.HandlerOptions{Level: level}))})
		found := regexp.MustCompile(c.level + `.*command"?[=:]"([^"]*)"`).FindStringSubmatch(book.String())
		if found == nil {
			t.Fatalf("at level %s there is no command in the log:\n%s", c.level, book)
		}
		member := dial(t, srv.Addr())
		if c.proxies == "required" {
			_, _ = io.WriteString(member, "PROXY UNKNOWN\r\n")
		}
		if err := errors.Join(member.upgrade(), member.roundTrip("news")); err != nil { // it is a member from here on
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-c", found[1]).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", found[1], err, out)
		}
		if text, err := member.heard(); err != nil || text != `"hello"` {
			t.Errorf("the member got %q, %v", text, err)
		}
	}
}

func TestTheCommandReachesTheServer(t *testing.T) {
	if got := curlLine(&net.UnixAddr{Name: "/s", Net: "unix"}, "KEY", true); !strings.Contains(got, " --haproxy-protocol ") {
		t.Errorf("%s: want a PROXY header with it", got)
	}
	for want, addr := range map[string]net.Addr{
		"curl 'http://localhost:3000/broadcast' ":                          &net.TCPAddr{IP: net.IPv6unspecified, Port: 3000},
		"curl 'http://[::1]:3000/broadcast' ":                              &net.TCPAddr{IP: net.IPv6loopback, Port: 3000},
		"curl --unix-socket '/run/wsify.sock' http://localhost/broadcast ": &net.UnixAddr{Name: "/run/wsify.sock", Net: "unix"},
	} {
		if got := curlLine(addr, "KEY", false); !strings.Contains(got, "| "+want) || strings.ContainsAny(got, `"\`) {
			t.Errorf("%s: %s, want %s in it, and nothing that a log escapes", addr, got, want)
		}
	}
}
