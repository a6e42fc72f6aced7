package redistest

import (
	"strings"
	"testing"
	"time"

	"wsify/internal/testtool"
)

// StartCluster runs a cluster of so many masters, three at least, which share the
// slots, until the test ends.
func StartCluster(t testing.TB, masters int, args ...string) []*Server {
	t.Helper()
	args = append([]string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000"}, args...)
	var servers []*Server
	create := []string{"--cluster", "create"}
	for range masters {
		s := Start(t, args...)
		servers = append(servers, s)
		create = append(create, s.Addr)
	}
	testtool.Need(t, "redis-cli", "redis-tools")
	servers[0].CLI(append(create, "--cluster-yes")...)
	for _, s := range servers {
		s.waitFor("cluster_state:ok", "CLUSTER", "INFO")
	}
	return servers
}

// ID is the server's name in its cluster.
func (s *Server) ID() string { return s.CLI("CLUSTER", "MYID") }

// waitFor waits until a command's answer has some text.
func (s *Server) waitFor(text string, command ...string) {
	s.t.Helper()
	deadline := time.After(startTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := s.TryCLI(command...)
		if err == nil && strings.Contains(out, text) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("%s never has %q:\n%s", strings.Join(command, " "), text, out)
		}
	}
}
