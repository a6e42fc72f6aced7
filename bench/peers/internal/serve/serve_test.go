package serve

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
)

func TestExitCodes(t *testing.T) {
	fails := func(net.Listener, chan<- error) (func(), error) { return nil, errors.New("no engine") }
	dies := func(_ net.Listener, failed chan<- error) (func(), error) {
		failed <- errors.New("engine gone")
		return func() {}, nil
	}
	cases := []struct {
		rule  string
		args  []string
		start Start
		code  int
		said  string
	}{
		{"help", []string{"-help"}, fails, 0, "-listen-addr"},
		{"an unknown flag", []string{"-listen"}, fails, 2, "not defined"},
		{"an address that is none", []string{"-listen-addr", "127.0.0.1:x"}, fails, 1, "peer: listen"},
		{"an engine that does not start", []string{"--listen-addr", "127.0.0.1:0"}, fails, 1, "peer: start: no engine\n"},
		{"an engine that fails later", []string{"-listen-addr", "127.0.0.1:0"}, dies, 1, "peer: engine gone\n"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := run("peer", c.args, &stderr, c.start); code != c.code || !strings.Contains(stderr.String(), c.said) {
				t.Errorf("exit code %d, said %q; want %d and %q", code, stderr.String(), c.code, c.said)
			}
		})
	}
}
