//go:build linux

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// awaitLog returns the next line of the log that has text.
func (l *logged) awaitLog(text string) string {
	l.t.Helper()
	_ = l.reader.SetReadDeadline(time.Now().Add(patience))
	if l.lines == nil {
		l.lines = bufio.NewScanner(l.reader)
	}
	for l.lines.Scan() {
		if strings.Contains(l.lines.Text(), text) {
			return l.lines.Text()
		}
	}
	l.t.Fatalf("the log has no %q: %v", text, l.lines.Err())
	return ""
}

// status sends one request and returns the status of its answer.
func (l *logged) status(request string) string {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(request)); err != nil {
		l.t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.Fields(line)[1]
}

func (l *logged) wantStatus(want, request string) {
	l.t.Helper()
	if got := l.status(request); got != want {
		l.t.Errorf("%.60q: %s, want %s", request, got, want)
	}
}

// publication is a POST of a backend with this key.
func publication(key string) string {
	const body = `{"channel":"c","content":1}`
	return fmt.Sprintf("POST /broadcast?key=%s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", key, len(body), body)
}

// upgradeFrom is the upgrade of a page.
func upgradeFrom(origin string) string {
	return strings.Replace(upgrade, "\r\n", "\r\nOrigin: "+origin+"\r\n", 1)
}

func TestAReloadChangesWhatCanChangeAndNamesTheRest(t *testing.T) {
	t.Parallel() // mostly waits
	file := write(t, "broadcasting-key first\nmax-message-size 1KiB\n")
	l := startLogged(t, "-config", file)
	c := l.connect()
	l.wantStatus("201", publication("first"))
	rewrite(t, file, "broadcasting-key second\nmax-message-size 2KiB\nallowed-origins https://a.com\n")
	l.signal(syscall.SIGHUP)
	line := l.awaitLog("the configuration was reloaded")
	if want := `"changed":["-broadcasting-key","-allowed-origins"],"needs_restart":["-max-message-size"]`; !strings.Contains(line, want) {
		t.Errorf("log: %s, want %s", line, want)
	}
	l.wantStatus("403", publication("first"))
	l.wantStatus("201", publication("second"))
	l.wantStatus("403", upgradeFrom("https://b.com"))
	l.wantStatus("101", upgradeFrom("https://a.com"))
	c.write(pingFrame)
	c.want("a pong", pongFrame)

	l.signal(syscall.SIGHUP)
	if line, want := l.awaitLog("the configuration was reloaded"), `"changed":[],"needs_restart":["-max-message-size"]`; !strings.Contains(line, want) {
		t.Errorf("a second reload: %s, want %s", line, want)
	}
}

func TestABrokenFileChangesNothing(t *testing.T) {
	t.Parallel() // mostly waits
	file := write(t, "broadcasting-key first\n")
	l := startLogged(t, "-config", file)
	for broken, why := range map[string]string{
		"broadcasting-key second\nmax-head-size 1\n": file + ":2: -max-head-size: 1 is not between 1024 and 1048576",
		"broadcasting-key second\nno-such-setting 1": "no-such-setting",
		"broadcasting-key second\nshards many":       "many",
	} {
		rewrite(t, file, broken)
		l.signal(syscall.SIGHUP)
		if line := l.awaitLog("the configuration was not reloaded"); !strings.Contains(line, why) {
			t.Errorf("log: %s, want %s", line, why)
		}
		l.wantStatus("201", publication("first"))
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	l.signal(syscall.SIGHUP)
	l.awaitLog("no such file")
	l.wantStatus("201", publication("first"))
}

// A file that is a pipe by now would be waited for.
func TestSignalsDoNotWaitForAReload(t *testing.T) {
	t.Parallel() // mostly waits
	file := write(t, "broadcasting-key first\n")
	l := startLogged(t, "-config", file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	l.signal(syscall.SIGHUP)
	if line := l.awaitLog("the configuration was not reloaded"); !strings.Contains(line, "not a regular file") {
		t.Errorf("log: %s", line)
	}
	l.wantStatus("201", publication("first"))
	l.signal(syscall.SIGTERM)
	l.wantEnd(exitOK)
}

func TestAFileThatHasLostItsSettingsIsWarnedAbout(t *testing.T) {
	t.Parallel() // mostly waits
	file := write(t, "broadcasting-key first\n")
	l := startLogged(t, "-config", file)
	rewrite(t, file, "# broadcasting-key first\n")
	l.signal(syscall.SIGHUP)
	l.awaitLog("the configuration file has no settings any more")
	l.signal(syscall.SIGHUP) // and only once
	l.awaitLog("the configuration was reloaded")
	if line := l.awaitLog("the configuration"); !strings.Contains(line, "was reloaded") {
		t.Errorf("a second reload: %s", line)
	}
}

func TestAReloadReadsTheFilesOfSecrets(t *testing.T) {
	t.Parallel() // mostly waits
	secret := write(t, "first\n")
	l := startLoggedIn(t, []string{"WSIFY_BROADCASTING_KEY_FILE=" + secret})
	l.wantStatus("201", publication("first"))
	rewrite(t, secret, "second\n")
	l.signal(syscall.SIGHUP)
	l.awaitLog("the configuration was reloaded")
	l.wantStatus("403", publication("first"))
	l.wantStatus("201", publication("second"))
}

// The key of a run is not replaced by another one that nobody knows.
func TestAReloadKeepsTheRandomKey(t *testing.T) {
	t.Parallel() // mostly waits
	file := write(t, "log-level info\n")
	l := startLogged(t, "-config", file)
	rewrite(t, file, "log-level debug\n")
	l.signal(syscall.SIGHUP)
	if line, want := l.awaitLog("the configuration was reloaded"), `"changed":["-log-level"]`; !strings.Contains(line, want) {
		t.Errorf("log: %s, want %s", line, want)
	}
	l.connect()
	l.awaitLog("session opened") // at level debug
	rewrite(t, file, "broadcasting-key mine\n")
	l.signal(syscall.SIGHUP)
	l.awaitLog("the configuration was reloaded")
	l.wantStatus("201", publication("mine"))
	rewrite(t, file, "\n")
	l.signal(syscall.SIGHUP)
	line := l.awaitLog("no -broadcasting-key is set")
	_, rest, _ := strings.Cut(line, `"key":"`)
	key, _, _ := strings.Cut(rest, `"`)
	l.wantStatus("201", publication(key))
	l.wantStatus("403", publication("mine"))
}

func TestADrainedServerStays(t *testing.T) {
	t.Parallel() // mostly waits
	l := startLogged(t, "-broadcasting-key", "k")
	c := l.connect()
	l.signal(syscall.SIGUSR1)
	c.wantRestart()
	l.wantStatus("503", upgrade)
	l.wantStatus("201", publication("k"))
	l.signal(syscall.SIGUSR1)
	l.awaitLog("SIGUSR1 changes nothing")
	l.signal(syscall.SIGTERM)
	l.wantEnd(exitOK)
}

func TestClientsConnectDuringTheShutdownDelay(t *testing.T) {
	t.Parallel() // mostly waits
	l := startLogged(t, "-shutdown-delay", "1h")
	l.signal(syscall.SIGTERM)
	l.awaitLog("not ready")
	l.connect()
	l.signal(syscall.SIGTERM)
	l.wantEnd(exitFailure)

	l = startLogged(t, "-shutdown-delay", "10ms")
	c := l.connect()
	l.signal(syscall.SIGTERM)
	c.wantRestart()
	l.wantEnd(exitOK)
}

// rewrite replaces a file at once, as editors and Kubernetes do.
func rewrite(t *testing.T, path, content string) {
	t.Helper()
	next := filepath.Join(filepath.Dir(path), "next")
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// A reload changes limits, but one on connections cannot begin: those that are open were not
// counted.
func TestAReloadChangesLimits(t *testing.T) {
	t.Parallel() // mostly waits
	file := write(t, "max-connections 2\n")
	l := startLogged(t, "-config", file)
	l.connect()
	rewrite(t, file, "max-connections 1\nmax-connections-per-address 1000\ncommand-rate 5\n")
	l.signal(syscall.SIGHUP)
	line := l.awaitLog("the configuration was reloaded")
	if want := `"changed":["-max-connections","-command-rate"],"needs_restart":["-max-connections-per-address"]`; !strings.Contains(line, want) {
		t.Errorf("log: %s, want %s", line, want)
	}
	l.wantStatus("503", upgrade)
	rewrite(t, file, "max-connections 0\n")
	l.signal(syscall.SIGHUP)
	if line, want := l.awaitLog("the configuration was reloaded"), `"changed":["-max-connections","-command-rate"],"needs_restart":[]`; !strings.Contains(line, want) {
		t.Errorf("log: %s, want %s", line, want)
	}
	l.wantStatus("101", upgrade)
}
