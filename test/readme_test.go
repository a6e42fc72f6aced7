package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A tested block of a page has a comment before it that names it. The pages are README.md and those
// in docs; docs/nodes.md and docs/kubernetes.md have their own comments, for other tests.
//
//	<!-- tried: NAME -->
//	```LANGUAGE
//	...
//	```
var triedBlock = regexp.MustCompile("(?ms)^<!-- tried: ([^\n]+) -->\n```[a-z]*\n(.*?)^```$")

// triedHere are all names, so that each comment has a test.
var triedHere = []string{
	"admin api lists", "admin api kick", "admin api unsubscribe", "admin api node",
	"run", "join", "publish", "heard", "page", "command", "answers", "envelope", "bodies",
	"reply=1", "batch", "webhook.go", "webhook.mjs", "with a webhook", "events.mjs", "with events", "nginx", "admin", "access log", "many nodes",
	"unit", "doctor of the service", "key file", "credential", "low port", "sysctl", "release", "deb", "rpm", "checksums",
	"doctor", "haproxy addresses", "nginx addresses",
	"haproxy tcp", "node behind haproxy tcp", "socket", "sse", "sse page",
	"follow.mjs", "follow.py", "follow.go",
}

// readme returns a block of any page.
func readme(t *testing.T, name string) string {
	t.Helper()
	for _, block := range readmeBlocks(t) {
		if block[1] == name {
			return block[2]
		}
	}
	t.Fatalf("no page has a block %q", name)
	return ""
}

func readmeBlocks(t *testing.T) (blocks [][]string) {
	t.Helper()
	for _, page := range pages(t) {
		if !strings.HasSuffix(page, "nodes.md") && !strings.HasSuffix(page, "kubernetes.md") {
			blocks = append(blocks, triedBlock.FindAllStringSubmatch(read(t, page), -1)...)
		}
	}
	return blocks
}

// pages returns the paths of README.md and the pages in docs.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return append(found, filepath.Join(root, "README.md"))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReadmePromisesNoTestThatIsNotHere(t *testing.T) {
	var names []string
	for _, block := range readmeBlocks(t) {
		names = append(names, block[1])
	}
	for _, name := range names {
		if !slices.Contains(triedHere, name) {
			t.Errorf("a page has a block %q that no test tries", name)
		}
	}
	for _, name := range triedHere {
		if !slices.Contains(names, name) {
			t.Errorf("no page has a block %q", name)
		}
	}
}

// command is a line after "$ ", and the expected output, in which … matches anything.
type command struct {
	line string
	want []string
}

// console parses a block of commands. Port 3000 of README.md is replaced by addr.
func console(block, addr string) (commands []command) {
	block = strings.ReplaceAll(block, "localhost:3000", addr)
	for line := range strings.Lines(block) {
		line = strings.TrimSuffix(line, "\n")
		if typed, ok := strings.CutPrefix(line, "$ "); ok {
			commands = append(commands, command{line: typed})
		} else {
			last := &commands[len(commands)-1]
			last.want = append(last.want, line)
		}
	}
	return commands
}

// matches reports whether got matches want, in which … matches anything.
func matches(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(got)
}

// shell runs a command line in a shell.
func shell(t *testing.T, dir string, env []string, line string) *process {
	t.Helper()
	return start(t, dir, env, "bash", "-c", line)
}

func TestReadmeRunsTheServer(t *testing.T) {
	run := console(readme(t, "run"), "")[0]
	p := shell(t, root, []string{"WSIFY_LISTEN_ADDR=127.0.0.1:0", "WSIFY_ADMIN_ADDR=127.0.0.1:0"}, run.line)
	p.await("as many records as README.md shows", func() bool {
		return strings.Count(p.output(), `"msg"`) >= len(run.want)
	})
	for i, line := range strings.Split(p.output(), "\n")[:len(run.want)] {
		if !matches(run.want[i], line) {
			t.Errorf("record %d is\n%s\nREADME.md shows\n%s", i+1, line, run.want[i])
		}
	}
	p.stop(syscall.SIGTERM)
}

func TestReadmePublishes(t *testing.T) {
	s := serve(t, "-broadcasting-key", "dev")
	need(t, "curl", "curl")
	member := dialGo(t, s.ws())
	member.expect("open")
	member.join("news")
	publish := console(readme(t, "publish"), s.addr)[0]
	if got := shell(t, scratch, nil, publish.line).line(); got != publish.want[0] {
		t.Errorf("%s\nprinted %s, README.md shows %s", publish.line, got, publish.want[0])
	}
	member.expect("message " + strings.TrimSpace(readme(t, "heard")))
}

func TestPageOfMessagesPublishes(t *testing.T) {
	s := serve(t, "-broadcasting-key", "dev")
	need(t, "curl", "curl")
	for _, name := range []string{"reply=1", "batch"} {
		publish := console(readme(t, name), s.addr)[0]
		if got := shell(t, scratch, nil, publish.line+"; echo").line(); got != publish.want[0] {
			t.Errorf("%s\nprinted %s, the page shows %s", publish.line, got, publish.want[0])
		}
	}
}

func TestReadmeJoinsWithWscat(t *testing.T) {
	s := serve(t, "-broadcasting-key", "dev")
	join, publish := console(readme(t, "join"), s.addr)[0], console(readme(t, "publish"), s.addr)[0]
	need(t, "curl", "curl")
	// wscat is already installed there, and npx runs it from there.
	p := shell(t, npmDir(t), nil, join.line)
	if got := p.line(); got != join.want[0] {
		t.Errorf("%s\nprinted %s, README.md shows %s", join.line, got, join.want[0])
	}
	shell(t, scratch, nil, publish.line).line()
	if got, want := p.line(), strings.TrimSpace(readme(t, "heard")); got != want {
		t.Errorf("wscat printed %s, README.md shows %s", got, want)
	}
}

func TestReadmeAnswers(t *testing.T)  { talk(t, readme(t, "answers")) }
func TestReadmeEnvelope(t *testing.T) { talk(t, readme(t, "envelope"), "wsify.v1") }

// talk sends the lines of a dialogue, and expects those that are received.
func talk(t *testing.T, dialogue string, protocols ...string) {
	t.Helper()
	s := serve(t)
	c := dialOffering(t, s.ws(), protocols...)
	c.expect("open")
	for line := range strings.Lines(dialogue) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, "> "); ok {
			c.send(text)
		} else {
			c.expect("message " + strings.TrimPrefix(line, "< "))
		}
	}
}

func TestReadmeCommandAndBodies(t *testing.T) {
	s := serve(t)
	member, other := dialGo(t, s.ws()), dialGo(t, s.ws())
	member.expect("open")
	member.join("news")
	other.expect("open")
	other.ask(strings.TrimSpace(readme(t, "command")), `message {"id":7,"ok":true}`)
	member.expect(`message {"any":"JSON"}`)
	for line := range strings.Lines(readme(t, "bodies")) {
		answer, err := http.Post(s.http()+"/broadcast", "application/json", strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(answer.Body); answer.StatusCode != 201 || len(body) > 0 {
			t.Errorf("%s: %s %s", line, answer.Status, body)
		}
		_ = answer.Body.Close()
		member.expect(`message {"any":"JSON"}`)
	}
}

func TestReadmeAsksDoctor(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(program, filepath.Join(dir, "wsify")); err != nil {
		t.Fatal(err)
	}
	for _, c := range console(readme(t, "doctor"), "") {
		p := shell(t, dir, nil, c.line)
		for _, want := range c.want {
			if got := p.line(); !matches(want, got) {
				t.Errorf("%s\nprinted %s, the page shows %s", c.line, got, want)
			}
		}
	}
}

func TestReadmeAsksTheAdminListener(t *testing.T) {
	need(t, "curl", "curl")
	s := serve(t, "-admin-addr", "127.0.0.1:0")
	where := regexp.MustCompile(`"admin_addr":"([^"]+)"`)
	s.await("the record of where the admin listener is", func() bool { return where.MatchString(s.output()) })
	at := where.FindStringSubmatch(s.output())[1]
	member := dialGo(t, s.ws())
	member.expect("open")
	member.join("news")
	for _, c := range console(strings.ReplaceAll(readme(t, "admin"), "localhost:3001", at), s.addr) {
		p := shell(t, scratch, nil, c.line)
		for _, want := range c.want {
			if got := p.line(); !matches(want, got) {
				t.Errorf("%s\nprinted %s, README.md shows %s", c.line, got, want)
			}
		}
	}
}

func TestReadmePutsNginxInFront(t *testing.T) {
	s := serve(t)
	front := startNginx(t, s, readme(t, "nginx"))
	member := dialGo(t, "ws://"+front+"/ws")
	member.expect("open")
	member.join("news")
	member.ask(`{"command":"broadcast","args":{"channel":"news","content":1}}`, "message 1")
	answer, err := http.Post("http://"+front+"/broadcast", "application/json", strings.NewReader(`{"channel":"news"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /broadcast through nginx: %s, want it not passed on", answer.Status)
	}
}

// startNginx starts nginx with a block of the pages, in front of s, and returns its address.
func startNginx(t *testing.T, s *server, block string) (front string) {
	t.Helper()
	nginx := need(t, "nginx", "nginx-light")
	dir, port := t.TempDir(), freePort(t)
	front = fmt.Sprintf("127.0.0.1:%d", port)
	block = strings.ReplaceAll(block, "localhost:3000", s.addr)
	block = strings.ReplaceAll(block, "listen 80;", "listen "+front+";")
	conf := writeFile(t, dir, "nginx.conf", fmt.Sprintf("daemon off;\nmaster_process off;\npid %[1]s/pid;\nerror_log stderr;\nevents {}\n"+
		"http {\naccess_log off;\nclient_body_temp_path %[1]s/body;\nproxy_temp_path %[1]s/proxy;\nfastcgi_temp_path %[1]s/fastcgi;\n"+
		"uwsgi_temp_path %[1]s/uwsgi;\nscgi_temp_path %[1]s/scgi;\n%[2]s}\n", dir, block))
	start(t, dir, nil, nginx, "-p", dir, "-c", conf)
	awaitPort(t, port)
	return front
}
