package server

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"time"
)

// Policy says what happens to a connection at one of its limits.
type Policy uint8

const (
	// PolicyClose closes the connection.
	PolicyClose Policy = iota
	// PolicyDrop drops the newest message, counts it, and keeps the connection.
	PolicyDrop
)

var policyNames = [...]string{PolicyClose: "close", PolicyDrop: "drop"}

// String returns the policy's name, as in -slow-policy.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "Policy(" + strconv.Itoa(int(p)) + ")"
}

// ParsePolicy returns the policy with this name.
func ParsePolicy(name string) (Policy, error) {
	if i := slices.Index(policyNames[:], name); i >= 0 {
		return Policy(i), nil
	}
	return 0, fmt.Errorf("%q is neither close nor drop", name)
}

// Config is the configuration of a server. A field's zero value means its default; Validate fills
// in the defaults and reports values that are out of bounds. Start and Run copy it.
type Config struct {
	// ListenAddrs is where clients and backends connect. Each is "host:port", ":port", "[v6]:port",
	// "unix:/path", or "fd://3" for a listening socket that this process has inherited. Default
	// ":3000" alone.
	ListenAddrs []string
	// ListenMode is the mode of unix sockets. Default 0660.
	ListenMode os.FileMode
	// AdminAddr is the address of health, metrics and profiles, in any form of ListenAddrs. Empty,
	// the default, means no admin listener.
	AdminAddr string
	// AdminChannels shows names of channels on the live page of the admin listener, to all who reach
	// it: those with the most members and publications. Names may be secrets, so the default is not to.
	AdminChannels bool
	// OTLPEndpoint is the URL of an OpenTelemetry collector that gets the metrics once a minute, as
	// OTLP over HTTP. Without a path, it means /v1/metrics. Empty, the default, means none.
	OTLPEndpoint string
	// AdminKey is the secret for what the admin listener shows of names and addresses, and for all
	// that changes something. It also signs orders to the other nodes, so all nodes need the same.
	// Empty, the default, means that nothing can be changed, and that names are shown on loopback
	// and unix sockets only.
	AdminKey string
	// BrokerDriver names the broker: "memory", the default, for a single node, or "redis" or
	// "nats", which carry publications between many nodes.
	BrokerDriver string
	// BrokerDSN is the address of the broker's engine; unused by "memory". Default
	// is the engine's usual port on this machine.
	BrokerDSN string
	// BrokerPrefix is put before the name of every channel at the engine, so that
	// several services can share it. At most 255 bytes. Default none.
	BrokerPrefix string
	// BrokerBuffer bounds, in bytes, the received publications that wait for room in their channel.
	// Publications that wait for the engine have a quarter of it. Default 16 MiB, at most 1 GiB.
	BrokerBuffer int
	// HistoryChannels lists the channels that keep what was published to them, for members that come
	// back: names, or the beginning of names with a * behind it. At most 100. Default none. All nodes
	// need the same.
	HistoryChannels []string
	// HistorySize is how many publications each of these channels keeps, at most 100,000; older ones
	// are dropped. Default 100.
	HistorySize int
	// HistoryTTL is how long a publication is kept, at most 30 days. Default 5m.
	HistoryTTL time.Duration
	// HistoryMemory bounds, in bytes, the history of all channels in the memory broker, and what a
	// node with any broker keeps of it besides; beyond it the least recently published channel loses
	// what is kept. The memory broker refuses a publication that is larger alone. An engine has bounds
	// of its own. Default 64 MiB.
	HistoryMemory int
	// AuthorizerURL is the operator's webhook; empty allows everything.
	AuthorizerURL string
	// AuthorizerCA is a PEM file with the authorities of an https webhook's certificate; it is read
	// at the start. Empty means the system's.
	AuthorizerCA string
	// AuthorizerTimeout is how long one authorizer call may take. Default 5s.
	AuthorizerTimeout time.Duration
	// AuthorizerEvents lists the commands that the authorizer is asked about: connect, join, leave,
	// broadcast. Nil means all four.
	AuthorizerEvents []string
	// AuthorizerCache is how many answers of the authorizer are kept, if their Cache-Control has a
	// max-age; the least recently used goes first. Default 10,000, at most a million; negative keeps
	// none.
	AuthorizerCache int
	// Events lists the lifecycle events that EventsURL is told of: disconnect, occupied, vacated, slow,
	// kicked. At most 10,000 wait; what falls out is lost and counted. Nil, the default, means none.
	Events []string
	// EventsURL is the webhook for Events, in any form of AuthorizerURL; AuthorizerTimeout and
	// AuthorizerCA hold for it too. Default AuthorizerURL. Without Events it is an error.
	EventsURL string
	// BroadcastingKey is the secret of POST /broadcast. When empty, Start makes a
	// random one and logs it.
	BroadcastingKey string
	// BroadcastOpen lets anyone publish without a key when BroadcastingKey is empty, as v3 did. A
	// request with a key is refused then, because no key is right.
	BroadcastOpen bool
	// AllowedOrigins lists the Origin values that may upgrade; "*" is any and
	// the default, "self" that whose host is the one that was connected to. A
	// pattern may hold one leading "*." label wildcard after the
	// scheme, as in "https://*.example.com". ws and wss count as http and https.
	AllowedOrigins []string
	// TrustedProxies lists the networks ("10.0.0.0/8") and addresses of the proxies that are believed
	// when they say who their client is, in X-Forwarded-For, Forwarded or a PROXY header; "unix" are
	// the peers of unix sockets. Default none: each client has the address of its socket.
	TrustedProxies []string
	// ProxyProtocol says whether a PROXY header, of version 1 or 2, comes before the first request of
	// a connection: "off", the default, "optional", which needs TrustedProxies, or "required". A
	// connection with a wrong or missing header, or one from a peer that is not trusted, is closed.
	ProxyProtocol string

	// Loops is the number of event loops, at most 256; 0 is one per core.
	Loops int
	// Shards is the number of registry stripes; 0 is 64 per loop. Validate rounds
	// it up to a power of two.
	Shards int
	// Workers bounds the calls that may block and run at once, at most 65536; 0 is 64 per core.
	Workers int
	// Queue is how many such calls may wait; 0 is 64 per worker.
	Queue int

	// Poller is the implementation of epoll behind the loops: "native", the
	// default, or "easygo".
	Poller string

	// HandshakeTimeout bounds the time from accept to 101, and the head and body of each further
	// request. Default 10s.
	HandshakeTimeout time.Duration
	// MaxHeadSize bounds the head of a request in bytes, with its blank line; a larger one gets
	// 431. Default 16 KiB, at least 1 KiB, at most 1 MiB.
	MaxHeadSize int
	// PingInterval is how long a connection may be idle before it is pinged. Default 25s; negative
	// switches pings off.
	PingInterval time.Duration
	// PongTimeout is how long a connection may stay silent after a ping before it is closed with
	// 4002. Default 10s.
	PongTimeout time.Duration
	// MaxMessageSize bounds a message and a /broadcast body in bytes; a larger one gets 1009 or
	// 413. Default 64 KiB, at most 1 GiB.
	MaxMessageSize int
	// MaxChannelsPerConnection is how many channels one connection may be a
	// member of; a further join is refused with "limit". Default 128.
	MaxChannelsPerConnection int
	// MaxChannelLength is the most bytes a channel name may have. Default 255.
	MaxChannelLength int
	// WriteQueueSize bounds the outbound queue of a connection, in bytes of memory; beyond it
	// SlowPolicy acts. Default 1 MiB, at most 1 GiB.
	WriteQueueSize int
	// MaxMemory is how many bytes of memory the process may have, 16 MiB at least. From nine tenths
	// of it on, new clients get 503; above 95 % the connections that keep the most are closed (4001,
	// 1013 or 503), until it is below nine tenths. The same holds for the limits of the cgroup and of
	// those around it, if there are any. Default GOMEMLIMIT, or the cgroup's limit; without one, no
	// limit.
	MaxMemory int
	// MaxWriteMemory bounds all outbound queues together, in bytes of memory. Beyond it the
	// connections with the largest queues are closed with 4001, whatever SlowPolicy is. Default a
	// quarter of MaxMemory; without one, no bound.
	MaxWriteMemory int
	// MaxConnections is how many sessions may be open at once, those included that wait for the
	// authorizer; further upgrades get 503. Default 0, no limit but that of descriptors.
	MaxConnections int
	// MaxConnectionsPerAddress is how many of these one client address may have; an IPv6 address
	// counts by its /64. Further upgrades get 429. Default 0, no limit.
	MaxConnectionsPerAddress int
	// AcceptRate is how many upgrades are accepted in a second; as many may come at once. Beyond it
	// they get 503. Default 0, no limit.
	AcceptRate int
	// CommandRate is how many commands a connection may send in a second. Beyond it RatePolicy acts.
	// Default 0, no limit.
	CommandRate int
	// CommandBurst is how many of them it may send at once. Without a CommandRate it has
	// no effect. Default CommandRate.
	CommandBurst int
	// RatePolicy is what happens to a connection above its CommandRate: PolicyClose closes it with
	// 4029, PolicyDrop drops the command.
	RatePolicy Policy
	// PublishRate is how many publications of one channel this node takes in a second, from clients
	// and backends together; as many may come at once. Further ones get "limit" or 429. Default 0,
	// no limit.
	PublishRate int
	// Compression says whether clients that offer permessage-deflate get it: "on", or "off", the
	// default.
	Compression string
	// CompressionMinSize is the size in bytes from which on a message is compressed; smaller ones
	// are sent as they are. Default 512, at most 1 GiB.
	CompressionMinSize int
	// CompressionLevel is from 1, the fastest, to 9, the smallest. Default 1.
	CompressionLevel int
	// SlowPolicy is what happens to a slow consumer: PolicyClose closes it with 4001, PolicyDrop
	// drops what its outbound queue has no room for.
	SlowPolicy Policy
	// ShutdownDelay is how long Run serves on after its context has ended, while the node is not
	// ready, so that balancers stop sending clients. Default none.
	ShutdownDelay time.Duration
	// DrainTimeout bounds the shutdown: clients are told to reconnect at an even pace. With Events, its
	// last third is for the last of these. Default 30s.
	DrainTimeout time.Duration

	// Started is called once clients can connect; nil is not.
	Started func(*Server)

	// Reread reads the configuration again, for Reload, which calls it from one goroutine at a time.
	// It returns a valid Config. Nil means that Reload does nothing.
	Reread func() (Rereading, error)

	// Logger receives structured logs; nil discards them.
	Logger *slog.Logger
	// LogLevel is the level of Logger; nil when it cannot change.
	LogLevel *slog.LevelVar
	// LogDropped returns how many lines the log has lost; nil when it loses none.
	LogDropped func() uint64
	// AccessLog logs a record for each connection at its end, whatever the level of Logger. Default
	// off.
	AccessLog bool
	// AccessLogSample is the fraction of connections that AccessLog logs, above 0 and at most 1;
	// it is decided at random when a connection begins. Default 1.
	AccessLogSample float64
	// Version is the program's version in the start-up line.
	Version string
}
