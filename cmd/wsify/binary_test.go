//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for the real program before it gives up.
const patience = 30 * time.Second

// command returns the real program with these arguments and a separate environment. It is killed
// when the test ends, or takes too long.
func command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "WSIFY_ADMIN_ADDR=off"}
	cmd.WaitDelay = patience
	return cmd
}

// exitCode runs the real program to its end.
func exitCode(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := command(t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

func TestExitCodesOfTheRealProgram(t *testing.T) {
	for _, tc := range []struct {
		args           string
		code           int
		stdout, stderr string // how they begin
	}{
		{"-help", 0, "wsify is a WebSocket pub/sub server", ""},
		{"-version", 0, "wsify 1.2.3 (commit ", ""},
		{"-check-config", 0, "configuration ok\n", ""},
		{"--check-config --listen-addr=x", 1, "", "wsify: -listen-addr: "},
		{"-print-config", 0, "# Service\nlisten-addr ", ""},
		{"-nonsense", 2, "", "wsify: -nonsense is no setting; the nearest is -workers\n"},
		{"-broker-driver kafka", 1, "", "wsify: -broker-driver: there is no broker \"kafka\""},
	} {
		code, stdout, stderr := exitCode(t, strings.Fields(tc.args)...)
		if code != tc.code || !begins(stdout, tc.stdout) || !begins(stderr, tc.stderr) {
			t.Errorf("wsify %s: exit %d, stdout %q, stderr %q; want exit %d, %q, %q", tc.args, code, stdout, stderr, tc.code, tc.stdout, tc.stderr)
		}
	}
}

// begins reports whether s has this prefix, or is empty when the prefix is.
func begins(s, with string) bool { return strings.HasPrefix(s, with) && (with != "") == (s != "") }

func TestVersionOfTheRealProgramIsOneLine(t *testing.T) {
	_, stdout, _ := exitCode(t, "-version")
	if !regexp.MustCompile(`^wsify 1\.2\.3 \(commit [^,]+, go[^ ]+, linux/[a-z0-9]+\)\n$`).MatchString(stdout) {
		t.Errorf("wsify -version: %q", stdout)
	}
}

func TestAPortInUseIsOneClearLine(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	addr := busy.Addr().String()
	code, _, stderr := exitCode(t, "-listen-addr", addr, "-log-level", "error")
	if want := "wsify: listen on " + addr + ": address already in use\n"; code != 1 || stderr != want {
		t.Errorf("exit %d, stderr %q; want exit 1, %q", code, stderr, want)
	}
}

func TestASignalEndsTheRealServerInOrder(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := command(t, "-listen-addr", "127.0.0.1:0")
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		lines := bufio.NewScanner(stderr)
		addr := awaitListening(t, lines)
		if c, err := net.Dial("tcp", addr); err != nil {
			t.Errorf("the server says it listens: %v", err)
		} else {
			_ = c.Close()
		}
		if err := cmd.Process.Signal(s); err != nil {
			t.Error(err)
		}
		rest, _ := io.ReadAll(stderr)
		err = cmd.Wait()
		timer.Stop()
		if err != nil {
			t.Errorf("after %v: %v, want exit 0; stderr ends:\n%s", s, err, rest)
		}
	}
}

// awaitListening reads log records until one has the address, and returns the address.
func awaitListening(t *testing.T, lines *bufio.Scanner) (addr string) {
	t.Helper()
	for lines.Scan() {
		var record struct{ Time, Level, Msg, Addr string }
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil || record.Time == "" || record.Level == "" || record.Msg == "" {
			t.Errorf("log line %s: %v, want time, level and msg", lines.Bytes(), err)
		}
		if record.Addr != "" {
			return record.Addr
		}
	}
	t.Fatal("the server ended, or said nothing of its address")
	return ""
}
