package test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// adminAddr waits for the address of the admin listener.
func (s *server) adminAddr() string {
	s.t.Helper()
	where := regexp.MustCompile(`"admin_addr":"([^"]+)"`)
	s.await("the record of where the admin listener is", func() bool { return where.MatchString(s.output()) })
	return where.FindStringSubmatch(s.output())[1]
}

// The commands on the page print what it says, and do what they say.
func TestReadmeUsesTheAdminAPI(t *testing.T) {
	need(t, "curl", "curl")
	s := serve(t, "-admin-addr", "127.0.0.1:0", "-admin-key", "dev")
	at := s.adminAddr()
	run := func(block string) {
		t.Helper()
		for _, c := range console(strings.ReplaceAll(readme(t, block), "localhost:3001", at), s.addr) {
			p := shell(t, scratch, nil, c.line)
			for _, want := range c.want {
				if got := p.line(); !matches(want, got) {
					t.Errorf("%s\nprinted %s, the page shows %s", c.line, got, want)
				}
			}
		}
	}
	member := dialGo(t, s.ws())
	member.expect("open")
	member.join("news")
	run("admin api lists")
	run("admin api unsubscribe")
	member.join("other")
	member.join("news")
	run("admin api kick")
	member.expect("close 4010 maintenance")
	run("admin api node")
}

// askAdmin sends a request with the key "dev" to the admin listener.
func (s *server) askAdmin(method, path, body string) (status int, answer string) {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://"+s.adminAddr()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer dev")
	r.Header.Set("Content-Type", "application/json")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return got.StatusCode, strings.TrimSpace(string(text))
}

func TestAnOperatorOfOneNodeReachesTheOther(t *testing.T) {
	redis := need(t, "redis-server", "redis-server")
	port := fmt.Sprint(freePort(t))
	engine := start(t, t.TempDir(), nil, redis, "--port", port, "--bind", "127.0.0.1", "--save", "")
	var nodes []*server
	for range 2 {
		s := serve(t, "-broker-driver", "redis", "-broker-dsn", "redis://127.0.0.1:"+port, "-admin-addr", "127.0.0.1:0", "-admin-key", "dev")
		s.await("readiness", func() bool { status, _ := s.askAdmin("GET", "/readyz", ""); return status == http.StatusOK })
		nodes = append(nodes, s)
	}
	member := dialGo(t, nodes[1].ws())
	member.expect("open")
	member.join("news")
	for _, change := range []struct{ path, body string }{
		{"/unsubscribe", `{"channel":"news","all":true}`},
		{"/kick", `{"address":"127.0.0.1","reason":"bye"}`},
	} {
		if status, answer := nodes[0].askAdmin("POST", change.path, change.body); status != 200 || answer != `{"here":0,"nodes":"told"}` {
			t.Fatalf("POST %s: %d %s, want 200 and that the other node is told", change.path, status, answer)
		}
	}
	member.expect("close 4003 bye")
	engine.kill()
	nodes[0].await("the loss of the engine", func() bool {
		status, _ := nodes[0].askAdmin("GET", "/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	status, answer := nodes[0].askAdmin("POST", "/kick", `{"channel":"news"}`)
	if status != http.StatusServiceUnavailable || !strings.HasPrefix(answer, `{"here":0,"nodes":"unreachable","error":`) {
		t.Errorf("without the engine: %d %s, want 503", status, answer)
	}
}
