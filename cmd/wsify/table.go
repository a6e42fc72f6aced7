//go:build linux

package main

import (
	"log/slog"
	"os"
	"strconv"
	"time"

	"wsify/internal/server"
)

// Names of values in -help.
const (
	argAddr     = "ADDR"
	argURL      = "URL"
	argSecret   = "SECRET"
	argText     = "TEXT"
	argList     = "LIST"
	argFile     = "FILE"
	argNumber   = "NUMBER"
	argSize     = "SIZE"
	argDuration = "DURATION"
)

// table returns all settings, in the order of -help, bound to the fields of c.
func (c *commandLine) table() []group {
	return []group{
		{"Service", c.serviceSettings()},
		{"History", c.historySettings()},
		{"Access", c.accessSettings()},
		{"Event loops and pools", c.poolSettings()},
		{"Limits", c.limitSettings()},
		{"Connections and rates", c.rateSettings()},
		{"Compression", c.compressionSettings()},
		{"Keepalive", c.keepaliveSettings()},
		{"Shutdown", c.shutdownSettings()},
		{"Operating", c.operatingSettings()},
		{"Logs", c.logSettings()},
		{"Config", c.configSettings()},
		{"Of wsify doctor", c.doctorSettings()},
	}
}

func (c *commandLine) serviceSettings() []*setting {
	s := &c.server
	return []*setting{
		{name: "listen-addr", arg: argAddr, example: "127.0.0.1:3000,unix:/run/wsify.sock", value: lists(&s.ListenAddrs),
			about: "Where clients and backends connect: host:port, :port, [v6]:port, unix:/path, or fd://NUMBER or fd://NAME for a socket that systemd has opened. May be a list, and may be repeated on the command line: wsify listens on all of them."},
		{name: "listen-mode", arg: "MODE", example: "0666", value: &value[os.FileMode]{&s.ListenMode, parseMode, formatMode},
			about: "The mode of the unix sockets that are listened on, in octal. A proxy needs the right to write: let it be in the group of wsify, or choose 0666."},
		{name: "broker-driver", arg: "memory|redis|nats", example: "redis", value: nonEmpty(&s.BrokerDriver),
			about: "What carries publications between nodes: memory for a single node, redis or nats for any number."},
		{name: "broker-dsn", arg: argURL, example: "redis://localhost:6379", value: text(&s.BrokerDSN), secret: true,
			note:  "none, the engine's usual port on this machine",
			about: "The address of the broker's engine: redis://user:password@host:6379, rediss:// for TLS or unix:///path, nats://user:password@host:4222 or tls://host; docs/brokers.md has the parameters. memory has none."},
		{name: "broker-prefix", arg: argText, example: "shop:", value: text(&s.BrokerPrefix), note: "none",
			about: "What stands before the names of channels at the engine, so that several services can share one."},
		{name: "broker-buffer", arg: argSize, example: "64MiB", value: size(&s.BrokerBuffer),
			about: "Received bytes that may wait for members that are behind; beyond it they are dropped and counted. A quarter of it may wait for the engine to take it; beyond that clients are not read and backends get 503."},
	}
}

func (c *commandLine) historySettings() []*setting {
	s := &c.server
	return []*setting{
		{name: "history-channels", arg: argList, example: "news,chat:*", value: list(&s.HistoryChannels), note: "none",
			about: "Channels that keep what was published to them, so that clients that come back get what they missed. A * at the end of a name stands for any rest; * alone for all channels. All nodes need the same."},
		{name: "history-size", arg: argNumber, example: "1000", value: count(&s.HistorySize),
			about: "How many publications each of these channels keeps; older ones are dropped."},
		{name: "history-ttl", arg: argDuration, example: "1h", value: timeout(&s.HistoryTTL),
			about: "How long a publication is kept."},
		{name: "history-memory", arg: argSize, example: "1GiB", value: size(&s.HistoryMemory),
			about: "Memory for the history of all channels together. Beyond it the channel that was least recently published to loses what is kept; the memory broker refuses a publication that is larger. With any broker a node keeps as much besides, for clients that come back; Redis and NATS have bounds of their own."},
	}
}

func (c *commandLine) accessSettings() []*setting {
	s := &c.server
	return []*setting{
		{name: "authorizer-url", arg: argURL, example: "http://localhost:8000/wsify", value: text(&s.AuthorizerURL), secret: true,
			note:  "none, everything is allowed",
			about: "The webhook that decides who may connect, join, leave and broadcast: 200 is yes, 5xx is down, anything else is no."},
		{name: "authorizer-ca", arg: argFile, example: "/etc/wsify/ca.pem", value: text(&s.AuthorizerCA), note: "none, the system's",
			about: "A PEM file with the certificates of the authorities that an https webhook's certificate has to be from, instead of the system's."},
		{name: "authorizer-timeout", arg: argDuration, example: "2s", value: timeout(&s.AuthorizerTimeout),
			about: "How long one call to the authorizer may take; longer counts as down."},
		{name: "authorizer-events", arg: argList, example: "connect,join", value: list(&s.AuthorizerEvents),
			about: "Which commands the authorizer is asked about; the others are allowed."},
		{name: "authorizer-cache", arg: argNumber, example: "100000", value: &value[int]{&s.AuthorizerCache, parseCache, formatCache},
			about: "Answers of the authorizer that are kept, if their Cache-Control has a max-age, and given again without a call; the least recently used goes first. 0 keeps none."},
		{name: "events", arg: argList, example: "disconnect,occupied,vacated", value: list(&s.Events), note: "none",
			about: "Lifecycle events that -events-url is told of, out of disconnect, occupied, vacated, slow and kicked, in batches; docs/messages.md. Nobody waits for it: at most 10,000 wait, and what is lost is counted."},
		{name: "events-url", arg: argURL, example: "http://localhost:8000/events", value: text(&s.EventsURL), secret: true,
			note:  "none, that of -authorizer-url",
			about: "The webhook for -events. -authorizer-timeout and -authorizer-ca hold for it too. Any answer of 2xx takes a batch; otherwise it is tried once more."},
		{name: "broadcasting-key", reload: true, arg: argSecret, example: "8f2c6e0b91d7", value: text(&s.BroadcastingKey), secret: true,
			note:  "none, a random one is made at each start and logged",
			about: "What POST /broadcast has to carry, as ?key=SECRET or as Authorization: Bearer SECRET. Every user of the machine can read a command line; better keep it in a file."},
		{name: "broadcast-open", reload: true, example: "", value: toggle(&s.BroadcastOpen),
			about: "Let requests without a key use POST /broadcast when there is no -broadcasting-key. Everybody who reaches the port may then publish."},
		{name: "allowed-origins", reload: true, arg: argList, example: "https://example.com,https://*.example.com", value: list(&s.AllowedOrigins),
			about: "Web pages that may connect, as scheme://host or scheme://host:port; *. stands for any subdomain, * for any page, self for those of the host that was connected to; ws and wss count as http and https. Clients that send no Origin are not affected; React Native, Python and others send the server's own, which self allows."},
		{name: "trusted-proxies", arg: argList, example: "10.0.0.0/8,2001:db8::5,unix", value: list(&s.TrustedProxies), note: "none, a client's address is that of its socket",
			about: "Networks and addresses of the proxies that are believed when they say who their client is, in X-Forwarded-For, Forwarded or a PROXY header; unix stands for the peers of unix sockets. The authorizer, the log and limits see that address."},
		{name: "proxy-protocol", arg: "off|optional|required", example: "required", value: nonEmpty(&s.ProxyProtocol),
			about: "Whether connections begin with a PROXY header, version 1 or 2, as HAProxy's send-proxy sends it. A wrong or missing one, or one from a peer that is not in -trusted-proxies, closes the connection; optional needs -trusted-proxies."},
	}
}

func (c *commandLine) poolSettings() []*setting {
	s := &c.server
	return []*setting{
		{name: "loops", arg: argNumber, example: "4", value: auto(&s.Loops), note: "0, one per core",
			about: "Event loops, at most 256. Each has its own connections and a thread's worth of work."},
		{name: "shards", arg: argNumber, example: "256", value: auto(&s.Shards), note: "0, 64 per loop",
			about: "Separately locked parts of the table of channels; rounded up to a power of two."},
		{name: "workers", arg: argNumber, example: "256", value: auto(&s.Workers), note: "0, 64 per core",
			about: "Calls to the authorizer that run at once."},
		{name: "queue", arg: argNumber, example: "10000", value: auto(&s.Queue), note: "0, 64 per worker",
			about: "Calls to the authorizer that may wait for a worker; beyond it connections wait, and new ones get 503."},
		{name: "poller", arg: "native|easygo", example: "easygo", value: nonEmpty(&s.Poller),
			about: "What the event loops wait with: native needs the least memory and system calls, easygo is mailru/easygo's epoll."},
	}
}

func (c *commandLine) limitSettings() []*setting {
	s := &c.server
	policy := &value[server.Policy]{&s.SlowPolicy, parsePolicy, server.Policy.String}
	return []*setting{
		{name: "handshake-timeout", reload: true, arg: argDuration, example: "5s", value: timeout(&s.HandshakeTimeout),
			about: "How long a connection may take to send the head of a request, and then the body of a publication."},
		{name: "max-head-size", reload: true, arg: argSize, example: "32KiB", value: size(&s.MaxHeadSize),
			about: "The largest head of a request, cookies included; beyond it: 431."},
		{name: "max-message-size", arg: argSize, example: "16KiB", value: size(&s.MaxMessageSize),
			about: "The largest message of a client (beyond it: close code 1009) and body of POST /broadcast (413)."},
		{name: "max-channels-per-connection", reload: true, arg: argNumber, example: "1000", value: count(&s.MaxChannelsPerConnection),
			about: "Channels that one connection may be a member of at once; further joins are refused."},
		{name: "max-channel-length", arg: argNumber, example: "64", value: count(&s.MaxChannelLength),
			about: "The longest name of a channel, in bytes."},
		{name: "write-queue-size", arg: argSize, example: "256KiB", value: size(&s.WriteQueueSize),
			about: "Memory that what waits to be sent to one connection may keep, whole buffers counted; beyond it -slow-policy acts."},
		{name: "max-memory", arg: argSize, example: "2GiB", value: sizeOrAuto(&s.MaxMemory), note: "0, GOMEMLIMIT or the cgroup's limit",
			about: "Memory that the process may have. From nine tenths of it on, new clients get 503 and /readyz says full; above 95 % the connections that keep the most are closed: what waits to be sent to them (4001), unfinished input and memberships (1013, or 503). The same holds for the limits of the cgroup and of those around it. At least 16MiB. Without any limit, 0 is none."},
		{name: "max-write-memory", arg: argSize, example: "512MiB", value: sizeOrAuto(&s.MaxWriteMemory), note: "0, a quarter of -max-memory",
			about: "Memory that what waits to be sent to all connections may keep together; beyond it the slowest are closed with code 4001. Without a memory limit, 0 is no bound."},
		{name: "slow-policy", reload: true, arg: "close|drop", example: "drop", value: policy,
			about: "What happens to a connection that reads too slowly: close ends it with code 4001, drop leaves out the newest messages and counts them."},
	}
}

func (c *commandLine) rateSettings() []*setting {
	s := &c.server
	policy := &value[server.Policy]{&s.RatePolicy, parsePolicy, server.Policy.String}
	return []*setting{
		{name: "max-connections", reload: true, counts: true, arg: argNumber, example: "100000", value: auto(&s.MaxConnections), note: "0, no limit but that of descriptors",
			about: "Sessions that may be open at once, and upgrades that wait for the authorizer; beyond it upgrades get 503 with Retry-After, and /readyz says full."},
		{name: "max-connections-per-address", reload: true, counts: true, arg: argNumber, example: "50", value: auto(&s.MaxConnectionsPerAddress), note: "0, no limit",
			about: "Of these, those of one client address; an IPv6 address counts by its /64. Beyond it upgrades get 429. Peers of a unix socket have no address, unless a trusted proxy names one, and are not limited."},
		{name: "accept-rate", reload: true, arg: argNumber, example: "2000", value: auto(&s.AcceptRate), note: "0, no limit",
			about: "Upgrades that are accepted in a second, of all clients together; as many may come at once. Beyond it they get 503 with Retry-After."},
		{name: "command-rate", reload: true, arg: argNumber, example: "20", value: auto(&s.CommandRate), note: "0, no limit",
			about: "Messages that one connection may send in a second; beyond it -rate-policy acts. Pings, pongs and Close frames do not count."},
		{name: "command-burst", reload: true, arg: argNumber, example: "100", value: auto(&s.CommandBurst), note: "0, as many as -command-rate",
			about: "Messages that one connection may send at once, before -command-rate limits it."},
		{name: "rate-policy", reload: true, arg: "close|drop", example: "drop", value: policy,
			about: "What happens to a connection above -command-rate: close ends it with code 4029, drop refuses the command with the error limit and counts it."},
		{name: "publish-rate", reload: true, arg: argNumber, example: "100", value: auto(&s.PublishRate), note: "0, no limit",
			about: "Publications of one channel that this node takes in a second, from clients and backends together; as many may come at once. Beyond it clients get the error limit, and backends 429."},
	}
}

func (c *commandLine) compressionSettings() []*setting {
	s := &c.server
	return []*setting{
		{name: "compression", arg: "off|on", example: "on", value: nonEmpty(&s.Compression),
			about: "Whether WebSocket clients that offer permessage-deflate get it. A publication is compressed once for all of them; nothing is kept for a connection. Answers and pings stay as they are."},
		{name: "compression-min-size", arg: argSize, example: "1KiB", value: size(&s.CompressionMinSize),
			about: "The smallest message that is compressed."},
		{name: "compression-level", arg: argNumber, example: "6", value: count(&s.CompressionLevel),
			about: "From 1, the fastest, to 9, the smallest."},
	}
}

func (c *commandLine) keepaliveSettings() []*setting {
	s := &c.server
	ping := &value[time.Duration]{&s.PingInterval, parsePingInterval, formatPingInterval}
	return []*setting{
		{name: "ping-interval", arg: argDuration, example: "1m", value: ping,
			about: "A silent connection is pinged, after this time at the latest; 0 switches pings off."},
		{name: "pong-timeout", arg: argDuration, example: "5s", value: timeout(&s.PongTimeout),
			about: "How long a connection may stay silent after a ping before it is closed with code 4002."},
	}
}

func (c *commandLine) shutdownSettings() []*setting {
	delay := &value[time.Duration]{&c.server.ShutdownDelay, parseDuration, formatDuration}
	return []*setting{
		{name: "shutdown-delay", reload: true, arg: argDuration, example: "10s", value: delay,
			about: "How long the server goes on after SIGTERM or SIGINT, while /readyz says that it should get no more clients. Set it to the time that a balancer takes to notice."},
		{name: "drain-timeout", reload: true, arg: argDuration, example: "1m", value: timeout(&c.server.DrainTimeout),
			about: "How long the shutdown may take after -shutdown-delay. Clients are told to reconnect (close code 1012), spread evenly over this time; with -events, over two thirds of it. A second signal ends at once."},
	}
}

func (c *commandLine) operatingSettings() []*setting {
	addr := &value[string]{&c.server.AdminAddr, parseAdminAddr, formatAdminAddr}
	return []*setting{
		{name: "admin-addr", arg: argAddr, example: "127.0.0.1:3002", value: addr,
			about: "Where health (/healthz, /readyz), metrics (/metrics, /stats) and profiles (/debug/pprof/) are served: one address as for -listen-addr, or off. -admin-key guards names, profiles and changes; the rest needs no key. A second node on one machine needs another one."},
		{name: "admin-channels", example: "", value: toggle(&c.server.AdminChannels),
			about: "Show the channels with the most members and publications on the live page of the admin listener. Everybody who reaches it sees their names, which may be secrets."},
		{name: "otlp-endpoint", arg: argURL, example: "http://localhost:4318/v1/metrics", value: text(&c.server.OTLPEndpoint), note: "none",
			about: "An OpenTelemetry collector that gets the metrics once a minute, as OTLP over HTTP. Credentials go into OTEL_EXPORTER_OTLP_HEADERS. An export that fails is counted, and not repeated."},
		{name: "admin-key", arg: argSecret, example: "8f2c6e0b91d7", value: text(&c.server.AdminKey), secret: true,
			note:  "none, nothing can be changed",
			about: "What requests on -admin-addr have to carry that show names and addresses, take profiles or change something, as Authorization: Bearer SECRET. Without it, names are shown on loopback and unix sockets only. All nodes need the same one; docs/admin-api.md."},
	}
}

func (c *commandLine) logSettings() []*setting {
	level := &value[slog.Level]{&c.logLevel, parseLevel, formatLevel}
	format := &value[string]{&c.logFormat, parseLogFormat, formatText}
	sample := &value[float64]{&c.server.AccessLogSample, parseFraction, formatFraction}
	return []*setting{
		{name: "log-level", reload: true, arg: "debug|info|warn|error", example: "warn", value: level,
			about: "The least important records that are logged, to stderr."},
		{name: "log-format", arg: "json|text", example: "text", value: format,
			about: "How a record is written."},
		{name: "access-log", example: "", value: toggle(&c.server.AccessLog),
			about: "Log a line for each connection at its end, whatever -log-level is: id, address, user agent, seconds, messages, bytes, channels, status, close code and reason."},
		{name: "access-log-sample", arg: "FRACTION", example: "0.01", value: sample,
			about: "The fraction of connections that -access-log logs, chosen at random when a connection begins."},
	}
}

func (c *commandLine) doctorSettings() []*setting {
	return []*setting{
		{name: "connections", arg: argNumber, once: true, command: commandDoctor, value: &value[int]{&c.connections, parseConnections, strconv.Itoa},
			about: "Ask whether this machine holds so many connections. Without it, wsify doctor says how many it holds."},
		{name: "json", once: true, command: commandDoctor, value: toggle(&c.asJSON),
			about: "Answer in JSON."},
	}
}

func (c *commandLine) configSettings() []*setting {
	return []*setting{
		{name: "config", arg: argFile, example: "/etc/wsify.conf", value: nonEmpty(&c.configFile), note: "none",
			about: "A file with a setting on each line, a name and a value, separated by a space. Lines that begin with # are comments, and so is the rest of a line behind a space and #."},
		{name: "check-config", once: true, value: toggle(&c.checkConfig),
			about: "Check the configuration, say \"configuration ok\" or what is wrong, and exit with 0 or 1."},
		{name: "print-config", once: true, value: toggle(&c.printConfig),
			about: "Print the settings in force and where each is from, in the form of a file for -config, and exit. Secrets are masked."},
		{name: "version", once: true, value: toggle(&c.showVersion),
			about: "Print version, commit, Go version and platform, and exit."},
	}
}
