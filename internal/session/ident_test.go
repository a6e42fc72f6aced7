package session

import (
	"regexp"
	"testing"
)

// A webhook may use connection ids as keys, even if several nodes share it or a node
// restarts.
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
