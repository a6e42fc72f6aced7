// Package natstest runs NATS servers in the process of a test. Only tests import it.
package natstest

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"wsify/internal/testtool"
)

// Server is one server. Its methods are for the goroutine of the test.
type Server struct {
	// URL has no user in it.
	URL string
	// NATS is the server itself. Restart replaces it.
	NATS *server.Server

	t    testing.TB
	opts *server.Options
}

// Start starts a server on a port of its own, which is stopped at the end of the
// test. opts is copied and may be nil.
func Start(t testing.TB, opts *server.Options) *Server {
	t.Helper()
	if opts == nil {
		opts = &server.Options{}
	}
	o := opts.Clone()
	o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT
	o.NoLog, o.NoSigs = true, true
	s := &Server{t: t, opts: o}
	s.Restart()
	s.URL = "nats://" + s.NATS.Addr().String()
	o.Port = s.NATS.Addr().(*net.TCPAddr).Port // for the next one
	if a := s.NATS.ClusterAddr(); a != nil {
		o.Cluster.Port = a.Port
	}
	t.Cleanup(s.Stop)
	return s
}

// Cluster starts servers that know each other.
func Cluster(t testing.TB, n int) []*Server {
	t.Helper()
	servers := make([]*Server, n)
	var routes []*url.URL
	for i := range servers {
		opts := &server.Options{ServerName: fmt.Sprintf("node%d", i), Routes: routes}
		opts.Cluster.Name, opts.Cluster.Host, opts.Cluster.Port = "test", "127.0.0.1", server.RANDOM_PORT
		opts.Cluster.PoolSize = -1 // one route between two servers, so that they can be counted
		servers[i] = Start(t, opts)
		routes = append(routes, &url.URL{Scheme: "nats", Host: servers[i].NATS.ClusterAddr().String()})
	}
	for _, s := range servers {
		testtool.Until(t, "the server's routes are there", func() bool { return s.NATS.NumRoutes() >= n-1 })
	}
	return servers
}

// JetStreamCluster starts servers that keep streams together, and waits until they have a leader. Each
// of them has to know the others from the start.
func JetStreamCluster(t testing.TB, n int) []*Server {
	t.Helper()
	servers, ports := make([]*Server, n), make([]int, n)
	var routes []*url.URL
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		_ = l.Close()
	}
	for i := range servers {
		opts := &server.Options{JetStream: true, StoreDir: t.TempDir(), ServerName: fmt.Sprintf("stream%d", i), Routes: routes}
		opts.Cluster.Name, opts.Cluster.Host, opts.Cluster.Port = "streams", "127.0.0.1", ports[i]
		servers[i] = Start(t, opts)
	}
	testtool.Until(t, "the servers have a leader", func() bool {
		return slices.ContainsFunc(servers, func(s *Server) bool { return s.NATS.JetStreamIsLeader() })
	})
	return servers
}

// Stop ends the server and its connections, and waits for it. It may be called more
// than once.
func (s *Server) Stop() {
	s.NATS.Shutdown()
	s.NATS.WaitForShutdown()
}

// Restart starts a stopped server again, at the same URL.
func (s *Server) Restart() {
	s.t.Helper()
	n, err := server.NewServer(s.opts.Clone())
	if err != nil {
		s.t.Fatalf("a NATS server: %v", err)
	}
	go n.Start()
	if !n.ReadyForConnections(testtool.Patience) {
		s.t.Fatalf("the NATS server is not ready after %v", testtool.Patience)
	}
	s.NATS = n
}

// Reload gives a running server other options, at the same URL.
func (s *Server) Reload(opts *server.Options) {
	s.t.Helper()
	o := opts.Clone()
	o.Host, o.Port, o.NoLog, o.NoSigs = s.opts.Host, s.opts.Port, true, true
	if err := s.NATS.ReloadOptions(o); err != nil {
		s.t.Fatalf("new options for the NATS server: %v", err)
	}
	s.opts = o
}
