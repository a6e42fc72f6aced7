package test

import (
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
