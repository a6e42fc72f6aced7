package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// webhook is a webhook of README.md, and the client that tests it.
type webhook struct {
	file string
	run  []string
	dial func(t *testing.T, url string) *client
}

var webhooks = []webhook{
	{"webhook.go", []string{"go", "run", "webhook.go"}, dialGo},
	{"webhook.mjs", []string{"node", "webhook.mjs"}, dialNPM},
}

// TestReadmeWebhooks starts each webhook of README.md, and wsify as README.md says. The webhook
// refuses, allows, fails and ends.
func TestReadmeWebhooks(t *testing.T) {
	for _, hook := range webhooks {
		t.Run(hook.file, func(t *testing.T) {
			if hook.file == "webhook.mjs" {
				npmDir(t) // or skip
			}
			hook.try(t)
		})
	}
}

func (hook webhook) try(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	p := hook.start(t, dir, port)
	s := serveReadme(t, dir, port)

	anonymous := hook.dial(t, s.ws())
	anonymous.expect("refused 403")
	guest := hook.dial(t, s.ws()+"?token=guess")
	guest.expect("refused 403")

	ann := hook.dial(t, s.ws()+"?token=s3cret")
	ann.expect("open")
	ann.join("news")
	ann.join("user:ann")
	ann.ask(`{"command":"join","args":{"channel":"user:bob"},"id":1}`, deniedTo("1"))
	ann.ask(`{"command":"join","args":{"channel":" user:bob"},"id":2}`, deniedTo("2"))
	ann.ask(`{"command":"join","args":{"channel":"user:bob","Channel":"news","CHANNEL":"news"},"id":3}`, ambiguousTo("3"))
	ann.ask(`{"command":"join","args":{"channel":"news","channel":"user:bob"},"id":4}`, ambiguousTo("4"))
	ann.ask(`{"command":"join","args":{"channel":"news","n":1e999},"id":7}`, `message {"id":7,"ok":true}`)
	ann.ask(`{"command":"join","args":{"channel":" n\u0065ws ","__proto__":{"channel":"x"},"n":[-1e999]},"id":8}`, `message {"id":8,"ok":true}`)
	ann.ask(`{"command":"broadcast","args":{"channel":"user:bob","content":1},"id":5}`, deniedTo("5"))
	ann.ask(`{"command":"broadcast","args":{"channel":"user:ann","content":{"a":1}}}`, `message {"a":1}`)

	if err := os.Remove(filepath.Join(dir, "users.json")); err != nil {
		t.Fatal(err)
	}
	later := hook.dial(t, s.ws()+"?token=s3cret")
	later.expect("refused 503")
	ann.ask(`{"command":"join","args":{"channel":"news"},"id":6}`, downTo("6"))
	ann.expect("close 1013 the authorizer is down, try again later")

	hook.ends(t, p, dir, s)
}

// ends tests the end of the webhook itself.
func (hook webhook) ends(t *testing.T, p *process, dir string, s *server) {
	writeFile(t, dir, "users.json", `{"s3cret":"ann"}`)
	ann := hook.dial(t, s.ws()+"?token=s3cret")
	ann.expect("open")
	p.stop(syscall.SIGKILL)
	late := hook.dial(t, s.ws()+"?token=s3cret")
	late.expect("refused 503")
	ann.send(`{"command":"leave","args":{"channel":"news"}}`)
	ann.expect("close 1013 the authorizer is down, try again later")
}

func deniedTo(id string) string {
	return `message {"id":` + id + `,"ok":false,"error":{"code":"denied","message":"the authorizer does not allow this command"}}`
}

func ambiguousTo(id string) string {
	return `message {"id":` + id + `,"ok":false,"error":{"code":"bad_request","message":"command, args, channel and content must be written exactly so, and once"}}`
}

func downTo(id string) string {
	return `message {"id":` + id + `,"ok":false,"error":{"code":"authorizer_down","message":"the authorizer cannot be reached"}}`
}

// start runs the webhook in dir, on this port instead of 8000.
func (hook webhook) start(t *testing.T, dir string, port int) *process {
	t.Helper()
	source := readme(t, hook.file)
	if strings.Count(source, "8000") != 1 {
		t.Fatalf("%s does not listen on port 8000", hook.file)
	}
	writeFile(t, dir, hook.file, strings.Replace(source, "8000", strconv.Itoa(port), 1))
	p := start(t, dir, nil, hook.run...)
	awaitPort(t, port)
	return p
}

// serveReadme runs the commands of README.md in "with a webhook", in dir. Only the server is
// started from the module.
func serveReadme(t *testing.T, dir string, port int) *server {
	t.Helper()
	commands := console(readme(t, "with a webhook"), "")
	if len(commands) != 2 || !strings.HasPrefix(commands[1].line, "go run ./cmd/wsify ") {
		t.Fatalf("README.md: %q, want a file of users and go run ./cmd/wsify", commands)
	}
	if out, err := run(t, dir, nil, "bash", "-c", commands[0].line); err != nil {
		t.Fatalf("%s: %v\n%s", commands[0].line, err, out)
	}
	line := strings.Replace(commands[1].line, "localhost:8000", fmt.Sprintf("localhost:%d", port), 1)
	p := shell(t, root, []string{"WSIFY_LISTEN_ADDR=127.0.0.1:0"}, line)
	return &server{process: p, addr: p.awaitAddr()}
}
