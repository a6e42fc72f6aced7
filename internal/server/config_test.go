package server

import (
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestZeroConfigIsValidAndGetsTheDefaults(t *testing.T) {
	var c Config
	if err := c.Validate(); err != nil {
		t.Fatalf("Config{}.Validate() = %v", err)
	}
	cores := runtime.GOMAXPROCS(0)
	want := Config{
		ListenAddrs: []string{":3000"}, ListenMode: 0o660, BrokerDriver: "memory",
		AuthorizerTimeout: 5 * time.Second,
		AuthorizerCache:   10_000,
		AuthorizerEvents:  []string{"connect", "join", "leave", "broadcast"},
		AllowedOrigins:    []string{"*"},
		ProxyProtocol:     "off",
		BrokerBuffer:      16 << 20,
		HistorySize:       100, HistoryTTL: 5 * time.Minute, HistoryMemory: 64 << 20,
		Loops: cores, Shards: powerOfTwo(64 * cores), Workers: 64 * cores, Queue: 64 * 64 * cores, Poller: "native",
		HandshakeTimeout: 10 * time.Second, PingInterval: 25 * time.Second, PongTimeout: 10 * time.Second,
		MaxHeadSize: 16384, MaxMessageSize: 65536, MaxChannelsPerConnection: 128, MaxChannelLength: 255,
		WriteQueueSize: 1 << 20, MaxMemory: memoryLimit(), MaxWriteMemory: memoryLimit() / 4, SlowPolicy: PolicyClose, Compression: "off", CompressionMinSize: 512, CompressionLevel: 1, DrainTimeout: 30 * time.Second, AccessLogSample: 1,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("Config{} after Validate:\n got %+v\nwant %+v", c, want)
	}
}

func TestValidateLeavesAValidConfigAsItIs(t *testing.T) {
	for _, c := range []Config{{}, {Loops: 3, Shards: 100, Workers: 7, PingInterval: -1, SlowPolicy: PolicyDrop}} {
		if err := c.Validate(); err != nil {
			t.Fatalf("Validate() = %v", err)
		}
		again := c
		if err := again.Validate(); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("second Validate() = %v:\n got %+v\nwant %+v", err, again, c)
		}
	}
}

func TestTheBurstOfCommandsFollowsTheirRate(t *testing.T) {
	for _, c := range []struct{ rate, burst, want int }{{0, 0, 0}, {0, 5, 5}, {10, 0, 10}, {10, 3, 3}, {10, 500, 500}} {
		cfg := Config{CommandRate: c.rate, CommandBurst: c.burst}
		if err := cfg.Validate(); err != nil || cfg.CommandBurst != c.want {
			t.Errorf("rate %d, burst %d: got burst %d, %v; want %d", c.rate, c.burst, cfg.CommandBurst, err, c.want)
		}
	}
}

func TestPoolsFollowEachOther(t *testing.T) {
	c := Config{Loops: 3, Workers: 5}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if c.Shards != 256 || c.Queue != 320 {
		t.Errorf("3 loops, 5 workers: got %d shards, queue %d; want 256 (64 each, rounded up) and 320", c.Shards, c.Queue)
	}
}

func TestShardsAreRoundedUpToAPowerOfTwo(t *testing.T) {
	for given, want := range map[int]int{1: 1, 2: 2, 3: 4, 64: 64, 65: 128, 1 << 20: 1 << 20} {
		c := Config{Shards: given}
		if err := c.Validate(); err != nil || c.Shards != want {
			t.Errorf("Shards %d: got %d, %v; want %d", given, c.Shards, err, want)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	const forms = " is not host:port, :port, [v6]:port, unix:/path, fd://NUMBER or fd://NAME"
	for _, tc := range []struct {
		config Config
		want   string
	}{
		{Config{ListenAddrs: []string{"3000"}}, `-listen-addr: "3000"` + forms},
		{Config{AdminAddr: "127.0.0.1:3000"}, `-admin-addr: 127.0.0.1:3000 is taken by -listen-addr :3000`},
		{Config{ListenAddrs: []string{"localhost:3000"}, AdminAddr: "127.0.0.1:03000"}, `-admin-addr: 127.0.0.1:03000 is taken by -listen-addr localhost:3000`},
		{Config{ListenAddrs: []string{"127.0.0.1:80"}, AdminAddr: "[::ffff:127.0.0.1]:http"}, `-admin-addr: [::ffff:127.0.0.1]:http is taken by -listen-addr 127.0.0.1:80`},
		{Config{ListenAddrs: []string{"unix:/tmp/a"}, AdminAddr: "unix:/tmp/./a"}, `-admin-addr: unix:/tmp/./a is taken by -listen-addr unix:/tmp/a`},
		{Config{ListenAddrs: []string{"unix:/a"}, AdminAddr: "unix:/a"}, `-admin-addr: unix:/a is taken by -listen-addr unix:/a`},
		{Config{AdminAddr: "3001"}, `-admin-addr: "3001"` + forms},
		{Config{TrustedProxies: []string{"10.1.2.3/8"}}, `-trusted-proxies: 10.1.2.3/8 has bits behind its length; the network is 10.0.0.0/8`},
		{Config{TrustedProxies: []string{"10.0.0.0/8", "x"}}, `-trusted-proxies: x is no address, no network such as 10.0.0.0/8, and not unix`},
		{Config{ProxyProtocol: "on"}, `-proxy-protocol: "on" is none of off, optional, required`},
		{Config{ProxyProtocol: "optional"}, `-proxy-protocol: optional needs -trusted-proxies: any client could send a PROXY header`},
		{Config{ListenAddrs: []string{":80", ":81", "127.0.0.1:80"}}, `-listen-addr: 127.0.0.1:80 is taken by -listen-addr :80`},
		{Config{ListenAddrs: []string{":80", "unix:/a"}, AdminAddr: "unix:/a"}, `-admin-addr: unix:/a is taken by -listen-addr unix:/a`},
		{Config{ListenAddrs: []string{"fd://3"}, AdminAddr: "fd://3"}, `-admin-addr: fd://3 is taken by -listen-addr fd://3`},
		{Config{ListenAddrs: []string{"fd://2"}}, `-listen-addr: fd://2: the first descriptor that may be passed to a program is 3`},
		{Config{ListenAddrs: []string{"fd://-3"}}, `-listen-addr: fd://-3: the first descriptor that may be passed to a program is 3`},
		{Config{ListenAddrs: []string{"fd://"}}, `-listen-addr: fd:// has neither the number nor the name of a descriptor, as in fd://3 or fd://wsify.socket`},
		{Config{ListenAddrs: []string{"fd://a b"}}, `-listen-addr: fd://a b has neither the number nor the name of a descriptor, as in fd://3 or fd://wsify.socket`},
		{Config{ListenAddrs: []string{"localhost"}}, `-listen-addr: "localhost"` + forms},
		{Config{ListenAddrs: []string{"localhost:"}}, `-listen-addr: "localhost:"` + forms},
		{Config{ListenAddrs: []string{"::1:80"}}, `-listen-addr: "::1:80"` + forms},
		{Config{ListenAddrs: []string{"http://localhost:80"}}, `-listen-addr: "http://localhost:80"` + forms},
		{Config{ListenAddrs: []string{":65536"}}, `-listen-addr: ":65536" has no port from 0 to 65535`},
		{Config{ListenAddrs: []string{":-1"}}, `-listen-addr: ":-1" has no port from 0 to 65535`},
		{Config{ListenAddrs: []string{"[::zz]:80"}}, `-listen-addr: "::zz" is neither an address nor the name of a host`},
		{Config{ListenAddrs: []string{"300.1.1.1:80"}}, `-listen-addr: "300.1.1.1" is neither an address nor the name of a host`},
		{Config{ListenAddrs: []string{"my host:80"}}, `-listen-addr: "my host" is neither an address nor the name of a host`},
		{Config{ListenAddrs: []string{"unix:"}}, `-listen-addr: unix: does not name an absolute path, as in unix:/run/wsify.sock`},
		{Config{ListenAddrs: []string{"unix:@wsify"}}, `-listen-addr: unix:@wsify is an abstract name, which has no mode: every user of this machine could connect; use a path`},
		{Config{ListenAddrs: []string{"unix:a.sock"}}, `-listen-addr: unix:a.sock does not name an absolute path, as in unix:/run/wsify.sock`},
		{Config{ListenAddrs: []string{"unix:/a\x00b"}}, `-listen-addr: the path of the unix socket holds a zero byte`},
		{Config{ListenAddrs: []string{"unix:/" + strings.Repeat("a", 107)}}, `-listen-addr: the path of a unix socket has at most 107 bytes, this one 108`},

		{Config{BrokerDriver: "kafka"}, `-broker-driver: there is no broker "kafka"; there are memory, redis and nats`},
		{Config{BrokerDriver: "redis", BrokerDSN: "http://host"}, `-broker-dsn: the DSN must begin with redis://, rediss:// (TLS) or unix://`},
		{Config{BrokerDriver: "nats", BrokerDSN: "http://host"}, `-broker-dsn: NATS server 1: a URL begins with nats://, tls://, ws:// or wss://`},
		{Config{BrokerDriver: "nats", BrokerPrefix: "a b"}, `-broker-prefix: the prefix "a b" cannot begin a NATS subject: it must not begin with '$', '_' or a dot, nor hold two dots in a row, white space, control characters, '*', '>' or '%'`},
		{Config{BrokerDriver: "nats", MaxChannelLength: 2000}, `-max-channel-length: with NATS and this prefix a name may have 1333 bytes, for a subject that fits in a line of its protocol`},
		{Config{BrokerBuffer: -1}, `-broker-buffer: -1 is not between 1 and 1073741824`},
		{Config{BrokerPrefix: strings.Repeat("p", 256)}, `-broker-prefix: it has 256 bytes, and may have 255`},

		{Config{HistoryChannels: []string{""}}, `-history-channels: a name is empty; * alone stands for all channels`},
		{Config{HistoryChannels: []string{"a*b"}}, `-history-channels: "a*b" has a * that is not at its end`},
		{Config{HistoryChannels: []string{"a**"}}, `-history-channels: "a**" has a * that is not at its end`},
		{Config{HistoryChannels: []string{strings.Repeat("a", 256)}}, `-history-channels: a name has 256 bytes, and a channel's name may have 255 (-max-channel-length)`},
		{Config{HistoryChannels: []string{strings.Repeat("a", 256) + "*"}}, `-history-channels: a name has 256 bytes, and a channel's name may have 255 (-max-channel-length)`},
		{Config{HistoryChannels: []string{"a\xff"}}, `-history-channels: "a\xff" is not UTF-8, and no channel has such a name`},
		{Config{HistoryChannels: []string{"\x00a"}}, `-history-channels: "\x00a" begins with U+0000, and no channel has such a name`},
		{Config{HistoryChannels: slices.Repeat([]string{"a"}, 101)}, `-history-channels: there are 101 names, and may be 100; a * at the end stands for many`},
		{Config{HistorySize: -1}, `-history-size: -1 is not between 1 and 100000`},
		{Config{HistorySize: 100_001}, `-history-size: 100001 is not between 1 and 100000`},
		{Config{HistoryTTL: -1}, `-history-ttl: -1ns is not between 1ms and 720h`},
		{Config{HistoryTTL: time.Millisecond - 1}, `-history-ttl: 999.999µs is not between 1ms and 720h`},
		{Config{HistoryTTL: 720*time.Hour + 1}, `-history-ttl: 720h0m0.000000001s is not between 1ms and 720h`},
		{Config{HistoryMemory: -1}, `-history-memory: -1 is not between 1 and 9223372036854775807`},

		{Config{MaxMemory: 1}, `-max-memory: 1 is not enough: a server needs 16777216 (16MiB) to have room for clients; 0 is the limit of GOMEMLIMIT or the cgroup`},
		{Config{MaxMemory: 16<<20 - 1}, `-max-memory: 16777215 is not enough: a server needs 16777216 (16MiB) to have room for clients; 0 is the limit of GOMEMLIMIT or the cgroup`},
		{Config{MaxMemory: -1}, `-max-memory: -1 is not enough: a server needs 16777216 (16MiB) to have room for clients; 0 is the limit of GOMEMLIMIT or the cgroup`},
		{Config{AuthorizerURL: "localhost:8000/auth"}, `-authorizer-url: it must start with http:// or https://, got scheme "localhost"`},
		{Config{AuthorizerURL: "ftp://localhost"}, `-authorizer-url: it must start with http:// or https://, got scheme "ftp"`},
		{Config{AuthorizerURL: "https://u:pw@h/ x"}, `-authorizer-url: there is a space in it; in a path it is written %20`},
		{Config{AuthorizerURL: "http://h/x ?a"}, `-authorizer-url: there is a space in it; in a path it is written %20`},
		{Config{AuthorizerURL: "https:///auth"}, `-authorizer-url: it names no host`},
		{Config{AuthorizerCA: "/nowhere/ca.pem", AuthorizerURL: "https://a"}, `-authorizer-ca: open /nowhere/ca.pem: no such file or directory`},
		{Config{AuthorizerCA: "/dev/null", AuthorizerURL: "https://a"}, `-authorizer-ca: /dev/null holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`},
		{Config{AuthorizerCA: "/dev/null", AuthorizerURL: "http://a"}, `-authorizer-ca: it is for an -authorizer-url or -events-url that begins with https://`},
		{Config{AuthorizerCA: "/dev/null"}, `-authorizer-ca: it is for an -authorizer-url or -events-url that begins with https://`},
		{Config{Events: []string{"disconnect", "connect"}, EventsURL: "http://a"}, `-events: "connect" is none of disconnect, occupied, vacated, slow, kicked`},
		{Config{Events: []string{"disconnect"}}, `-events: there is nowhere to send them: it needs -events-url or -authorizer-url`},
		{Config{EventsURL: "http://a", AuthorizerURL: "http://b"}, `-events-url: nothing is sent there without -events`},
		{Config{Events: []string{"slow"}, EventsURL: "ftp://a"}, `-events-url: it must start with http:// or https://, got scheme "ftp"`},
		{Config{AuthorizerTimeout: -time.Second}, `-authorizer-timeout: -1s is not positive`},
		{Config{AuthorizerEvents: []string{}}, `-authorizer-events: nothing would be asked; leave it out to ask about everything`},
		{Config{AuthorizerEvents: []string{"join", "Join"}}, `-authorizer-events: "Join" is none of connect, join, leave, broadcast`},
		{Config{BroadcastingKey: "secret\n"}, `-broadcasting-key: the key begins or ends with white space`},
		{Config{BroadcastingKey: "sec\x00ret"}, `-broadcasting-key: the key holds a control character`},

		{Config{AllowedOrigins: []string{"example.com"}}, `-allowed-origins: "example.com" has no scheme; write it as in https://example.com or https://*.example.com`},
		{Config{AllowedOrigins: []string{"https://"}}, `-allowed-origins: "https://" is not an origin, as in https://example.com or https://*.example.com`},
		{Config{AllowedOrigins: []string{"https://*"}}, `-allowed-origins: "https://*" is not an origin, as in https://example.com or https://*.example.com`},
		{Config{AllowedOrigins: []string{"https://a.*.com"}}, `-allowed-origins: "https://a.*.com" is not an origin, as in https://example.com or https://*.example.com`},
		{Config{AllowedOrigins: []string{"https://a.com:"}}, `-allowed-origins: "https://a.com:" is not an origin, as in https://example.com or https://*.example.com`},
		{Config{AllowedOrigins: []string{"https://a.com/"}}, `-allowed-origins: "https://a.com/" has more than scheme, host and port, which is all that browsers send`},
		{Config{AllowedOrigins: []string{"https://u@a.com"}}, `-allowed-origins: "https://u@a.com" has more than scheme, host and port, which is all that browsers send`},
		{Config{AllowedOrigins: []string{"https://bücher.de"}}, `-allowed-origins: "https://bücher.de" is not ASCII; browsers send such a name as xn--…`},

		{Config{Loops: -1}, `-loops: -1 is not between 1 and 256`},
		{Config{Loops: 257}, `-loops: 257 is not between 1 and 256`},
		{Config{Shards: -1}, `-shards: -1 is not between 1 and 1048576`},
		{Config{Shards: 1<<20 + 1}, `-shards: 1048577 is not between 1 and 1048576`},
		{Config{Workers: -1}, `-workers: -1 is not between 1 and 65536`},
		{Config{Poller: "kqueue"}, `-poller: "kqueue" is neither native nor easygo`},
		{Config{Queue: -1}, `-queue: -1 is not between 1 and 16777216`},
		{Config{HandshakeTimeout: -1}, `-handshake-timeout: -1ns is not positive`},
		{Config{PongTimeout: -1}, `-pong-timeout: -1ns is not positive`},
		{Config{DrainTimeout: -1}, `-drain-timeout: -1ns is not positive`},
		{Config{DrainTimeout: 24*time.Hour + 1}, `-drain-timeout: 24h0m0.000000001s is more than 24h`},
		{Config{ShutdownDelay: -1}, `-shutdown-delay: -1ns is not between 0 and 24h`},
		{Config{ShutdownDelay: 24*time.Hour + 1}, `-shutdown-delay: 24h0m0.000000001s is not between 0 and 24h`},
		{Config{HandshakeTimeout: 1_000_000 * time.Hour}, `-handshake-timeout: 1000000h0m0s is more than 24h`},
		{Config{PongTimeout: 1_000_000 * time.Hour}, `-pong-timeout: 1000000h0m0s is more than 24h`},
		{Config{AuthorizerTimeout: 1_000_000 * time.Hour}, `-authorizer-timeout: 1000000h0m0s is more than 24h`},
		{Config{AdminKey: " k"}, `-admin-key: the key begins or ends with white space`},
		{Config{AdminKey: "k", BrokerDriver: "redis", MaxMessageSize: 2048 + 6*255 - 1}, `-max-message-size: with an -admin-key and a broker it has to be at least 3578, for orders to the other nodes`},
		{Config{AccessLogSample: 1.5}, `-access-log-sample: 1.5 is not above 0 and at most 1`},
		{Config{AccessLogSample: -0.5}, `-access-log-sample: -0.5 is not above 0 and at most 1`},
		{Config{MaxHeadSize: 1<<10 - 1}, `-max-head-size: 1023 is not between 1024 and 1048576`},
		{Config{MaxHeadSize: 1<<20 + 1}, `-max-head-size: 1048577 is not between 1024 and 1048576`},
		{Config{MaxMessageSize: -1}, `-max-message-size: -1 is not between 1 and 1073741824`},
		{Config{MaxMessageSize: 1<<30 + 1}, `-max-message-size: 1073741825 is not between 1 and 1073741824`},
		{Config{MaxChannelsPerConnection: -1}, `-max-channels-per-connection: -1 is not between 1 and 16000000`},
		{Config{MaxChannelLength: -1}, `-max-channel-length: -1 is not between 1 and 65536`},
		{Config{WriteQueueSize: -1}, `-write-queue-size: -1 is not between 1 and 1073741824`},
		{Config{MaxConnections: -1}, `-max-connections: -1 is not between 0 and 1073741824`},
		{Config{MaxConnectionsPerAddress: -1}, `-max-connections-per-address: -1 is not between 0 and 1073741824`},
		{Config{AcceptRate: 1_000_001}, `-accept-rate: 1000001 is not between 0 and 1000000`},
		{Config{CommandRate: -1}, `-command-rate: -1 is not between 0 and 1000000`},
		{Config{CommandRate: 4294967295}, `-command-rate: 4294967295 is not between 0 and 1000000`},
		{Config{CommandRate: -1, CommandBurst: 5}, `-command-rate: -1 is not between 0 and 1000000`},
		{Config{CommandRate: 5, CommandBurst: 1_000_001}, `-command-burst: 1000001 is not between 0 and 1000000`},
		{Config{PublishRate: -1}, `-publish-rate: -1 is not between 0 and 1000000`},
		{Config{Compression: "yes"}, `-compression: "yes" is neither off nor on`},
		{Config{CompressionMinSize: -1}, `-compression-min-size: -1 is not between 1 and 1073741824`},
		{Config{CompressionLevel: 10}, `-compression-level: 10 is not between 1 and 9`},
		{Config{CompressionLevel: -1}, `-compression-level: -1 is not between 1 and 9`},
		{Config{RatePolicy: 2}, `-rate-policy: Policy(2) is neither close nor drop`},
		{Config{SlowPolicy: 7}, `-slow-policy: Policy(7) is neither close nor drop`},
	} {
		if err := tc.config.Validate(); err == nil || err.Error() != tc.want {
			t.Errorf("Validate() =\n  %v; want\n  %s", err, tc.want)
		}
	}
}

func TestValidateReportsAllProblemsAtOnceInTheOrderOfTheFields(t *testing.T) {
	c := Config{
		ListenAddrs: []string{"x"}, BrokerDriver: "kafka", HistoryChannels: []string{"*x"}, HistorySize: -1, HistoryTTL: -1, HistoryMemory: -1, AuthorizerURL: "x", AuthorizerTimeout: -1, AuthorizerCache: 1_000_001,
		AuthorizerEvents: []string{"x", "y"}, BroadcastingKey: " ", AllowedOrigins: []string{"x"},
		TrustedProxies: []string{"x"}, ProxyProtocol: "x",
		Loops: -1, Shards: -1, Workers: -1, Queue: -1, Poller: "x", HandshakeTimeout: -1, PongTimeout: -1,
		MaxHeadSize: -1, MaxMessageSize: -1, MaxChannelsPerConnection: -1, MaxChannelLength: -1, WriteQueueSize: -1,
		Compression: "x", CompressionMinSize: -1, CompressionLevel: -1, SlowPolicy: 9, DrainTimeout: -1,
	}
	want := "listen-addr broker-driver history-channels history-size history-ttl history-memory authorizer-url authorizer-timeout authorizer-events authorizer-events authorizer-cache " +
		"broadcasting-key allowed-origins trusted-proxies proxy-protocol loops shards workers queue poller handshake-timeout max-head-size pong-timeout max-message-size " +
		"max-channels-per-connection max-channel-length write-queue-size compression compression-min-size compression-level slow-policy drain-timeout"
	var got []string
	for line := range strings.Lines(c.Validate().Error()) {
		flag, _, _ := strings.Cut(line, ":")
		got = append(got, strings.TrimPrefix(flag, "-"))
	}
	if strings.Join(got, " ") != want {
		t.Errorf("flags named:\n got %s\nwant %s", strings.Join(got, " "), want)
	}
}

func TestValidateNeverRepeatsASecret(t *testing.T) {
	c := Config{BroadcastingKey: "hunter2\n", BrokerDriver: "redis", BrokerDSN: "redis://:hunter2@host", AuthorizerURL: "http://u:hunter2%@host"}
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Validate() = %v; want problems without the secret", err)
	}
}

func TestValidateAccepts(t *testing.T) {
	for _, addr := range []string{
		":0", ":3000", "localhost:80", "my_host.internal:80", "127.0.0.1:3000", "0.0.0.0:3000", "[::]:3000", "[::1]:3000",
		"[fe80::1%eth0]:80", ":http", "fd://3", "fd://wsify.socket", "unix:/run/wsify.sock", "unix:/" + strings.Repeat("a", 106),
	} {
		if err := (&Config{ListenAddrs: []string{addr}}).Validate(); err != nil {
			t.Errorf("ListenAddrs %q: %v", addr, err)
		}
	}
	for _, origin := range []string{
		"*", "null", "https://example.com", "http://localhost:5173", "https://*.example.com", "https://*.example.com:8443",
		"http://[::1]:8080", "http://a.com:443", "chrome-extension://abcdef", "HTTPS://Example.COM",
	} {
		if err := (&Config{AllowedOrigins: []string{origin}}).Validate(); err != nil {
			t.Errorf("AllowedOrigins %q: %v", origin, err)
		}
	}
	for _, url := range []string{"http://localhost", "https://user:pw@example.com:8443/hook?token=x", "http://[::1]:8000/"} {
		if err := (&Config{AuthorizerURL: url}).Validate(); err != nil {
			t.Errorf("AuthorizerURL %q: %v", url, err)
		}
	}
	const day = 24 * time.Hour
	if err := (&Config{AuthorizerTimeout: day, HandshakeTimeout: day, PongTimeout: day, ShutdownDelay: day, DrainTimeout: day}).Validate(); err != nil {
		t.Errorf("timeouts of a day: %v", err)
	}
	for _, d := range []time.Duration{-time.Hour, -1, 1, time.Hour} {
		c := Config{PingInterval: d}
		if err := c.Validate(); err != nil || c.PingInterval != d {
			t.Errorf("PingInterval %v: got %v, %v", d, c.PingInterval, err)
		}
	}
}

func TestPolicyNamesRoundTrip(t *testing.T) {
	for _, p := range []Policy{PolicyClose, PolicyDrop} {
		if got, err := ParsePolicy(p.String()); got != p || err != nil {
			t.Errorf("ParsePolicy(%q) = %v, %v; want %v", p.String(), got, err, p)
		}
	}
	if _, err := ParsePolicy("Drop"); err == nil || err.Error() != `"Drop" is neither close nor drop` {
		t.Errorf("ParsePolicy(Drop): got error %v", err)
	}
}
