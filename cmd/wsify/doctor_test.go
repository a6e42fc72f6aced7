//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wsify/internal/testtool"
)

// hold are settings with which doctor finds no problem here.
var hold = []string{"-listen-addr", "127.0.0.1:0", "-admin-addr", "off"}

func TestDoctorExaminesTheServerOfTheConfiguration(t *testing.T) {
	const nobody = "http://127.0.0.1:1/hook"
	file := write(t, "authorizer-url "+nobody+"\n")
	for name, tc := range map[string]struct {
		args []string
		env  string
		code int
		want string
	}{
		"nothing is wrong":   {nil, "", 0, "This machine can hold "},
		"it holds enough":    {[]string{"-connections", "10"}, "", 0, " connections, which is enough for 10.\n"},
		"it does not":        {[]string{"-connections", "1000000000"}, "", 1, " connections, which is not enough for 1,000,000,000.\n"},
		"in JSON":            {[]string{"-json", "-connections=1000000000"}, "", 1, `"asked": 1000000000`},
		"of a flag":          {[]string{"-authorizer-url", nobody}, "", 1, nobody + " cannot be reached"},
		"of a variable":      {nil, "WSIFY_AUTHORIZER_URL=" + nobody, 1, nobody + " cannot be reached"},
		"of the file":        {[]string{"-config", file}, "", 1, nobody + " cannot be reached"},
		"with -print-config": {[]string{"-print-config"}, "", 0, "# Service\n"},
	} {
		got := start(append(append([]string{"doctor"}, hold...), tc.args...), []string{tc.env})
		if got.code != tc.code || !strings.Contains(got.stdout, tc.want) || got.stderr != "" || got.served != nil {
			t.Errorf("%s: %+v, want exit %d and %q", name, got, tc.code, tc.want)
		}
	}
}

func TestDoctorRefusesWrongUse(t *testing.T) {
	for args, want := range map[string]struct {
		code   int
		stderr string
	}{
		"doctor -connections 0":          {2, "-connections: invalid value \"0\""},
		"doctor -connections 1000000001": {2, "more than a machine holds"},
		"doctor -connections many":       {2, "-connections: invalid value \"many\""},
		"doctor -nonsense":               {2, "-nonsense is no setting"},
		"doctor now":                     {2, "unexpected argument \"now\""},
		"-connections 5":                 {2, "-connections is for wsify doctor"},
		"healthcheck -json":              {1, "-json is for wsify doctor"},
		"doctor -loops 999":              {1, "-loops: 999 is not between"},
		"doctor -config /nowhere":        {1, "/nowhere"},
	} {
		got := start(strings.Fields(args), nil)
		if got.code != want.code || !strings.Contains(got.stderr, want.stderr) || got.stdout != "" || got.served != nil {
			t.Errorf("wsify %s: %+v, want exit %d, %q", args, got, want.code, want.stderr)
		}
	}
}

// diagnosis is a part of what -json says.
type diagnosis struct {
	Status string
	Holds  int
	Bounds []struct {
		Check       string
		Connections int
	}
}

// limited returns the real program with a limit of descriptors.
func limited(t *testing.T, files int, args ...string) *exec.Cmd {
	t.Helper()
	if units, _ := filepath.Glob("/*/*/system/wsify.service"); len(units) > 0 {
		t.Skipf("%s has a limit of its own, which doctor goes by", units[0])
	}
	cmd := command(t, args...)
	cmd.Path = testtool.Need(t, "prlimit", "util-linux")
	cmd.Args = append([]string{"prlimit", fmt.Sprintf("--nofile=%[1]d:%[1]d", files), program}, args...)
	return cmd
}

// A server with few descriptors holds what doctor says, and not many more.
func TestTheServerHoldsWhatDoctorSays(t *testing.T) {
	const files = 400
	cmd := limited(t, files, "doctor", "-json", "-loops", "2", "-listen-addr", "127.0.0.1:0")
	out, err := cmd.Output()
	var said diagnosis
	if err == nil {
		err = json.Unmarshal(out, &said)
	}
	if err != nil || said.Bounds[0].Check != "descriptors" || said.Holds != said.Bounds[0].Connections || said.Holds < files/2 {
		t.Fatalf("%v: %s", err, out)
	}
	cmd = limited(t, files, "-loops", "2", "-listen-addr", "127.0.0.1:0", "-handshake-timeout", "5m")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	addr := awaitListening(t, bufio.NewScanner(stderr))
	if open := openUntilRefused(t, addr, files); open < said.Holds || open > said.Holds+20 {
		t.Errorf("doctor says %d, and the server holds %d", said.Holds, open)
	}
}

func TestDoctorSeesTheLimitOfItsProcess(t *testing.T) {
	for connections, code := range map[string]int{"1000": 0, "1300": 1} {
		cmd := limited(t, 1400, append([]string{"doctor", "-loops", "2", "-workers", "100", "-connections", connections}, hold...)...)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), "The hard limit is 1,400, that of this process.") || strings.Contains(string(out), "1600") != (code == 1) {
			t.Errorf("%s connections: exit %d, want %d\n%s", connections, got, code, out)
		}
	}
}

// openUntilRefused opens connections until the server closes one, and returns how many it has kept.
func openUntilRefused(t *testing.T, addr string, most int) (open int) {
	t.Helper()
	for ; open < most; open++ {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		p := make([]byte, 12)
		if _, err := io.ReadFull(c, p); err != nil || !bytes.HasPrefix(p, []byte("HTTP/1.1 404")) {
			return open
		}
	}
	return open
}

func TestDoctorOfARealServerThatRuns(t *testing.T) {
	l := startLogged(t)
	code, stdout, stderr := exitCode(t, "doctor", "-listen-addr", l.addr)
	if code != 0 || !strings.Contains(stdout, "A wsify answers at "+l.addr) || stderr != "" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	if c, err := net.Dial("tcp", l.addr); err != nil {
		t.Errorf("the server afterwards: %v", err)
	} else {
		_ = c.Close()
	}
}

// The text has colours on a terminal, unless they are not wanted.
func TestColoursAreForTerminals(t *testing.T) {
	for env, coloured := range map[string]bool{"TERM=xterm": true, "TERM=dumb": false, "NO_COLOR=1": false} {
		master, terminal := openTerminal(t)
		cmd := command(t, append([]string{"doctor"}, hold...)...)
		cmd.Env = append(cmd.Env, env)
		cmd.Stdout = terminal
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		_ = terminal.Close()
		out, _ := io.ReadAll(master) // it ends with EIO
		if !strings.Contains(string(out), "This machine can hold") || strings.Contains(string(out), "\x1b[") != coloured {
			t.Errorf("%s: %q", env, out)
		}
	}
	if _, stdout, _ := exitCode(t, append([]string{"doctor"}, hold...)...); strings.Contains(stdout, "\x1b[") {
		t.Errorf("in a pipe: %q", stdout)
	}
}

// openTerminal returns both ends of a pseudo-terminal; pty(7).
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, terminal
}
