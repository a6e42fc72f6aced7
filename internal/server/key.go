package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"net"
	"net/url"
	"strings"
)

// keys decides who may publish by POST /broadcast: whoever has the key. Where a
// request comes from says nothing: behind a proxy every peer is near.
type keys struct {
	random string            // the key of this run; empty when the operator has set one, or wants none
	sum    [sha256.Size]byte // of the key
	open   bool              // a request without a key is admitted, and no key is right
}

func newKeys(cfg *Config) keys {
	key := cfg.BroadcastingKey
	if key == "" {
		key = rand.Text() // also with -broadcast-open, where nobody is told it
	}
	k := keys{sum: sha256.Sum256([]byte(key)), open: cfg.BroadcastOpen && cfg.BroadcastingKey == ""}
	if cfg.BroadcastingKey == "" && !k.open {
		k.random = key
	}
	return k
}

// admit reports whether a request with this query and this Authorization header,
// nil for none, may publish. It compares in constant time.
func (k *keys) admit(query, authorization []byte) bool {
	given := bearer(authorization)
	if given == nil {
		given = queryKey(query)
	}
	if given == nil {
		return k.open
	}
	sum := sha256.Sum256(given)
	return subtle.ConstantTimeCompare(sum[:], k.sum[:]) == 1
}

// bearer returns the token of an Authorization header; RFC 6750, section 2.1. It is
// nil when the header has another scheme.
func bearer(authorization []byte) []byte {
	scheme, token, _ := bytes.Cut(authorization, []byte(" "))
	if !strings.EqualFold(string(scheme), "Bearer") {
		return nil
	}
	if token = bytes.TrimSpace(token); token == nil {
		return []byte{} // an empty key is a wrong one
	}
	return token
}

// queryKey returns the first parameter "key", decoded. It is nil when there is none,
// and empty when its escapes are broken.
func queryKey(query []byte) []byte {
	for len(query) > 0 {
		var part []byte
		part, query, _ = bytes.Cut(query, []byte("&"))
		name, value, _ := bytes.Cut(part, []byte("="))
		if string(name) == "key" {
			decoded, _ := url.QueryUnescape(string(value))
			return []byte(decoded)
		}
	}
	return nil
}

// announceKey logs the key of this run once, with a command that uses it: at warn, or at
// error where warnings are not logged, as nobody could publish without having seen it.
func (srv *Server) announceKey() {
	switch {
	case srv.keys.open:
		srv.log.Warn("POST /broadcast is open to everyone: no -broadcasting-key is set and -broadcast-open is")
	case srv.keys.random != "":
		ctx, level := context.Background(), slog.LevelWarn
		if !srv.log.Enabled(ctx, level) {
			level = slog.LevelError
		}
		srv.log.Log(ctx, level, "no -broadcasting-key is set: POST /broadcast takes this one until the server stops. The command publishes hello to the channel news",
			"key", srv.keys.random, "command", curlLine(srv.addr, srv.keys.random))
	}
}

// curlLine is a command for a shell. It holds no quotation mark and no backslash, so
// that it can be copied from a log in JSON as it stands there; hence base64.
func curlLine(addr net.Addr, key string) string {
	target := "'http://" + reachable(addr) + pathBroadcast + "'"
	if addr.Network() == "unix" {
		target = "--unix-socket '" + addr.String() + "' http://localhost" + pathBroadcast
	}
	body := base64.StdEncoding.EncodeToString([]byte(`{"channel":"news","content":"hello"}`))
	return "echo " + body + " | base64 -d | curl " + target + " -H 'Authorization: Bearer " + key + "' -H 'Content-Type: application/json' -d @-"
}

// reachable is addr as a client on this machine dials it.
func reachable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		_, port, _ := net.SplitHostPort(addr.String())
		return net.JoinHostPort("localhost", port)
	}
	return addr.String()
}
