//go:build linux

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	scratch string // a directory that goes when the tests are over
	wsify   string // the server, built once, when a test asks for it
)

// TestMain is also each of the stand-ins, and the program itself: which, says the name
// that this process was started under.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "tcpkali":
		os.Exit(runKali(os.Args[1:], os.Stdout, os.Stderr))
	case "wsbench":
		os.Exit(runRecord(os.Args[1:]))
	case "refusing":
		os.Exit(runRefusing(os.Args[1:]))
	case "beside":
		main()
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "wsify-beside-test"); err == nil {
		err = os.Chdir("../..") // where the program has to be started
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests cannot start:", err)
		return 1
	}
	defer os.RemoveAll(scratch)
	return m.Run()
}

var buildOnce = sync.OnceValue(func() error {
	wsify = filepath.Join(scratch, "wsify")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", wsify, "./cmd/wsify").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

func needServer(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs a server for some seconds: left out with -short")
	}
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
}

// as returns a path under which this program is the one of that name.
func as(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// runRecord is a wsbench that writes a record. It has no storm, and no -trip-rate.
func runRecord(args []string) int {
	set := flag.NewFlagSet("wsbench", flag.ContinueOnError)
	for _, name := range []string{"server", "server-args", "connections", "echo-connections", "content"} {
		set.String(name, "", "")
	}
	set.Bool("quick", false, "")
	scenario := set.String("run", "", "")
	rate := set.Float64("delivery-rate", 0, "")
	file := set.String("json", "", "")
	if set.Parse(args) != nil || *scenario == "storm" {
		return 2
	}
	if *rate == 0 {
		fmt.Fprintln(os.Stderr, "the load of the scripts is not that of wsbench")
		return 1
	}
	if err := os.WriteFile(*file, []byte(canned), 0o644); err != nil {
		return 1
	}
	return 0
}

// canned is a record with little in it, and figures that are not those the table wants.
const canned = `{"figures": [
 {"scenario":"connect","server":"floor","name":"CPU, connect, upgrade, close","unit":"CPU us per handshake","median":1.5},
 {"scenario":"connect","server":"wsify","name":"CPU, connect, upgrade, close","unit":"CPU us per handshake","median":44.25},
 {"scenario":"fanout","server":"wsify","name":"CPU, window 1","x":10,"unit":"CPU us per delivery","median":2.5},
 {"scenario":"fanout","server":"wsify","name":"CPU, window 1","unit":"CPU s per million","median":3.5},
 {"scenario":"fanout","server":"wsify","name":"rate, window 1","unit":"deliveries/s","median":123456}]}`

// runRefusing is a server that upgrades once, so that it counts as started, and then
// refuses.
func runRefusing(args []string) int {
	var asked atomic.Bool
	http.HandleFunc("/ws", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Swap(true) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(args[1], nil)) // after -listen-addr
	return 1
}

// beside runs the program and returns its exit code and what it printed.
func beside(args ...string) (code int, stdout, stderr string) {
	var out, errors bytes.Buffer
	code = run(args, &out, &errors)
	return code, out.String(), errors.String()
}

// cell returns the fields of the table's line for a figure, from its unit on.
func cell(t *testing.T, table, script, label string) []string {
	t.Helper()
	for line := range strings.Lines(table) {
		if rest, ok := strings.CutPrefix(line, script+" "); ok {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(rest), label+"  "); ok {
				return strings.Fields(rest)
			}
		}
	}
	t.Fatalf("no line for %s, %s in\n%s", script, label, table)
	return nil
}

// awaitGone waits until no process has mark in its command line.
func awaitGone(t *testing.T, mark string) {
	t.Helper()
	await(t, "no process has "+mark, func() bool { return len(processesWith(t, mark)) == 0 })
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-end:
			t.Fatalf("waited in vain until %q", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func processesWith(t *testing.T, mark string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !strings.Contains(err.Error(), "no such process") {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(mark)) {
			found = append(found, string(bytes.ReplaceAll(text, []byte{0}, []byte(" "))))
		}
	}
	return found
}

func TestAWrongCommandLineIsRefused(t *testing.T) {
	for _, args := range [][]string{
		{}, {"ab"}, {"k6", "tcpkali"}, {"-nonsense", "k6"}, {"-connections", "0", "k6"}, {"-rate", "0", "k6"},
		{"-size", "10", "k6"}, {"-duration", "0s", "k6"}, {"-scripts", "idle", "k6"}, {"-scripts", "join", "tcpkali"},
	} {
		if code, _, _ := beside(args...); code != exitUsage {
			t.Errorf("%q: exit code %d, want %d", args, code, exitUsage)
		}
	}
}

func TestWhatWSBenchCannotDoFailsTheRunButNotItsTable(t *testing.T) {
	needServer(t)
	useKali(t)
	code, table, stderr := beside("-server", wsify, "-wsbench", as(t, "refusing"), "-scripts", "idle", "-duration", "1s", "-connections", "5", "tcpkali")
	if got := cell(t, table, "idle", "RSS per connection, over a fresh server"); code != exitFailed || len(got) != 3 || got[2] != "-" {
		t.Errorf("exit code %d, %q\n%s", code, got, stderr)
	}
}
