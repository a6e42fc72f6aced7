//go:build !race

package auth

import "testing"

// The race detector makes sync.Pool drop items at random, hence the build tag.
func TestAskAllocatesNothing(t *testing.T) {
	answers := map[string]string{
		"allow": yes,
		"deny":  "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
		"down":  "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno",
	}
	for name, answer := range answers {
		c, call := newClient(t, Config{URL: newEcho(t, answer).URL}), question()
		if n := testing.AllocsPerRun(1000, func() { c.Consult(call) }); n > 0 {
			t.Errorf("%s: a call allocates %v times, want 0", name, n)
		}
	}
}
