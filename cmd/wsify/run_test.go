//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"wsify/internal/server"
)

// outcome is the outcome of a run of the program.
type outcome struct {
	code           int
	stdout, stderr string
	served         *server.Config // nil when the server was not started
}

// start runs the program with a server that only records its configuration.
func start(args, environ []string) outcome {
	var o outcome
	var stdout, stderr bytes.Buffer
	o.code = run(args, environ, &stdout, &stderr, func(_ context.Context, cfg server.Config) error {
		cfg.LogDropped, cfg.Started, cfg.Reread, cfg.LogLevel = nil, nil, nil, nil // DeepEqual never treats two functions as equal
		o.served = &cfg
		return nil
	})
	o.stdout, o.stderr = stdout.String(), stderr.String()
	return o
}

// write makes a file with this content and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSettingsReachTheServer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		args   string
		env    []string
		file   string // of the file for -config; no file when empty
		change func(c *server.Config)
	}{
		{name: "nothing is set", change: func(*server.Config) {}},
		{
			name: "one hyphen or two, with a blank or with =",
			args: "-listen-addr :1 --pong-timeout 1s -queue=5 --shards=4",
			change: func(c *server.Config) {
				c.ListenAddrs, c.PongTimeout, c.Queue, c.Shards = []string{":1"}, time.Second, 5, 4
			},
		},
		{
			name: "the five flags of v3",
			args: "--listen-addr :4000 --broker-driver memory --broker-dsn redis://localhost:6379/1 " +
				"--authorizer-url http://localhost:8000/wsify --broadcasting-key k3y",
			change: func(c *server.Config) {
				c.ListenAddrs, c.BrokerDSN = []string{":4000"}, "redis://localhost:6379/1"
				c.AuthorizerURL, c.BroadcastingKey = "http://localhost:8000/wsify", "k3y"
			},
		},
		{
			name: "every other flag",
			args: "-broadcast-open -allowed-origins https://a.com,https://b.com -authorizer-timeout 2s " +
				"-authorizer-events connect,join -authorizer-cache 8 -loops 1 -shards 2 -workers 3 -queue 4 -handshake-timeout 5s " +
				"-ping-interval 6s -pong-timeout 7s -max-head-size 32KiB -max-message-size 8KiB -max-channels-per-connection 9 " +
				"-max-channel-length 10 -write-queue-size 11KB -slow-policy drop -drain-timeout 12s -admin-addr unix:/run/admin.sock -admin-key s3cret -access-log -access-log-sample 0.25 " +
				"-trusted-proxies 10.0.0.0/8,unix -proxy-protocol optional -compression on -compression-min-size 1KiB -compression-level 6",
			change: func(c *server.Config) {
				c.BroadcastOpen, c.AllowedOrigins = true, []string{"https://a.com", "https://b.com"}
				c.AuthorizerTimeout, c.AuthorizerEvents = 2*time.Second, []string{"connect", "join"}
				c.AuthorizerCache = 8
				c.Loops, c.Shards, c.Workers, c.Queue = 1, 2, 3, 4
				c.HandshakeTimeout, c.PingInterval, c.PongTimeout = 5*time.Second, 6*time.Second, 7*time.Second
				c.MaxHeadSize, c.MaxMessageSize, c.MaxChannelsPerConnection, c.MaxChannelLength = 32768, 8192, 9, 10
				c.WriteQueueSize, c.SlowPolicy, c.DrainTimeout = 11000, server.PolicyDrop, 12*time.Second
				c.AdminAddr, c.AdminKey = "unix:/run/admin.sock", "s3cret"
				c.AccessLog, c.AccessLogSample = true, 0.25
				c.TrustedProxies, c.ProxyProtocol = []string{"10.0.0.0/8", "unix"}, "optional"
				c.Compression, c.CompressionMinSize, c.CompressionLevel = "on", 1024, 6
			},
		},
		{
			name:   "-ping-interval 0 switches pings off",
			args:   "-ping-interval 0",
			change: func(c *server.Config) { c.PingInterval = -1 },
		},
		{
			name:   "-authorizer-cache 0 keeps no answers",
			args:   "-authorizer-cache 0",
			change: func(c *server.Config) { c.AuthorizerCache = -1 },
		},
		{
			name:   "0 leaves the pools to the machine",
			args:   "-loops 0 -shards 0 -workers 0 -queue 0",
			change: func(*server.Config) {},
		},
		{
			name:   "off switches the admin listener off",
			args:   "-admin-addr off",
			change: func(c *server.Config) { c.AdminAddr = "" },
		},
		{
			name:   "and so does nothing",
			args:   "-admin-addr=",
			change: func(c *server.Config) { c.AdminAddr = "" },
		},
		{
			name:   "the environment too",
			env:    []string{"WSIFY_ADMIN_ADDR=off"},
			file:   "admin-addr :9",
			change: func(c *server.Config) { c.AdminAddr = "" },
		},
		{
			name: "environment",
			env: []string{
				"WSIFY_LISTEN_ADDR=:2", "WSIFY_BROADCAST_OPEN=true", "WSIFY_PING_INTERVAL=0", "WSIFY_MAX_MESSAGE_SIZE=1MiB",
				"WSIFY_ALLOWED_ORIGINS=https://a.com , https://b.com",
			},
			change: func(c *server.Config) {
				c.ListenAddrs, c.BroadcastOpen, c.PingInterval, c.MaxMessageSize = []string{":2"}, true, -1, 1<<20
				c.AllowedOrigins = []string{"https://a.com", "https://b.com"}
			},
		},
		{
			name: "what the environment has besides does not count",
			env:  []string{"LISTEN_ADDR=:2", "WSIFY_PORT=tcp://10.0.0.1:3000", "WSIFY_SERVICE_HOST=10.0.0.1", "WSIFY_SERVICE_PORT_HTTP=3000", "WSIFY_PORT_3000_TCP_ADDR=10.0.0.1", "WSIFY_ADMIN_PORT=tcp://10.0.0.2:3001", "WSIFY_PONG_TIMEOUT=", "odd"},
			change: func(*server.Config) {
			},
		},
		{
			name: "file",
			file: "\ufeff# for the test\n\nlisten-addr\t:3\t# tabs\n  -ping-interval   1m30s  # often enough\r\n--slow-policy drop\nbroadcast-open\n" +
				"allowed-origins https://a.com, https://b.com\nloops 3",
			change: func(c *server.Config) {
				c.ListenAddrs, c.PingInterval, c.SlowPolicy, c.BroadcastOpen = []string{":3"}, 90*time.Second, server.PolicyDrop, true
				c.AllowedOrigins, c.Loops, c.Shards = []string{"https://a.com", "https://b.com"}, 3, 256
			},
		},
		{
			name:   "a switch in the file may have a comment or be off",
			file:   "broadcast-open # as v3",
			change: func(c *server.Config) { c.BroadcastOpen = true },
		},
		{
			name: "flag before environment before file before default",
			args: "-pong-timeout 1s",
			env:  []string{"WSIFY_PONG_TIMEOUT=2s", "WSIFY_DRAIN_TIMEOUT=2s"},
			file: "pong-timeout 3s\ndrain-timeout 3s\nhandshake-timeout 3s",
			change: func(c *server.Config) {
				c.PongTimeout, c.DrainTimeout, c.HandshakeTimeout = time.Second, 2*time.Second, 3*time.Second
			},
		},
		{
			name: "a flag can switch off what environment and file switch on",
			args: "-broadcast-open=false",
			env:  []string{"WSIFY_BROADCAST_OPEN=true"},
			file: "broadcast-open",
			change: func(*server.Config) {
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := strings.Fields(tc.args)
			if tc.file != "" {
				args = append(args, "-config", write(t, tc.file))
			}
			got := start(args, tc.env)
			if got.code != 0 || got.served == nil {
				t.Fatalf("exit code %d, stderr: %s", got.code, got.stderr)
			}
			want := server.Config{AdminAddr: "127.0.0.1:3001"}
			tc.change(&want)
			if err := want.Validate(); err != nil {
				t.Fatal(err)
			}
			want.Logger, want.Version = got.served.Logger, got.served.Version
			if !reflect.DeepEqual(*got.served, want) {
				t.Errorf("the server was given\n     %+v\nwant %+v", *got.served, want)
			}
			if want.Logger == nil || want.Version == "" {
				t.Errorf("the server was given logger %v and version %q; want both", want.Logger, want.Version)
			}
		})
	}
}

func TestTheEnvironmentMayNameTheFile(t *testing.T) {
	got := start(nil, []string{"WSIFY_CONFIG=" + write(t, "listen-addr :5")})
	if got.served == nil || !slices.Equal(got.served.ListenAddrs, []string{":5"}) {
		t.Errorf("WSIFY_CONFIG with listen-addr :5: served %+v, stderr: %s", got.served, got.stderr)
	}
}

func TestASecretMayBeInAFileOfItsOwn(t *testing.T) {
	for content, want := range map[string]string{"k3y": "k3y", "k3y\n": "k3y", "k3y\r\n": "k3y", "a b\n": "a b", "\ufeffk3y\n": "k3y"} {
		got := start(nil, []string{"WSIFY_BROADCASTING_KEY_FILE=" + write(t, content)})
		if got.served == nil || got.served.BroadcastingKey != want {
			t.Errorf("file with %q: served %+v, stderr: %s; want key %q", content, got.served, got.stderr, want)
		}
	}
	got := start(nil, []string{
		"WSIFY_AUTHORIZER_URL_FILE=" + write(t, "http://u:p@a.com/\n"), "WSIFY_BROKER_DSN_FILE=" + write(t, "redis://a"),
	})
	if got.served == nil || got.served.AuthorizerURL != "http://u:p@a.com/" || got.served.BrokerDSN != "redis://a" {
		t.Errorf("served %+v, stderr: %s", got.served, got.stderr)
	}
	got = start([]string{"-broadcasting-key", "flag"}, []string{"WSIFY_BROADCASTING_KEY_FILE=/nowhere"})
	if got.served == nil || got.served.BroadcastingKey != "flag" {
		t.Errorf("flag and file: served %+v, stderr: %s; want the flag's key", got.served, got.stderr)
	}
}

func TestTheServersEndIsTheExitCode(t *testing.T) {
	for _, tc := range []struct {
		err    error
		code   int
		stderr string
	}{
		{nil, 0, ""},
		{errors.New("listen on 127.0.0.1:3000: address already in use"), 1, "wsify: listen on 127.0.0.1:3000: address already in use\n"},
		{errors.Join(errors.New("event loop: x"), errors.New("y")), 1, "wsify: event loop: x; y\n"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(nil, nil, &stdout, &stderr, func(context.Context, server.Config) error { return tc.err })
		if code != tc.code || stderr.String() != tc.stderr || stdout.Len() > 0 {
			t.Errorf("server ends with %v: exit %d, stdout %q, stderr %q; want exit %d, stderr %q",
				tc.err, code, stdout.String(), stderr.String(), tc.code, tc.stderr)
		}
	}
}
