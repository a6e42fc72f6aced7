package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"wsify/internal/testtool"
)

// follower is a program of docs/clients.md that runs. It prints a line for each message.
type follower struct {
	name string
	line func() string
}

// followers start the programs of docs/clients.md, to which block gives the source.
var followers = []struct {
	name  string
	start func(t *testing.T, block func(name string) string) func() string
}{
	{"Chromium", func(t *testing.T, block func(string) string) func() string {
		dir := t.TempDir()
		writeFile(t, dir, "page.html", loggingPage+`<script type="module">`+block("follow.mjs")+`</script>`)
		return logOf(t, openTab(t), servePages(t, dir)+"/page.html")
	}},
	{"Node", func(t *testing.T, block func(string) string) func() string {
		return start(t, scratch, nil, append(node(t), writeFile(t, t.TempDir(), "follow.mjs", block("follow.mjs")))...).line
	}},
	{"Deno", func(t *testing.T, block func(string) string) func() string {
		return start(t, scratch, nil, runtime(t, "deno"), "run", "--allow-net", writeFile(t, t.TempDir(), "follow.mjs", block("follow.mjs"))).line
	}},
	{"Bun", func(t *testing.T, block func(string) string) func() string {
		return start(t, scratch, nil, runtime(t, "bun"), writeFile(t, t.TempDir(), "follow.mjs", block("follow.mjs"))).line
	}},
	{"Python", func(t *testing.T, block func(string) string) func() string {
		endToEnd(t)
		python := testtool.NeedPython(t, "websockets", "python3-websockets")
		return start(t, scratch, nil, python, writeFile(t, t.TempDir(), "follow.py", block("follow.py"))).line
	}},
	{"Go", func(t *testing.T, block func(string) string) func() string {
		endToEnd(t)
		return start(t, scratch, nil, goProgram(t, "follow.go", block("follow.go"))).line
	}},
}

// sooner makes the programs of docs/clients.md notice sooner that a network has ended without a word.
var sooner = strings.NewReplacer("15_000", "500", "15 * time.Second", "time.Second/2", "connect(url,", "connect(url, ping_interval=0.5, ping_timeout=0.5,")

// TestClientsWithoutALibraryMissNothing runs the programs of docs/clients.md as they are there,
// but for the port and the time between signs of life: their network is pulled out, it ends without
// a word, and their server is replaced.
func TestClientsWithoutALibraryMissNothing(t *testing.T) {
	for _, f := range followers {
		t.Run(f.name, func(t *testing.T) {
			endToEnd(t)
			t.Parallel() // mostly waits
			s := serve(t, "-history-channels", "*")
			net := newCable(t, s.addr)
			line := f.start(t, func(name string) string {
				return sooner.Replace(strings.ReplaceAll(readme(t, name), "localhost:3000", net.addr))
			})
			pullAndReplace(t, s, net, &follower{f.name, line})
		})
	}
}

// pullAndReplace pulls the network out while something is published, then replaces the server.
func pullAndReplace(t *testing.T, s *server, net *cable, f *follower) {
	f.awaitJoined(t, s)
	f.publish(t, s, 1)
	f.expect(t, "news 1")
	net.pull()
	f.publish(t, s, 2)
	f.publish(t, s, 3)
	net.plug()
	f.expect(t, "news 2")
	f.expect(t, "news 3")
	net.fade()
	f.publish(t, s, 4)
	f.expect(t, "news 4")

	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	next := serveAt(t, s.addr, "-history-channels", "*")
	f.expect(t, "lost news") // the history was that of the process
	f.publish(t, next, 5)
	f.expect(t, "news 5")
}

// serveAt starts wsify where another one was.
func serveAt(t *testing.T, addr string, flags ...string) *server {
	t.Helper()
	p := start(t, scratch, nil, append([]string{program, "-listen-addr", addr, "-broadcast-open"}, flags...)...)
	s := &server{process: p, addr: p.awaitAddr()}
	t.Cleanup(s.endInOrder)
	return s
}

// awaitJoined publishes 0 until the program hears it.
func (f *follower) awaitJoined(t *testing.T, s *server) {
	t.Helper()
	s.await("member", func() bool {
		status, body, err := post(s.http()+"/broadcast?reply=1", `{"channel":"news","content":0}`)
		return err == nil && status == 201 && strings.Contains(body, `"members":1`)
	})
	f.expect(t, "news 0")
}

func (f *follower) publish(t *testing.T, s *server, n int) {
	t.Helper()
	if status, body, err := post(s.http()+"/broadcast", fmt.Sprintf(`{"channel":"news","content":%d}`, n)); err != nil || status != 201 {
		t.Fatalf("publish: %d %s %v", status, body, err)
	}
}

func (f *follower) expect(t *testing.T, want string) {
	t.Helper()
	if got := f.line(); got != want {
		t.Fatalf("%s: got %q, want %q", f.name, got, want)
	}
}

// loggingPage begins a page whose log the test reads.
const loggingPage = `<!DOCTYPE html><meta charset="utf-8"><script>
globalThis.logged = [];
console.log = (...values) => logged.push(values.map((v) => typeof v === 'string' ? v : JSON.stringify(v)).join(' '));
</script>`

// logOf opens a page that begins with loggingPage, and returns what it logs, line by line.
func logOf(t *testing.T, b *tab, url string) func() string {
	t.Helper()
	b.open(url, 600, "light")
	seen := 0
	return func() string {
		t.Helper()
		line := ""
		testtool.Until(t, "the page logs more", func() bool {
			var lines []string
			_ = json.Unmarshal([]byte(b.eval("JSON.stringify(globalThis.logged ?? [])")), &lines)
			if len(lines) <= seen {
				return false
			}
			line = lines[seen]
			seen++
			return true
		})
		return line
	}
}

// servePages serves the files of a directory at the address that it returns, until the test ends.
func servePages(t *testing.T, dir string) string {
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

// node returns the command of Node with a WebSocket, which needs flags before Node 22.
func node(t *testing.T) []string {
	t.Helper()
	path := need(t, "node", "nodejs")
	out, err := exec.Command(path, "--version").Output()
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	version, _ := strconv.Atoi(major)
	if err != nil || version < 20 {
		t.Skipf("Node %s has no WebSocket: docs/clients.md needs Node 22", strings.TrimSpace(string(out)))
	}
	if version < 22 {
		return []string{path, "--experimental-websocket", "--no-warnings"}
	}
	return []string{path, "--no-warnings"}
}

// runtimesOnce installs Deno and Bun, once.
var runtimesOnce = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "runtimes")
	if err := os.CopyFS(dir, os.DirFS("testdata/runtimes")); err != nil {
		return "", err
	}
	cmd := exec.Command("timeout", "120", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return dir, nil
})

// runtime returns the path of deno or bun. Their packages have programs for some machines only.
func runtime(t *testing.T, name string) string {
	t.Helper()
	need(t, "npm", "npm")
	dir, err := runtimesOnce()
	if err != nil {
		t.Skipf("%s cannot be installed here: %v", name, err)
	}
	for _, pattern := range []string{"@deno/linux-*/" + name, "@oven/bun-linux-*/bin/" + name} {
		if found, _ := filepath.Glob(filepath.Join(dir, "node_modules", pattern)); len(found) > 0 {
			return found[0]
		}
	}
	t.Skipf("npm has no %s for this machine", name)
	return ""
}

// goProgram compiles a file with the dependencies of the module clients.
func goProgram(t *testing.T, name, source string) string {
	t.Helper()
	dir := t.TempDir()
	file, binary := writeFile(t, dir, name, source), filepath.Join(dir, "program")
	out, err := run(t, filepath.Join(root, "test", "clients"), os.Environ(), "go", "build", "-o", binary, file)
	if err != nil {
		t.Fatalf("go build %s: %v\n%s", name, err, out)
	}
	return binary
}
