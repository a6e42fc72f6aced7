package session

import (
	"regexp"
	"testing"
)

// A webhook that several nodes share, or that outlives one, may keep who connected
// by the connection's id.
func TestConnectionIDsAreUniqueOverNodesAndStarts(t *testing.T) {
	hook := newWebhook(t, nil)
	form := regexp.MustCompile(`^[0-9a-f]{16}-[0-9a-f]+$`)
	seen := map[string]bool{}
	for node := range 3 {
		srv := start(t, Config{AuthorizerURL: hook.URL, Loops: 1})
		for range 2 {
			connect(t, srv, "/ws")
		}
		for _, q := range hook.awaitQuestions(2*(node+1), "connect")[2*node:] {
			id := q.header.Get("X-Wsify-Connection")
			if seen[id] || !form.MatchString(id) {
				t.Errorf("node %d: X-Wsify-Connection %q, want 64 random bits and a number, never twice", node, id)
			}
			seen[id] = true
		}
	}
}
