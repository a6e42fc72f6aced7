package server

import (
	"io"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Where a request comes from opens nothing: whoever is near, behind a proxy or not,
// and whatever a page says, needs the key.
func TestOnlyTheKeyAdmitsAPublication(t *testing.T) {
	const body = `{"channel":"c","content":1}`
	const right, wrong = "Authorization: Bearer k", "Authorization: Bearer x"
	for _, c := range []struct {
		name   string
		cfg    Config
		target string
		header []string
		want   int
	}{
		{"the key", Config{BroadcastingKey: "k"}, "/broadcast?key=k", nil, 201},
		{"the key in a header", Config{BroadcastingKey: "k"}, "/broadcast", []string{right}, 201},
		{"the key behind another parameter", Config{BroadcastingKey: "a b&"}, "/broadcast?x=1&key=a+b%26", nil, 201},
		{"no key", Config{BroadcastingKey: "k"}, "/broadcast", nil, 403},
		{"an empty key", Config{BroadcastingKey: "k"}, "/broadcast?key", nil, 403},
		{"broken escapes", Config{BroadcastingKey: "k"}, "/broadcast?key=%6", nil, 403},
		{"the key, and -broadcast-open", Config{BroadcastingKey: "k", BroadcastOpen: true}, "/broadcast?key=k", nil, 201},
		{"no key, and -broadcast-open beside one", Config{BroadcastingKey: "k", BroadcastOpen: true}, "/broadcast", nil, 403},
		{"no key where none is set", Config{}, "/broadcast", nil, 403},
		{"no key where none is set, from a proxy", Config{}, "/broadcast", []string{"X-Forwarded-For: 127.0.0.1"}, 403},
		{"no key where none is set, from a page here", Config{}, "/broadcast", []string{"Origin: http://localhost:3000"}, 403},
		{"a wrong key where none is set", Config{}, "/broadcast?key=", nil, 403},
		{"no key, and -broadcast-open", Config{BroadcastOpen: true}, "/broadcast", nil, 201},
		{"no key, and -broadcast-open, through a proxy", Config{BroadcastOpen: true}, "/broadcast", []string{"X-Forwarded-For: 192.0.2.1"}, 201},
		{"another scheme, and -broadcast-open", Config{BroadcastOpen: true}, "/broadcast", []string{"Authorization: Basic eDp5"}, 201},
		{"a wrong key, and -broadcast-open", Config{BroadcastOpen: true}, "/broadcast", []string{wrong}, 403},
		{"a wrong key in the query, and -broadcast-open", Config{BroadcastOpen: true}, "/broadcast?key=x", nil, 403},
		{"an empty key in a header, and -broadcast-open", Config{BroadcastOpen: true}, "/broadcast", []string{"Authorization: Bearer "}, 403},
		{"an empty key, and -broadcast-open", Config{BroadcastOpen: true}, "/broadcast?key=", nil, 403},
	} {
		srv := startAs(t, c.cfg)
		if res := post(t, srv, c.target, body, c.header...); res.status != c.want {
			t.Errorf("%s: %d %q, want %d", c.name, res.status, res.body, c.want)
		}
	}
}

// Without a key of the operator's each start makes one, which the log tells once.
func TestTheKeyOfARunIsLoggedOnce(t *testing.T) {
	said := regexp.MustCompile(`level=WARN .* key=([A-Z2-7]+) command="(.*)"`)
	seen := map[string]bool{}
	for range 2 {
		book := &logBook{}
		srv := startAs(t, Config{Logger: book.logger()})
		found := said.FindAllStringSubmatch(book.String(), -1)
		if len(found) != 1 || len(found[0][1]) < 26 { // of five bits each
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
		if res := post(t, srv, "/broadcast?key="+key, `{"channel":"c"}`); res.status != 201 {
			t.Errorf("with the key that was logged: %d %q", res.status, res.body)
		}
	}
}

// A server that has a key, or wants none, logs none.
func TestNoKeyIsLoggedWhereNoneIsMade(t *testing.T) {
	for _, cfg := range []Config{{BroadcastingKey: "hunter2"}, {BroadcastOpen: true}} {
		book := &logBook{}
		cfg.Logger = book.logger()
		startAs(t, cfg)
		if log := book.String(); strings.Contains(log, "hunter2") || strings.Contains(log, "key=") {
			t.Errorf("a key is in the log:\n%s", log)
		}
		if cfg.BroadcastOpen != strings.Contains(book.String(), "open to everyone") {
			t.Errorf("-broadcast-open %t:\n%s", cfg.BroadcastOpen, book)
		}
	}
}

// The command does what it says when it is copied from a line of the log as it stands
// there, in both formats, whatever level is logged.
func TestTheLoggedCommandWorksWhenItIsPasted(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	socket := "unix:" + filepath.Join(t.TempDir(), "a socket")
	for _, c := range []struct {
		listen, level string
		handler       func(w io.Writer, o *slog.HandlerOptions) slog.Handler
	}{
		{"127.0.0.1:0", "WARN", func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewJSONHandler(w, o) }},
		{socket, "ERROR", func(w io.Writer, o *slog.HandlerOptions) slog.Handler { return slog.NewTextHandler(w, o) }},
	} {
		book, level := &logBook{}, slog.LevelInfo
		if err := level.UnmarshalText([]byte(c.level)); err != nil {
			t.Fatal(err)
		}
		srv := startAs(t, Config{ListenAddr: c.listen, Logger: slog.New(c.handler(book, &slog.HandlerOptions{Level: level}))})
		found := regexp.MustCompile(c.level + `.*command"?[=:]"([^"]*)"`).FindStringSubmatch(book.String())
		if found == nil {
			t.Fatalf("at level %s there is no command in the log:\n%s", c.level, book)
		}
		member := connect(t, srv, "/ws")
		member.join("news")
		if out, err := exec.Command("sh", "-c", found[1]).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", found[1], err, out)
		}
		member.expectText(`"hello"`)
	}
}

func TestTheCommandReachesTheServer(t *testing.T) {
	for want, addr := range map[string]net.Addr{
		"curl 'http://localhost:3000/broadcast' ":                          &net.TCPAddr{IP: net.IPv6unspecified, Port: 3000},
		"curl 'http://[::1]:3000/broadcast' ":                              &net.TCPAddr{IP: net.IPv6loopback, Port: 3000},
		"curl --unix-socket '/run/wsify.sock' http://localhost/broadcast ": &net.UnixAddr{Name: "/run/wsify.sock", Net: "unix"},
	} {
		if got := curlLine(addr, "KEY"); !strings.Contains(got, "| "+want) || strings.ContainsAny(got, `"\`) {
			t.Errorf("%s: %s, want %s in it, and nothing that a log escapes", addr, got, want)
		}
	}
}
