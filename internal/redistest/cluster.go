package redistest

import (
	"strings"
	"testing"

	"wsify/internal/testtool"
)

// StartCluster runs a cluster of so many masters, three at least, which share the
// slots, until the test ends.
func StartCluster(t testing.TB, masters int, args ...string) []*Server {
	t.Helper()
	args = append(clusterArgs(), args...)
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

// clusterArgs makes a server the node of a cluster.
func clusterArgs() []string {
	return []string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000"}
}

// AddReplica runs one more server, which is in step with a master of a cluster when
// AddReplica returns, and is made the master when that one is stopped.
func AddReplica(t testing.TB, master *Server) *Server {
	t.Helper()
	s := Start(t, clusterArgs()...)
	master.CLI("--cluster", "add-node", s.Addr, master.Addr, "--cluster-slave", "--cluster-master-id", master.ID())
	s.waitFor("master_link_status:up", "INFO", "replication")
	return s
}

// ID is the server's name in its cluster.
func (s *Server) ID() string { return s.CLI("CLUSTER", "MYID") }

// waitFor waits until a command's answer has some text.
func (s *Server) waitFor(text string, command ...string) {
	s.t.Helper()
	testtool.Until(s.t, strings.Join(command, " ")+" has "+text, func() bool { return strings.Contains(s.Says(command...), text) })
}
