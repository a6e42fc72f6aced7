package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// startChat copies examples/chat with these ports in the place of 8000 and 3000, and runs it as its README does.
// It returns the address of the pages.
func startChat(t *testing.T) string {
	t.Helper()
	path := need(t, "node", "nodejs")
	pages, public := steadyPort(t, nil), steadyPort(t, nil)
	here := strings.NewReplacer("8000", pages, "3000", public)
	dir := t.TempDir()
	for _, name := range []string{"examples/chat/server.mjs", "examples/chat/page.html", "clients/js/wsify.js"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, name, here.Replace(read(t, filepath.Join(root, name))))
	}
	commands := console(here.Replace(strings.Split(read(t, filepath.Join(root, "examples", "chat", "README.md")), "```")[1][len("console\n"):]), "")
	flags, ok := strings.CutPrefix(commands[1].line, "go run ./cmd/wsify ")
	if commands[0].line != "node examples/chat/server.mjs" || !ok {
		t.Fatalf("examples/chat/README.md has the commands %q", commands)
	}
	start(t, dir, nil, path, "examples/chat/server.mjs")
	s := &server{process: shell(t, dir, []string{"WSIFY_LISTEN_ADDR=localhost:" + public}, "exec "+program+" "+flags)}
	t.Cleanup(s.endInOrder)
	s.awaitAddr()
	testtool.Until(t, "the chat has pages", func() bool {
		answer, err := http.Get("http://localhost:" + pages)
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil
	})
	return "http://localhost:" + pages
}

// chatter is somebody with a browser in the chat.
type chatter struct {
	*tab
	name string
}

// enter logs in, and waits until the page is in the chat.
func enter(t *testing.T, url, name string) *chatter {
	t.Helper()
	c := &chatter{openTab(t), name}
	c.open(url, 800, "light")
	c.until("document.querySelector('input[name=name]') !== null", "true")
	c.eval("void (document.querySelector('input').value = '" + name + "', document.forms[0].submit())")
	c.until("document.querySelector('#here')?.textContent.includes('"+name+"')", "true")
	return c
}

// until waits until an expression has this value.
func (c *chatter) until(expression, want string) {
	c.t.Helper()
	testtool.Until(c.t, fmt.Sprintf("%s sees %q in %s", c.name, want, expression), func() bool { return c.eval(expression) == want })
}

func (c *chatter) say(text string) {
	c.eval("void (form.text.value = '" + text + "', form.requestSubmit())")
}

// TestTwoPeopleChat as examples/chat/README.md says, each in a browser.
func TestTwoPeopleChat(t *testing.T) {
	need(t, "chromium", "chromium")
	url := startChat(t)
	const log, rooms = "[...document.querySelectorAll('#log li')].map((li) => li.textContent).join('|')", "rooms.textContent"
	ann := enter(t, url, "ann")
	ann.say("is anybody <b>here</b>?")
	ann.until(log, "ann: is anybody <b>here</b>?")

	bob := enter(t, url, "bob")
	bob.until("here.textContent", "ann, bob")
	ann.until("here.textContent", "ann, bob")
	bob.until(log, "ann: is anybody <b>here</b>?") // what was said before

	bob.eval("void (form.text.value = 'I', form.text.dispatchEvent(new Event('input')))")
	ann.until("typing.textContent", "bob is typing")
	bob.until("typing.textContent.trim()", "")

	ann.eval("void rooms.children[1].click()")
	bob.say("I am")
	ann.until(rooms, "lobby (1)random")
	ann.until("document.title", "Chat (1)")
	ann.eval("void rooms.children[0].click()")
	ann.until(log, "ann: is anybody <b>here</b>?|bob: I am")
	ann.until("document.title", "Chat")

	bob.call("Page.close", nil, nil) // a page that is left may stay connected for a while
	ann.until("here.textContent", "ann")
	if faults := append(ann.errors(), bob.errors()...); len(faults) > 0 {
		t.Errorf("the pages reported %s", faults)
	}
}

// The webhook refuses strangers, names that are taken, and what only the server may publish.
func TestTheChatRefuses(t *testing.T) {
	endToEnd(t)
	url := startChat(t)
	web := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for i, want := range []int{303, 409} {
		answer, err := web.PostForm(url+"/login", map[string][]string{"name": {"ann"}})
		if err != nil || answer.StatusCode != want {
			t.Fatalf("login %d: %v %v, want %d", i, answer, err, want)
		}
		_ = answer.Body.Close()
	}
	for body, want := range map[string]int{
		`{"command":"connect","args":{"headers":{"Cookie":["chat=guess"]},"query":{}}}`: 403,
		`{"command":"broadcast","args":{"channel":"here","content":"nobody"}}`:          403,
		`{"command":"broadcast","args":{"channel":"typing","content":"lobby"}}`:         200,
		`{"command":"broadcast","args":{"channel":"typing","content":{}}}`:              403,
		`{"command":"join","args":{"channel":"secret"}}`:                                403,
	} {
		r, _ := http.NewRequest("POST", url+"/wsify", strings.NewReader(body))
		channel := strings.Split(body+`"channel":""`, `"channel":"`)[1]
		r.Header.Set("X-Wsify-Channel", channel[:strings.Index(channel, `"`)])
		answer, err := web.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", body, answer.StatusCode, want)
		}
	}
	if n := strings.Count(read(t, filepath.Join(root, "examples", "chat", "server.mjs"))+read(t, filepath.Join(root, "examples", "chat", "page.html")), "\n"); n > 120 {
		t.Errorf("the chat has %d lines, want at most 120", n)
	}
}
