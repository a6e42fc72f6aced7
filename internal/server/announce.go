package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"

	"wsify/internal/publish"
	"wsify/internal/session"
	"wsify/netpoll"
)

// announce logs what this process can hold, and what an operator should know. before is the
// original file limit, and key is that of POST /broadcast.
func (srv *Server) announce(before uint64, key string, random bool) {
	c := &srv.cfg
	srv.log.Info("wsify is listening", "addr", joined(srv.addrs), "version", c.Version,
		"file_limit", srv.fileLimit, "file_limit_before", before, "loops", c.Loops, "shards", c.Shards,
		"workers", c.Workers, "queue", c.Queue, "memory_limit", orNone(c.MaxMemory), "max_write_memory", orNone(c.MaxWriteMemory),
		"broker", c.BrokerDriver, "authorizer", c.AuthorizerURL != "", "go", runtime.Version())
	srv.announceKey(key, random)
	srv.announceBacklog(netpoll.Backlog())
	if c.AuthorizerURL == "" || !slices.Contains(c.AuthorizerEvents, "broadcast") {
		srv.log.Warn("every client may publish to every channel: no authorizer is asked about broadcasts")
	}
	if c.AuthorizerURL != "" && slices.Contains(c.AllowedOrigins, "*") {
		srv.log.Warn("any web page may connect with its visitor's cookies: -allowed-origins is *")
	}
	if c.ProxyProtocol == session.ProxyRequired && len(c.TrustedProxies) == 0 {
		srv.log.Warn("whoever connects may claim any address with a PROXY header: set -trusted-proxies, or let only proxies reach this port")
	}
	go srv.node.CheckWebhooks()
}

// joined returns a comma-separated list.
func joined(addrs []net.Addr) string {
	var list []string
	for _, addr := range addrs {
		list = append(list, addr.String())
	}
	return strings.Join(list, ",")
}

// announceBacklog warns when a burst of connections would overflow the kernel's queue: a client
// that finds it full retries after a second or more. Linux has had 4096 as its default since 5.4.
func (srv *Server) announceBacklog(most int) {
	if most > 0 && most < 4096 {
		srv.log.Warn("few clients can wait to be accepted, in a storm others wait for seconds: raise net.core.somaxconn to 4096", "somaxconn", most)
	}
}

// key returns the key of POST /broadcast, or "" when anyone may publish. random reports that it was
// made for this run.
func (c *Config) key() (key string, random bool) {
	if c.BroadcastingKey == "" && !c.BroadcastOpen {
		return rand.Text(), true
	}
	return c.BroadcastingKey, false
}

// announceKey logs the key of this run once, with a command that uses it. It logs at warn, or at
// error where warnings are not logged, because the log is the only place that has the key.
func (srv *Server) announceKey(key string, random bool) {
	switch {
	case key == "":
		srv.log.Warn("POST /broadcast is open to everyone: no -broadcasting-key is set and -broadcast-open is")
	case random:
		ctx, level := context.Background(), slog.LevelWarn
		if !srv.log.Enabled(ctx, level) {
			level = slog.LevelError
		}
		srv.log.Log(ctx, level, "no -broadcasting-key is set: POST /broadcast takes this one until the server stops. The command publishes hello to the channel news",
			"key", key, "command", curlLine(srv.addrs[0], key, srv.cfg.ProxyProtocol == session.ProxyRequired))
	}
}

// curlLine returns a shell command. It has no quotation marks and no backslashes, so that it can be
// copied from a log in JSON; hence base64.
func curlLine(addr net.Addr, key string, proxied bool) string {
	target := "'http://" + reachable(addr) + publish.Path + "'"
	if addr.Network() == "unix" {
		target = "--unix-socket '" + addr.String() + "' http://localhost" + publish.Path
	}
	if proxied {
		target += " --haproxy-protocol"
	}
	body := base64.StdEncoding.EncodeToString([]byte(`{"channel":"news","content":"hello"}`))
	return "echo " + body + " | base64 -d | curl " + target + " -H 'Authorization: Bearer " + key + "' -H 'Content-Type: application/json' -d @-"
}

// reachable returns addr in a form that a client on this machine can dial.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		_, port, _ := net.SplitHostPort(addr.String())
		return net.JoinHostPort("localhost", port)
	}
	return addr.String()
}
